use askama::Template;

use super::group::{Group, groups};
use super::stacks::frame_text;
use super::summary::{plural, summary};
use super::{Call, CallSite, Declaration, Report, Screen};
use crate::attribution::Category;

/// The report as one HTML file that needs no other: what was found, each with its line of Python, declaration and
/// C stacks, then the calls.
pub fn to_html(report: &Report, screen: &Screen) -> String {
    let page = Page { report, groups: groups(report), summary: summary(report), screen };
    page.render().unwrap_or_else(|error| error.to_string())
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
