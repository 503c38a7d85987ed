use super::Report;

/// What a report comes to, as a line of text.
pub(super) fn summary(report: &Report) -> String {
    let totals = &report.totals;
    let calls = totals.calls.map(|calls| format!(" in {}", plural(calls, "call"))).unwrap_or_default();
    match report.tool.valgrind.as_ref().filter(|_| report.is_checked()) {
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

/// `1 block`, `2 blocks`.
pub(super) fn plural(count: u64, noun: &str) -> String {
    match (count, noun) {
        (1, _) => format!("1 {noun}"),
        (_, "crash") => format!("{count} crashes"),
        _ => format!("{count} {noun}s"),
    }
}
