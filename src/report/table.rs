use comfy_table::{ContentArrangement, Table, presets};

use super::{Call, Finding, Frame, Report, Stack};
use crate::attribution::{Basis, Category};

/// The report for a terminal of `width` columns: a table with one row per finding, then each
/// finding's C stacks, then the totals. No findings, one line.
pub fn to_table(report: &Report, width: u16) -> String {
    let mut text = String::new();
    if !report.findings.is_empty() {
        text.push_str(&table(report, width));
        text.push('\n');
        for finding in &report.findings {
            text.push_str(&details(finding));
        }
        text.push('\n');
    }
    for note in &report.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text.push_str(&summary(report));
    text
}

fn table(report: &Report, width: u16) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(["#", "finding", "Python call", "C declaration"]);
    for finding in &report.findings {
        let (call, declaration) = match finding.call.as_ref().or(finding.allocated_by.as_ref()) {
            Some(call) => (python_call(report, call), c_declaration(report, call)),
            None => ("(no call of this process)".to_owned(), String::new()),
        };
        table.add_row([finding.id.to_string(), headline(finding), call, declaration]);
    }
    table.to_string()
}

fn headline(finding: &Finding) -> String {
    let mut text = format!("{}\n{}", finding.kind, finding.what);
    if finding.count > 1 {
        text.push_str(&format!("\n{} times", finding.count));
    }
    match finding.basis {
        Basis::Call => {}
        Basis::Window => {
            if let Some((first, last)) = finding.lost_between {
                text.push_str(&format!("\nlost during calls {first} to {last}"));
            }
        }
        Basis::Function => text.push_str("\n(the call is not known exactly)"),
    }
    text
}

fn python_call(report: &Report, call: &Call) -> String {
    let site = report.call_site(call.call_site);
    let mut text = format!("{}:{} in {}", site.file, site.line, site.function);
    if let Some(source) = &site.source {
        text.push_str(&format!("\n{source}"));
    }
    if let Some(test) = &call.test {
        text.push_str(&format!("\n{test}"));
    }
    text
}

fn c_declaration(report: &Report, call: &Call) -> String {
    let declaration = report.declaration(call.declaration);
    format!("{}\n{}:{}", declaration.prototype, declaration.file, declaration.line)
}

fn details(finding: &Finding) -> String {
    let mut text = format!("\n#{} {}: {}\n", finding.id, finding.kind, finding.what);
    if finding.category == Category::Leak {
        text.push_str("  allocated here:\n");
    }
    for stack in &finding.stacks {
        text.push_str(&stack_text(stack));
    }
    text
}

fn stack_text(stack: &Stack) -> String {
    let mut text = stack.label.as_ref().map(|label| format!("  {label}\n")).unwrap_or_default();
    for (index, frame) in stack.frames.iter().enumerate() {
        let word = if index == 0 { "at" } else { "by" };
        text.push_str(&format!("    {word} {}\n", frame_text(frame)));
    }
    text
}

fn frame_text(frame: &Frame) -> String {
    let function = frame.function.as_deref().unwrap_or("???");
    match (&frame.file, frame.line, &frame.object) {
        (Some(file), Some(line), _) => format!("{function} ({file}:{line})"),
        (Some(file), None, _) => format!("{function} ({file})"),
        (None, _, Some(object)) => format!("{function} (in {object})"),
        (None, _, None) => format!("{function} ({})", frame.ip),
    }
}

fn summary(report: &Report) -> String {
    let totals = &report.totals;
    let calls = totals.calls.map(|calls| format!(" in {}", plural(calls, "call"))).unwrap_or_default();
    match &report.tool.valgrind {
        None => {
            "pythy: the C code ran natively, its memory was not checked; run Python under Valgrind for that\n"
                .to_owned()
        }
        Some(version) if report.ok() => format!("pythy: no findings{calls} (Valgrind {version})\n"),
        Some(version) => {
            let mut parts =
                vec![format!("pythy: {}{calls}", plural(report.findings.len() as u64, "finding"))];
            if totals.errors > 0 {
                parts.push(plural(totals.errors, "error"));
            }
            if totals.leaked_blocks > 0 {
                let blocks = plural(totals.leaked_blocks, "block");
                parts.push(format!("{} leaked in {blocks}", plural(totals.leaked_bytes, "byte")));
            }
            if totals.crashes > 0 {
                parts.push(plural(totals.crashes, "crash"));
            }
            format!("{} (Valgrind {version})\n", parts.join(", "))
        }
    }
}

fn plural(count: u64, noun: &str) -> String {
    match (count, noun) {
        (1, _) => format!("1 {noun}"),
        (_, "crash") => format!("{count} crashes"),
        _ => format!("{count} {noun}s"),
    }
}
