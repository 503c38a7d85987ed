use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::group::{Group, groups};
use super::level::Level;
use super::place::{is_valgrinds, normal, place};
use super::stacks::frame_text;
use super::summary::summary;
use super::{Call, Finding, Frame, Report, Screen, Stack};
use crate::attribution::{Category, UNREAD};
use crate::evidence::Kind;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What relative paths are relative to: [`Screen::directory`].
const ROOT: &str = "%SRCROOT%";

/// Everything but what RFC 3986 calls unreserved, and slashes.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The report as SARIF 2.1.0, for code scanning and editors: a result for each finding, at its line of Python, with
/// the declaration as a related location and the C stacks. A finding that is nowhere is a notification, as code
/// scanning refuses files with such results.
///
/// See <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.
pub fn to_sarif(report: &Report, screen: &Screen) -> String {
    let mut kinds: Vec<(&str, Category)> = Vec::new();
    let mut results = Vec::new();
    let mut told = Vec::new();
    if !report.is_checked() {
        told.push(notification("warning", summary(report).trim_end()));
    }
    told.extend(report.notes.iter().map(|note| notification("note", note)));
    for group in groups(report) {
        let Finding { kind, category, .. } = group.finding;
        let Some(location) = primary(report, &group, screen) else {
            told.push(notification(level(&group), &format!("{kind}: {}", group.story(report, screen))));
            continue;
        };
        let rule = kinds.iter().position(|(known, _)| known == kind).unwrap_or_else(|| {
            kinds.push((kind, *category));
            kinds.len() - 1
        });
        results.push(result(report, &group, (rule, location), screen));
    }
    let rules: Vec<Value> = kinds.into_iter().map(|(kind, category)| rule(kind, category)).collect();
    let tool = &report.tool;
    let checker = tool.valgrind.as_ref().map(|version| json!({ "name": "Valgrind", "version": version }));
    let root = screen.directory.as_ref().map(|root| json!({ ROOT: { "uri": format!("{}/", uri(root)) } }));
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": { "name": "pythy", "version": tool.pythy, "rules": rules },
                "extensions": checker.into_iter().collect::<Vec<_>>(),
            },
            "invocations": [{
                "executionSuccessful": report.is_checked(),
                "toolExecutionNotifications": told,
            }],
            "originalUriBaseIds": root.unwrap_or_else(|| json!({})),
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn notification(level: &str, text: &str) -> Value {
    json!({ "level": level, "message": { "text": text } })
}

fn level(group: &Group<'_>) -> &'static str {
    match Level::of(group.finding) {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// What is to be said of all findings of a kind.
fn rule(kind: &str, category: Category) -> Value {
    const MANUAL: &str = "https://valgrind.org/docs/manual/mc-manual.html";
    let (text, help) = match category {
        Category::Crash => (format!("The C code ended its process: {kind}."), None),
        _ if kind == UNREAD => ("Valgrind counted errors that it did not describe.".to_owned(), None),
        Category::Leak => (described(kind), Some(format!("{MANUAL}#mc-manual.leaks"))),
        Category::Error => (described(kind), Some(format!("{MANUAL}#mc-manual.errormsgs"))),
    };
    let mut rule = json!({
        "id": kind,
        "shortDescription": { "text": text },
        "fullDescription": { "text": text },
    });
    if let Some(help) = help {
        rule["help"] = json!({ "text": format!("Memcheck's manual explains it: {help}") });
        rule["helpUri"] = json!(help);
    }
    rule
}

fn described(kind: &str) -> String {
    Kind::from(kind).description().unwrap_or(kind).to_owned()
}

fn result(report: &Report, group: &Group<'_>, (rule, location): (usize, Value), screen: &Screen) -> Value {
    let finding = group.finding;
    let call = finding.told_of();
    let mut related: Vec<Value> = call.map(|call| declared(report, call, screen)).into_iter().collect();
    related.extend(finding.other_end().and_then(|allocated| allocated_by(report, allocated, screen)));
    json!({
        "ruleId": finding.kind,
        "ruleIndex": rule,
        "level": level(group),
        "message": { "text": group.story(report, screen) },
        "locations": [location],
        "relatedLocations": related,
        "stacks": finding.stacks.iter().map(|one| stack(one, &finding.what, screen)).collect::<Vec<_>>(),
        "occurrenceCount": group.count(),
        "properties": {
            "basis": finding.basis,
            "findings": group.alike.iter().map(|finding| finding.id).collect::<Vec<_>>(),
            "test": call.and_then(|call| call.test.as_deref()),
        },
    })
}

/// The line of Python that called; without one the line of C, or the library.
fn primary(report: &Report, group: &Group<'_>, screen: &Screen) -> Option<Value> {
    let finding = group.finding;
    let mut location = match place(report, finding) {
        Some(place) => location(place.file, Some(place.line), screen),
        None => {
            let frames = finding.stacks.iter().flat_map(|stack| &stack.frames);
            let mut objects = frames.filter_map(|frame| frame.object.as_deref());
            location(objects.find(|object| !is_valgrinds(object))?, None, screen)
        }
    };
    let site = finding.told_of().map(|call| report.call_site(call.call_site));
    if let Some(site) = site.filter(|site| site.is_in_a_file()) {
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

fn allocated_by(report: &Report, call: &Call, screen: &Screen) -> Option<Value> {
    let (site, declaration) = (report.call_site(call.call_site), report.declaration(call.declaration));
    site.is_in_a_file().then(|| {
        let mut location = location(&site.file, Some(site.line), screen);
        location["message"] = json!({ "text": format!("allocated by {}()", declaration.name) });
        location
    })
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
    let root = screen.directory.as_deref();
    let path = normal(&root.unwrap_or(Path::new("")).join(file));
    let artifact = match root.map(|root| path.strip_prefix(root)) {
        Some(Ok(inside)) => json!({ "uri": encoded(inside), "uriBaseId": ROOT }),
        _ if path.is_absolute() => json!({ "uri": uri(&path) }),
        _ => json!({ "uri": encoded(&path) }),
    };
    let mut location = json!({ "physicalLocation": { "artifactLocation": artifact } });
    if let Some(line) = line.filter(|line| *line > 0) {
        location["physicalLocation"]["region"] = json!({ "startLine": line });
    }
    location
}

fn uri(path: &Path) -> String {
    format!("file://{}", encoded(path))
}

fn encoded(path: &Path) -> String {
    utf8_percent_encode(&path.to_string_lossy(), ESCAPED).to_string()
}
