use askama::Template;

use super::group::{Group, groups};
use super::place::place;
use super::stacks::frame_text;
use super::summary::{plural, summary};
use super::{Call, CallSite, CallTotal, Declaration, Report, Screen};
use crate::attribution::Category;
use crate::{Error, Result};

/// The report as one HTML file that needs no other: what was found, each with its line of Python, declaration and
/// C stacks, then the calls.
///
/// # Errors
///
/// [`Error::ReportForm`], which would be a defect of pythy's.
pub fn to_html(report: &Report, screen: &Screen) -> Result<String> {
    let page = Page { report, groups: groups(report), summary: summary(report), screen };
    let html = page.render();
    let html = html.map_err(|error| Error::ReportForm { form: "HTML", message: error.to_string() })?;
    // Names of files may have any byte, and HTML takes no control characters.
    let shown = |character: char| !character.is_control() || character == '\n';
    Ok(html.replace(|character| !shown(character), "\u{fffd}") + "\n")
}

#[derive(Template)]
#[template(path = "html.html", config = "src/report/askama.toml")]
struct Page<'a> {
    report: &'a Report,
    groups: Vec<Group<'a>>,
    summary: String,
    screen: &'a Screen,
}

impl Page<'_> {
    fn declaration(&self, call: &Call) -> &Declaration {
        self.report.declaration(call.declaration)
    }

    /// The class by which the summary has its colour.
    fn state(&self) -> &'static str {
        match (self.report.ok(), self.report.is_checked()) {
            (false, _) => "found",
            (true, true) => "ok",
            (true, false) => "unchecked",
        }
    }

    /// Whether it is one call, with which the C code ended its process.
    fn crashed(&self, total: &CallTotal) -> bool {
        let crashes = self.report.findings.iter().filter(|finding| finding.category == Category::Crash);
        let mut calls = crashes.filter_map(|finding| finding.call.as_ref());
        calls.any(|call| Some(call.number) == total.number)
    }

    fn site(&self, call: &Call) -> &CallSite {
        self.report.call_site(call.call_site)
    }
}

/// The class by which a finding has its colour.
fn class(category: &Category) -> &'static str {
    match category {
        Category::Error => "error",
        Category::Leak => "leak",
        Category::Crash => "crash",
    }
}
