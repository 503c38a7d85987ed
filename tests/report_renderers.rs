//! A report with one finding of each sort, and names that need escaping, in every form it can have.
//!
//! `UPDATE=1 cargo test --test report_renderers` rewrites what is expected.

#[path = "support/expectation.rs"]
mod expectation;

use expectation::expect;
use pythy::report::{self, Report, Screen};

fn recorded() -> Report {
    report::from_json(include_str!("fixtures/report.json")).unwrap()
}

/// The recorded report's, whose files lie there.
fn screen() -> Screen {
    Screen { width: None, directory: Some("/proj".into()) }
}

/// One about which there is nothing to say.
fn clean() -> Report {
    let mut report = recorded();
    report.findings.clear();
    report.notes.clear();
    report.calls.retain(|call| call.number.is_none());
    report
}

/// One of C code that ran natively.
fn native() -> Report {
    let mut report = clean();
    report.tool.valgrind = None;
    report.tool.checker = "none".to_owned();
    report
}

const UNCHECKED: &str =
    "pythy: the C code ran natively, its memory was not checked; run Python under Valgrind for that";

#[test]
fn what_was_not_checked_does_not_pass_for_right() {
    let html = report::to_html(&native(), &screen()).unwrap();
    assert!(html.contains(&format!(r#"<p class="summary unchecked">{UNCHECKED}</p>"#)));
    let sarif: serde_json::Value = serde_json::from_str(&report::to_sarif(&native(), &screen())).unwrap();
    let invocation = &sarif["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    assert_eq!(invocation["toolExecutionNotifications"][0]["message"]["text"], UNCHECKED);
    let github = report::to_github(&native(), &screen());
    assert_eq!(github, format!("::warning::{UNCHECKED}\n"));
    let junit = report::to_junit(&native(), &screen()).unwrap();
    assert!(junit.contains(r#"tests="1" skipped="1" failures="0" errors="0""#), "{junit}");
    assert!(junit.contains(&format!(r#"<skipped message="{UNCHECKED}"/>"#)), "{junit}");
}

#[test]
fn html() {
    let style = include_str!("../src/report/html.css");
    let html = report::to_html(&recorded(), &screen()).unwrap();
    assert!(html.contains(style.trim_end()));
    expect("report.html", &html.replace(style.trim_end(), ""));
}

#[test]
fn html_without_findings_has_the_calls() {
    let html = report::to_html(&clean(), &screen()).unwrap();
    assert!(html.contains("<title>pythy: no findings in 1009 calls (Valgrind 3.19.0)</title>"));
    assert!(!html.contains("<article") && !html.contains("Notes</h2>"));
    assert_eq!(html.matches("<td>1000 ×</td>").count(), 1);
}

#[test]
fn sarif() {
    expect("report.sarif", &report::to_sarif(&recorded(), &screen()));
}

#[test]
fn sarif_without_a_directory_has_no_relative_paths() {
    let sarif = report::to_sarif(&recorded(), &Screen::default());
    let uris: Vec<&str> = sarif.lines().filter(|line| line.contains(r#""uri": "#)).collect();
    assert!(uris.len() > 20);
    let relative: Vec<_> = uris.iter().filter(|line| !line.contains(r#""uri": "file:///"#)).collect();
    assert!(relative.is_empty(), "{relative:?}");
    assert!(!sarif.contains("%SRCROOT%"));
}

#[test]
fn github() {
    expect("report_github.txt", &report::to_github(&recorded(), &screen()));
    let text = report::to_github(&clean(), &screen());
    assert_eq!(text, "pythy: no findings in 1009 calls (Valgrind 3.19.0)\n");
}

#[test]
fn junit() {
    expect("report_junit.xml", &report::to_junit(&recorded(), &screen()).unwrap());
}

#[test]
fn ids_that_are_not_numbered_are_no_report() {
    let swapped = include_str!("fixtures/report.json")
        .replacen(r#"   "id": 1,"#, r#"   "id": 2,"#, 1)
        .replacen(r#"   "id": 2,"#, r#"   "id": 1,"#, 1);
    let shifted = swapped.replacen(r#"   "id": 1,"#, r#"   "id": 7,"#, 1);
    let error = report::from_json(&shifted).unwrap_err();
    assert_eq!(error, "its declarations or call sites are not numbered from 1");
}

#[test]
fn junit_without_findings_has_passed() {
    let xml = report::to_junit(&clean(), &screen()).unwrap();
    assert!(
        xml.contains(r#"<testsuites name="pythy" tests="3" skipped="0" failures="0" errors="0">"#),
        "{xml}"
    );
}
