use std::borrow::Cow;
use std::collections::HashMap;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::group::{Group, groups};
use super::place::place;
use super::summary::{plural, summary};
use super::{CallSite, Report, Screen};
use crate::attribution::Category;
use crate::{Error, Result};

/// The report as JUnit's XML, as Jenkins and GitLab read it: a test case for each line of Python that calls a
/// declaration, in each test; failed where something was found, an error where that is a crash. Where nothing was
/// checked there is one case, which was skipped.
///
/// # Errors
///
/// [`Error::ReportForm`], which would be a defect of pythy's.
pub fn to_junit(report: &Report, screen: &Screen) -> Result<String> {
    let mut suite = TestSuite::new("pythy");
    if report.is_checked() {
        suite.add_test_cases(cases(report).iter().map(|case| case.to_junit(report, screen)));
    } else {
        let mut status = TestCaseStatus::skipped();
        status.set_message(summary(report).trim_end());
        let mut case = TestCase::new("memory", status);
        case.set_classname("pythy");
        suite.add_test_case(case);
    }
    let notes = report.notes.iter().map(|note| format!("note: {note}\n"));
    suite.set_system_out(notes.chain([summary(report)]).collect::<String>());
    let mut xml = quick_junit::Report::new("pythy");
    xml.add_test_suite(suite);
    xml.to_string().map_err(|error| Error::ReportForm { form: "JUnit's XML", message: error.to_string() })
}

/// A test case, under the same name whether something was found or not.
struct Case<'a> {
    subject: Subject<'a>,
    found: Vec<Group<'a>>,
}

/// What a test case is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Subject<'a> {
    /// A declaration and a call site, by their `id`s, and a test.
    Calls((u32, u32), Option<&'a str>),
    /// What has no call, by the finding's kind, and whether that is known.
    Outside(&'a str, bool),
}

fn cases(report: &Report) -> Vec<Case<'_>> {
    let found = groups(report).into_iter().map(|group| {
        let subject = match group.finding.told_of() {
            Some(call) => Subject::Calls(call.place(), call.test.as_deref()),
            None => Subject::Outside(&group.finding.kind, group.finding.lost_between.is_none()),
        };
        (subject, Some(group))
    });
    let called = report
        .calls
        .iter()
        .map(|call| (Subject::Calls((call.declaration, call.call_site), call.test.as_deref()), None));
    let mut cases: Vec<Case<'_>> = Vec::new();
    let mut known: HashMap<Subject<'_>, usize> = HashMap::new();
    for (subject, group) in found.chain(called) {
        let index = *known.entry(subject).or_insert_with(|| {
            cases.push(Case { subject, found: Vec::new() });
            cases.len() - 1
        });
        cases[index].found.extend(group);
    }
    cases
}

impl Case<'_> {
    fn to_junit(&self, report: &Report, screen: &Screen) -> TestCase {
        let status = self.status(report, screen);
        let (class, name, location) = match self.subject {
            Subject::Calls((declaration, site), test) => {
                let (declaration, site) = (report.declaration(declaration), report.call_site(site));
                let file = screen.path(&site.file);
                let call = match site.line {
                    0 => format!("{}() at {file}", declaration.name),
                    line => format!("{}() at {file}:{line}", declaration.name),
                };
                match test.map(Address::of) {
                    Some(Address { class, name }) => (class, format!("{name}: {call}"), location(site, file)),
                    None => (module(&file), call, location(site, file)),
                }
            }
            Subject::Outside(kind, is_known) => {
                let place = self.found.first().and_then(|group| place(report, group.finding));
                let location = place.map(|place| (screen.path(place.file), place.line));
                let name = if is_known { "outside of calls" } else { "in a call that is not known" };
                ("pythy".to_owned(), format!("{kind} {name}"), location)
            }
        };
        let mut case = TestCase::new(name, status);
        case.set_classname(class);
        if let Some((file, line)) = location {
            case.extra.insert("file".into(), file.as_ref().into());
            case.extra.insert("line".into(), line.to_string().into());
        }
        case
    }

    fn status(&self, report: &Report, screen: &Screen) -> TestCaseStatus {
        let crash = self.found.iter().find(|group| group.finding.category == Category::Crash);
        let Some(first) = crash.or(self.found.first()) else { return TestCaseStatus::success() };
        let kind = if crash.is_some() { NonSuccessKind::Error } else { NonSuccessKind::Failure };
        let mut status = TestCaseStatus::non_success(kind);
        let more = match self.found.len() {
            1 => String::new(),
            several => format!(", and {} more", plural(several as u64 - 1, "finding")),
        };
        status.set_type(first.finding.kind.as_str());
        status.set_message(format!("{}{more}", first.sentence(report, screen)));
        let stories = self.found.iter().map(|group| format!("{}\n", group.story(report, screen)));
        status.set_description(stories.collect::<Vec<_>>().join("\n"));
        status
    }
}

fn location<'a>(site: &CallSite, file: Cow<'a, str>) -> Option<(Cow<'a, str>, u32)> {
    site.is_in_a_file().then_some((file, site.line))
}

/// A test as pytest's own JUnit report names it.
struct Address {
    class: String,
    name: String,
}

impl Address {
    /// `tests/test_a.py::TestB::test_c[1.5]` is `test_c[1.5]` of `tests.test_a.TestB`.
    fn of(id: &str) -> Self {
        let (file, test) = id.split_once("::").unwrap_or(("pythy", id));
        // What a test is given may have colons, too.
        let (path, parameters) = test.split_at(test.find('[').unwrap_or(test.len()));
        let (classes, name) = path.rsplit_once("::").unwrap_or(("", path));
        let class = [&module(file), classes].map(|part| part.replace("::", "."));
        Self { class: class.join(".").trim_end_matches('.').to_owned(), name: format!("{name}{parameters}") }
    }
}

/// `tests/test_a.py` is `tests.test_a`: what servers show as a package.
fn module(file: &str) -> String {
    file.strip_suffix(".py").unwrap_or(file).trim_start_matches('/').replace('/', ".")
}
