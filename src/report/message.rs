use super::stacks::stacks;
use super::table::details;
use super::{Finding, Report, Screen};

/// The report as the message of an exception: the first finding's declaration and kind, then the C
/// stacks of all. `None` where there are none.
pub fn to_message(report: &Report, screen: &Screen) -> Option<String> {
    let first = report.findings.first()?;
    let mut text = headline(report, first, screen);
    if report.findings.len() == 1 {
        text.push_str(&stacks(first, screen));
        return Some(text.trim_end().to_owned());
    }
    for finding in &report.findings {
        text.push_str(details(finding, screen).trim_end());
        text.push('\n');
    }
    Some(text.trim_end().to_owned())
}

fn headline(report: &Report, finding: &Finding, screen: &Screen) -> String {
    let more = match report.findings.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let Finding { kind, what, .. } = finding;
    match finding.told_of() {
        Some(call) => {
            let declaration = report.declaration(call.declaration);
            let (name, line) = (&declaration.name, declaration.line);
            format!("{name}() ({}:{line}): {kind}: {what}{more}\n", screen.path(&declaration.file))
        }
        None => format!("{kind}: {what}{more}\n"),
    }
}
