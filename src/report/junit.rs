use std::collections::{HashMap, HashSet};

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::group::{Group, groups};
use super::place::is_file;
use super::stacks::stacks;
use super::summary::summary;
use super::{Call, Report, Screen};
use crate::attribution::Category;

/// The report as JUnit's XML, as Jenkins and GitLab read it: a failed test case for each finding, and one that
/// passed for each line of Python and declaration of which there is nothing to tell. A crash is an `error`.
pub fn to_junit(report: &Report, screen: &Screen) -> String {
    let mut suite = TestSuite::new("pythy");
    let mut told = HashSet::new();
    let mut names = HashMap::new();
    for group in groups(report) {
        told.extend(group.finding.told_of().map(Key::of));
        let mut case = case(report, &group, screen);
        // Servers take cases of one name for one.
        let count = names.entry(case.name.as_str().to_owned()).or_insert(0);
        *count += 1;
        if *count > 1 {
            case.name = format!("{} ({count})", case.name.as_str()).into();
        }
        suite.add_test_case(case);
    }
    for call in &report.calls {
        let key = Key { place: (call.declaration, call.call_site), test: call.test.as_deref() };
        // Each once, also where several of its calls are told one by one.
        if told.insert(key) {
            suite.add_test_case(key.case(report, "", TestCaseStatus::success(), screen));
        }
    }
    let notes = report.notes.iter().map(|note| format!("note: {note}\n"));
    suite.set_system_out(notes.chain([summary(report)]).collect::<String>());
    let mut xml = quick_junit::Report::new("pythy");
    xml.add_test_suite(suite);
    xml.to_string().unwrap_or_else(|error| error.to_string())
}

/// What a test case is about: a line of Python that calls a declaration, in a test.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key<'a> {
    place: (u32, u32),
    test: Option<&'a str>,
}

impl<'a> Key<'a> {
    fn of(call: &'a Call) -> Self {
        Key { place: (call.declaration, call.call_site), test: call.test.as_deref() }
    }

    fn case(&self, report: &Report, kind: &str, status: TestCaseStatus, screen: &Screen) -> TestCase {
        let (declaration, site) = (report.declaration(self.place.0), report.call_site(self.place.1));
        let file = screen.path(&site.file);
        let mut case = TestCase::new(format!("{}() at {file}:{}{kind}", declaration.name, site.line), status);
        case.set_classname(self.test.unwrap_or(&file));
        if is_file(&site.file) {
            case.extra.insert("file".into(), file.as_ref().into());
            case.extra.insert("line".into(), site.line.to_string().into());
        }
        case
    }
}

fn case(report: &Report, group: &Group<'_>, screen: &Screen) -> TestCase {
    let finding = group.finding;
    let mut status = TestCaseStatus::non_success(match finding.category {
        Category::Crash => NonSuccessKind::Error,
        Category::Error | Category::Leak => NonSuccessKind::Failure,
    });
    let sentence = group.sentence(report, screen);
    status.set_type(finding.kind.as_str());
    status.set_description(format!("{sentence}\n{}", stacks(finding, screen)));
    status.set_message(sentence);
    match finding.told_of() {
        Some(call) => Key::of(call).case(report, &format!(": {}", finding.kind), status, screen),
        None => {
            let mut case = TestCase::new(finding.kind.as_str(), status);
            case.set_classname("pythy");
            case
        }
    }
}
