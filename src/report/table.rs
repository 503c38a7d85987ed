use std::path::{Path, PathBuf};

use comfy_table::{ContentArrangement, Table, presets};

use super::{Call, Finding, Frame, Report, Stack};
use crate::attribution::{Basis, Category};

/// What a table depends on beside the report.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    /// Columns of the terminal; `None` leaves every line as long as it is, for files and pipes.
    pub width: Option<u16>,
    /// Files below this directory are shown relative to it.
    pub directory: Option<PathBuf>,
}

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

impl Screen {
    pub(super) fn path<'a>(&self, file: &'a str) -> std::borrow::Cow<'a, str> {
        let relative = self.directory.as_ref().and_then(|base| Path::new(file).strip_prefix(base).ok());
        relative.map_or(file.into(), |path| path.to_string_lossy())
    }
}

fn table(report: &Report, screen: &Screen) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL).set_header(["#", "finding", "Python call", "C declaration"]);
    match screen.width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    for Group { finding, alike } in groups(report) {
        let (call, declaration) = match finding.call.as_ref().or(finding.allocated_by.as_ref()) {
            Some(call) => (python_call(report, call, screen), c_declaration(report, call, screen)),
            None if finding.lost_between.is_some() => ("(which call is not known)".to_owned(), String::new()),
            None => ("(no call)".to_owned(), String::new()),
        };
        table.add_row([finding.id.to_string(), headline(finding, &alike), call, declaration]);
    }
    table.to_string()
}

/// Findings that are shown as one: leaks of one kind, line, declaration and C stack.
struct Group<'a> {
    finding: &'a Finding,
    alike: Vec<&'a Finding>,
}

fn groups(report: &Report) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for finding in &report.findings {
        match groups.iter_mut().find(|group| are_alike(group.finding, finding)) {
            Some(group) => group.alike.push(finding),
            None => groups.push(Group { finding, alike: vec![finding] }),
        }
    }
    groups
}

fn are_alike(one: &Finding, other: &Finding) -> bool {
    fn place(finding: &Finding) -> Option<(u32, u32)> {
        let call = finding.call.as_ref().or(finding.allocated_by.as_ref())?;
        Some((call.declaration, call.call_site))
    }
    fn frames(finding: &Finding) -> impl Iterator<Item = (&Option<String>, &Option<String>, Option<u32>)> {
        let frames = finding.stacks.iter().flat_map(|stack| &stack.frames);
        frames.map(|frame| (&frame.function, &frame.file, frame.line))
    }
    one.category == Category::Leak
        && other.category == Category::Leak
        && one.kind == other.kind
        && place(one) == place(other)
        && frames(one).eq(frames(other))
}

fn headline(finding: &Finding, alike: &[&Finding]) -> String {
    let mut text = format!("{}\n{}", finding.kind, finding.what);
    if alike.len() > 1 {
        let leaked = || alike.iter().filter_map(|finding| finding.leaked);
        let bytes = leaked().map(|leaked| leaked.bytes + leaked.indirect_bytes).sum();
        let blocks = leaked().map(|leaked| leaked.blocks + leaked.indirect_blocks.unwrap_or(0)).sum();
        let least = if leaked().all(|leaked| leaked.indirect_blocks.is_some()) { "" } else { "at least " };
        let (bytes, blocks) = (plural(bytes, "byte"), format!("{least}{}", plural(blocks, "block")));
        text.push_str(&format!("\n{} such leaks: {bytes} in {blocks}", alike.len()));
    }
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
        Basis::Function if finding.call.is_none() && finding.allocated_by.is_none() => {
            text.push_str("\n(outside of any call)");
        }
        Basis::Function => text.push_str("\n(the call is not known exactly)"),
    }
    text
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

pub(super) fn stacks(finding: &Finding, screen: &Screen) -> String {
    let mut text = String::new();
    if finding.category == Category::Leak && !finding.stacks.is_empty() {
        text.push_str("  allocated here:\n");
    }
    for stack in &finding.stacks {
        text.push_str(&stack_text(stack, screen));
    }
    text
}

fn stack_text(stack: &Stack, screen: &Screen) -> String {
    let mut text = stack.label.as_ref().map(|label| format!("  {label}\n")).unwrap_or_default();
    for (index, frame) in stack.frames.iter().enumerate() {
        let word = if index == 0 { "at" } else { "by" };
        text.push_str(&format!("    {word} {}\n", frame_text(frame, screen)));
    }
    text
}

fn frame_text(frame: &Frame, screen: &Screen) -> String {
    let function = frame.function.as_deref().unwrap_or("???");
    match (&frame.file, frame.line, &frame.object) {
        (Some(file), Some(line), _) => format!("{function} ({}:{line})", screen.path(file)),
        (Some(file), None, _) => format!("{function} ({})", screen.path(file)),
        (None, _, Some(object)) => format!("{function} (in {})", screen.path(object)),
        (None, _, None) => format!("{function} ({})", frame.ip),
    }
}

fn summary(report: &Report) -> String {
    let totals = &report.totals;
    let calls = totals.calls.map(|calls| format!(" in {}", plural(calls, "call"))).unwrap_or_default();
    match report.tool.valgrind.as_ref().filter(|_| report.tool.checker != "none") {
        None if report.tool.valgrind.is_some() => "pythy: memory was not checked\n".to_owned(),
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
