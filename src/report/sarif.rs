use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::group::{Group, groups};
use super::level::Level;
use super::place::{is_file, place};
use super::stacks::frame_text;
use super::summary::summary;
use super::{Call, Frame, Report, Screen, Stack};
use crate::attribution::{Category, UNREAD};
use crate::evidence::Kind;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What relative paths are relative to: [`Screen::directory`].
const ROOT: &str = "%SRCROOT%";

/// Everything but what RFC 3986 calls unreserved, and slashes.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The report as SARIF 2.1.0, for code scanning and editors: a result for each finding, at its line of Python, with
/// the declaration as a related location and the C stacks.
///
/// See <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.
pub fn to_sarif(report: &Report, screen: &Screen) -> String {
    let groups = groups(report);
    let mut kinds: Vec<(&str, Category)> = Vec::new();
    for Group { finding, .. } in &groups {
        let kind = (finding.kind.as_str(), finding.category);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let rules: Vec<Value> = kinds.iter().map(|(kind, category)| rule(kind, *category)).collect();
    let results: Vec<Value> = groups
        .iter()
        .map(|group| {
            let kind = (group.finding.kind.as_str(), group.finding.category);
            result(report, group, kinds.iter().position(|known| *known == kind), screen)
        })
        .collect();
    let tool = &report.tool;
    let checker = tool.valgrind.as_ref().map(|version| json!({ "name": "Valgrind", "version": version }));
    let told = |level: &str, text: &str| json!({ "level": level, "message": { "text": text } });
    let unchecked = (!report.is_checked()).then(|| told("warning", summary(report).trim_end()));
    let notes = report.notes.iter().map(|note| told("note", note));
    let notes: Vec<Value> = unchecked.into_iter().chain(notes).collect();
    let root = screen.directory.as_ref().map(|root| json!({ ROOT: { "uri": format!("{}/", uri(root)) } }));
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": { "name": "pythy", "version": tool.pythy, "rules": rules },
                "extensions": checker.into_iter().collect::<Vec<_>>(),
            },
            "invocations": [{ "executionSuccessful": report.is_checked(), "toolExecutionNotifications": notes }],
            "originalUriBaseIds": root.unwrap_or_else(|| json!({})),
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

/// What is to be said of all findings of a kind.
fn rule(kind: &str, category: Category) -> Value {
    let crash = format!("The C code ended its process: {kind}.");
    let text = match category {
        Category::Crash => crash.as_str(),
        _ if kind == UNREAD => "Valgrind counted errors that it did not describe.",
        _ => Kind::from(kind).description().unwrap_or(kind),
    };
    let chapter = match category {
        Category::Leak => "leaks",
        Category::Error | Category::Crash => "errormsgs",
    };
    let manual = format!("https://valgrind.org/docs/manual/mc-manual.html#mc-manual.{chapter}");
    json!({
        "id": kind,
        "shortDescription": { "text": text },
        "fullDescription": { "text": text },
        "help": { "text": format!("Memcheck's manual explains it: {manual}") },
        "helpUri": manual,
    })
}

fn result(report: &Report, group: &Group<'_>, rule: Option<usize>, screen: &Screen) -> Value {
    let finding = group.finding;
    let call = finding.told_of();
    let level = match Level::of(finding) {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    };
    let mut related: Vec<Value> = call.map(|call| declared(report, call, screen)).into_iter().collect();
    if let (Some(_), Some(allocated)) = (&finding.call, &finding.allocated_by) {
        related.push(allocated_by(report, allocated, screen));
    }
    let occurrences = group.alike.iter().map(|finding| finding.count).sum::<u64>();
    json!({
        "ruleId": finding.kind,
        "ruleIndex": rule,
        "level": level,
        "message": { "text": group.sentence(report, screen) },
        "locations": primary(report, group, screen).into_iter().collect::<Vec<_>>(),
        "relatedLocations": related,
        "stacks": finding.stacks.iter().map(|one| stack(one, &finding.what, screen)).collect::<Vec<_>>(),
        "occurrenceCount": occurrences,
        "properties": {
            "basis": finding.basis,
            "findings": group.alike.iter().map(|finding| finding.id).collect::<Vec<_>>(),
            "test": call.and_then(|call| call.test.as_deref()),
        },
    })
}

/// The line of Python that called; else the line of C, or the library, as code scanning refuses what is nowhere.
fn primary(report: &Report, group: &Group<'_>, screen: &Screen) -> Option<Value> {
    let finding = group.finding;
    let mut location = match place(report, finding) {
        Some(place) => location(place.file, Some(place.line), screen),
        None => {
            let mut frames = finding.stacks.iter().flat_map(|stack| &stack.frames);
            location(frames.find_map(|frame| frame.object.as_deref())?, None, screen)
        }
    };
    let site = finding.told_of().map(|call| report.call_site(call.call_site));
    if let Some(site) = site.filter(|site| is_file(&site.file)) {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": site.function, "kind": "function" }]);
        if let Some(source) = &site.source {
            location["physicalLocation"]["region"]["snippet"] = json!({ "text": source });
        }
    }
    Some(location)
}

fn declared(report: &Report, call: &Call, screen: &Screen) -> Value {
    let declaration = report.declaration(call.declaration);
    let mut location = location(&declaration.file, Some(declaration.line), screen);
    location["message"] = json!({ "text": format!("declared here: {}", declaration.prototype) });
    location
}

fn allocated_by(report: &Report, call: &Call, screen: &Screen) -> Value {
    let (site, declaration) = (report.call_site(call.call_site), report.declaration(call.declaration));
    let mut location = match is_file(&site.file) {
        true => location(&site.file, Some(site.line), screen),
        false => json!({}),
    };
    location["message"] = json!({ "text": format!("the block is of this call of {}()", declaration.name) });
    location
}

fn stack(stack: &Stack, what: &str, screen: &Screen) -> Value {
    json!({
        "message": { "text": stack.label.as_deref().unwrap_or(what) },
        "frames": stack.frames.iter().map(|one| frame(one, screen)).collect::<Vec<_>>(),
    })
}

/// A frame; its file is a location only where the directory is known, which depends on Valgrind's options.
fn frame(frame: &Frame, screen: &Screen) -> Value {
    let mut location = match &frame.file {
        Some(file) if file.starts_with('/') => location(file, frame.line, screen),
        _ => json!({}),
    };
    location["message"] = json!({ "text": frame_text(frame, screen) });
    let mut value = json!({ "location": location });
    if let Some(object) = &frame.object {
        value["module"] = json!(object);
    }
    value
}

fn location(file: &str, line: Option<u32>, screen: &Screen) -> Value {
    let path = screen.path(file);
    let artifact = match (path.starts_with('/'), &screen.directory) {
        (true, _) => json!({ "uri": uri(Path::new(file)) }),
        (false, Some(_)) => json!({ "uri": encoded(&path), "uriBaseId": ROOT }),
        (false, None) => json!({ "uri": encoded(&path) }),
    };
    match line {
        Some(line) => json!({
            "physicalLocation": { "artifactLocation": artifact, "region": { "startLine": line } },
        }),
        None => json!({ "physicalLocation": { "artifactLocation": artifact } }),
    }
}

fn uri(path: &Path) -> String {
    format!("file://{}", encoded(&path.to_string_lossy()))
}

fn encoded(path: &str) -> String {
    utf8_percent_encode(path, ESCAPED).to_string()
}
