use comfy_table::{ContentArrangement, Table, presets};

use super::group::{Group, groups};
use super::stacks::stacks;
use super::summary::summary;
use super::{Call, Finding, Report, Screen};

/// The report for people: a table with one row per finding, then each finding's C stacks, then
/// the totals. No findings, one line.
pub fn to_table(report: &Report, screen: &Screen) -> String {
    let mut text = String::new();
    if !report.findings.is_empty() {
        text.push_str(&table(report, screen));
        text.push('\n');
        for Group { finding, .. } in groups(report) {
            text.push_str(&details(finding, screen));
        }
        text.push('\n');
    }
    for note in &report.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text.push_str(&summary(report));
    text
}

fn table(report: &Report, screen: &Screen) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL).set_header(["#", "finding", "Python call", "C declaration"]);
    match screen.width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    for group in groups(report) {
        let finding = group.finding;
        let (call, declaration) = match finding.told_of() {
            Some(call) => (python_call(report, call, screen), c_declaration(report, call, screen)),
            None if finding.lost_between.is_some() => ("(which call is not known)".to_owned(), String::new()),
            None => ("(no call)".to_owned(), String::new()),
        };
        table.add_row([finding.id.to_string(), headline(report, &group, screen), call, declaration]);
    }
    table.to_string()
}

fn headline(report: &Report, group: &Group<'_>, screen: &Screen) -> String {
    let Finding { kind, what, .. } = group.finding;
    [vec![kind.clone(), what.clone()], group.remarks(report, screen)].concat().join("\n")
}

fn python_call(report: &Report, call: &Call, screen: &Screen) -> String {
    let site = report.call_site(call.call_site);
    let mut text = format!("{}:{} in {}", screen.path(&site.file), site.line, site.function);
    if let Some(source) = &site.source {
        text.push_str(&format!("\n{source}"));
    }
    if let Some(test) = &call.test {
        text.push_str(&format!("\n{test}"));
    }
    text
}

fn c_declaration(report: &Report, call: &Call, screen: &Screen) -> String {
    let declaration = report.declaration(call.declaration);
    format!("{}\n{}:{}", declaration.prototype, screen.path(&declaration.file), declaration.line)
}

pub(super) fn details(finding: &Finding, screen: &Screen) -> String {
    format!("\n#{} {}: {}\n{}", finding.id, finding.kind, finding.what, stacks(finding, screen))
}
