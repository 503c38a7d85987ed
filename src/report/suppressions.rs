use super::{Finding, Frame, Report};
use crate::attribution::Category;

/// Most frames of an entry: Valgrind refuses more.
const MAX_FRAMES: usize = 24;

/// Entries for Valgrind's `--suppressions=FILE`, one for each finding, with the call it comes from. A finding
/// that no entry can stand for has a line that says so.
pub fn to_suppressions(report: &Report) -> String {
    let mut text = String::from(
        "# Say above each entry why it is not to be mended, and delete those of defects that are.\n",
    );
    let mut written: Vec<String> = Vec::new();
    for finding in &report.findings {
        let lines = match body(finding) {
            Err(reason) => {
                text.push_str(&format!("\n# Finding {}, {}: {reason}\n", finding.id, finding.kind));
                continue;
            }
            Ok(lines) => lines,
        };
        if written.contains(&lines) {
            continue;
        }
        let name = name(report, finding);
        text.push_str(&format!("\n{}{{\n   {name}\n{lines}}}\n", comment(report, finding)));
        written.push(lines);
    }
    text
}

/// What the entry is about: the finding, its declaration, and the line of Python.
fn comment(report: &Report, finding: &Finding) -> String {
    let mut text = format!("# {}: {}\n", finding.kind, finding.what);
    if let Some(call) = finding.allocated_by.as_ref().or(finding.call.as_ref()) {
        let (declaration, site) = (report.declaration(call.declaration), report.call_site(call.call_site));
        text.push_str(&format!(
            "# {} ({}:{}), called from {}:{}\n",
            declaration.prototype, declaration.file, declaration.line, site.file, site.line
        ));
    }
    text
}

fn name(report: &Report, finding: &Finding) -> String {
    let call = finding.allocated_by.as_ref().or(finding.call.as_ref());
    let function = call.map_or("library", |call| &report.declaration(call.declaration).name);
    format!("{function}-{}-{}", finding.kind, finding.id)
}

/// Type, the line that some types want after it, and the frames; or why there is no entry.
fn body(finding: &Finding) -> Result<String, &'static str> {
    let (kind, detail) = suppression(finding)?;
    let stack = finding.stacks.first().filter(|stack| stack.label.is_none() && !stack.frames.is_empty());
    let stack = stack.ok_or("its C stack is not known, so no entry could be told from others")?;
    let mut lines = format!("   Memcheck:{kind}\n");
    lines.extend(detail.map(|detail| format!("   {detail}\n")));
    lines.extend(stack.frames.iter().take(MAX_FRAMES).map(|one| format!("   {}\n", frame(one))));
    Ok(lines)
}

/// Valgrind compares functions by the names that linkers know, but shows those of C++ and Rust in their own
/// spelling: such a frame goes by its file.
fn frame(frame: &Frame) -> String {
    let plain = |name: &&String| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.@$".contains(&byte)) && !name.is_empty()
    };
    match (frame.function.as_ref().filter(plain), &frame.object) {
        (Some(function), _) => format!("fun:{function}"),
        (None, Some(object)) => format!("obj:{object}"),
        (None, None) => "obj:*".to_owned(),
    }
}

/// The type of suppression for a kind, and the further line that it has.
fn suppression(finding: &Finding) -> Result<(String, Option<String>), &'static str> {
    const UNKNOWN: &str = "what it was is not known, so there is no entry";
    if finding.category == Category::Crash {
        return Err("a crash cannot be suppressed");
    }
    let what = finding.what.as_str();
    if finding.kind == "InvalidFree" && !what.starts_with("Invalid free()") {
        return Err("Valgrind noticed it in pythy's own code, which an entry would have to name");
    }
    let sized = |kind: &str| {
        let size = what.rsplit_once("of size ").map(|(_, size)| size).ok_or(UNKNOWN)?;
        Ok((format!("{kind}{size}"), None))
    };
    let plain = |kind: &str| Ok((kind.to_owned(), None));
    match finding.kind.as_str() {
        "InvalidRead" | "InvalidWrite" => sized("Addr"),
        "UninitValue" => sized("Value"),
        "UninitCondition" => plain("Cond"),
        "InvalidJump" => plain("Jump"),
        "InvalidFree" | "MismatchedFree" => plain("Free"),
        "Overlap" => plain("Overlap"),
        "InvalidMemPool" => plain("Mempool"),
        "ClientCheck" => plain("User"),
        "ReallocSizeZero" => plain("ReallocZero"),
        "InvalidAlignment" | "InvalidSizeAndAlignment" => plain("BadAlign"),
        "InvalidSize" => plain("BadSize"),
        "MismatchedAllocateDeallocateSize" => plain("SizeMismatch"),
        "MismatchedAllocateDeallocateAlignment" => plain("AlignMismatch"),
        "SyscallParam" => Ok(("Param".to_owned(), Some(parameter(what).ok_or(UNKNOWN)?))),
        "FishyValue" => Ok(("FishyValue".to_owned(), Some(argument(what).ok_or(UNKNOWN)?))),
        "Leak_DefinitelyLost" => leak("definite"),
        "Leak_IndirectlyLost" => leak("indirect"),
        "Leak_PossiblyLost" => leak("possible"),
        "Leak_StillReachable" => leak("reachable"),
        _ => Err(UNKNOWN),
    }
}

fn leak(kind: &str) -> Result<(String, Option<String>), &'static str> {
    Ok(("Leak".to_owned(), Some(format!("match-leak-kinds: {kind}"))))
}

/// `write(buf)` in `Syscall param write(buf) points to uninitialised byte(s)`.
fn parameter(what: &str) -> Option<String> {
    let rest = what.strip_prefix("Syscall param ")?;
    let (name, _) = rest.split_once(" points to ").or_else(|| rest.split_once(" contains "))?;
    Some(name.to_owned())
}

/// `malloc(size)` in `Argument 'size' of function malloc has a fishy (possibly negative) value: -1`.
fn argument(what: &str) -> Option<String> {
    let (name, rest) = what.strip_prefix("Argument '")?.split_once("' of function ")?;
    let (function, _) = rest.split_once(" has a fishy")?;
    Some(format!("{function}({name})"))
}
