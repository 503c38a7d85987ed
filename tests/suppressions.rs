//! Suppressions made of findings: their types, their frames, and what has none.

use pythy::attribution::{Basis, Category};
use pythy::report::{self, Call, CallSite, Declaration, Finding, Frame, Report, SCHEMA, Stack, Tool, Totals};

fn frame(function: Option<&str>, object: Option<&str>) -> Frame {
    let ip = "0x1".to_owned();
    Frame {
        ip,
        function: function.map(str::to_owned),
        object: object.map(str::to_owned),
        file: None,
        line: None,
    }
}

fn finding(id: u32, kind: &str, what: &str, frames: Vec<Frame>) -> Finding {
    let category = if kind.starts_with("Leak_") { Category::Leak } else { Category::Error };
    let call = Call {
        number: u64::from(id),
        declaration: 1,
        call_site: 1,
        test: None,
        thread: "MainThread".into(),
        arguments: Vec::new(),
    };
    Finding {
        id,
        category,
        kind: kind.into(),
        what: what.into(),
        count: 1,
        basis: Basis::Call,
        call: Some(call),
        allocated_by: None,
        lost_between: None,
        leaked: None,
        stacks: vec![Stack { label: None, frames }],
    }
}

fn report(findings: Vec<Finding>) -> Report {
    let tool = Tool {
        pythy: "0.1.0".into(),
        valgrind: Some("3.19.0".into()),
        checker: "memcheck".into(),
        python: None,
        mode: "inprocess".into(),
    };
    let declaration = Declaration {
        id: 1,
        name: "fill".into(),
        prototype: "void fill(char *text)".into(),
        file: "code.h".into(),
        line: 3,
        column: 1,
        library: "code.so".into(),
    };
    let site = CallSite { id: 1, file: "test.py".into(), line: 7, function: "<module>".into(), source: None };
    Report {
        schema: SCHEMA.into(),
        tool,
        totals: Totals { calls: Some(1), errors: 0, leaked_bytes: 0, leaked_blocks: 0, crashes: 0 },
        notes: Vec::new(),
        declarations: vec![declaration],
        call_sites: vec![site],
        findings,
        calls: Vec::new(),
    }
}

/// The entries' own lines, without the comments.
fn entries(findings: Vec<Finding>) -> Vec<String> {
    let text = report::to_suppressions(&report(findings));
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn an_entry_tells_what_it_is_about() {
    let frames = vec![frame(Some("strlen"), None), frame(Some("fill"), Some("/proj/code.so"))];
    let text =
        report::to_suppressions(&report(vec![finding(1, "InvalidRead", "Invalid read of size 1", frames)]));
    assert_eq!(
        text,
        "# Say above each entry why it is not to be mended, and delete those of defects that are.\n\
         \n\
         # InvalidRead: Invalid read of size 1\n\
         # void fill(char *text) (code.h:3), called from test.py:7\n\
         {\n   fill-InvalidRead-1\n   Memcheck:Addr1\n   fun:strlen\n   fun:fill\n}\n"
    );
}

#[test]
fn every_kind_has_its_type() {
    for (kind, what, expected) in [
        ("InvalidWrite", "Invalid write of size 16", "Addr16"),
        ("UninitValue", "Use of uninitialised value of size 8", "Value8"),
        ("UninitCondition", "Conditional jump or move depends on uninitialised value(s)", "Cond"),
        ("InvalidJump", "Jump to the invalid address stated on the next line", "Jump"),
        ("InvalidFree", "Invalid free() / delete / delete[] / realloc()", "Free"),
        ("MismatchedFree", "Mismatched free() / delete / delete []", "Free"),
        ("Overlap", "Source and destination overlap in memcpy(0x1, 0x2, 8)", "Overlap"),
        ("InvalidMemPool", "Illegal memory pool address", "Mempool"),
        ("ClientCheck", "Uninitialised byte(s) found during client check request", "User"),
        ("SyscallParam", "Syscall param write(buf) points to uninitialised byte(s)", "Param write(buf)"),
        ("SyscallParam", "Syscall param close(fd) contains uninitialised byte(s)", "Param close(fd)"),
        (
            "FishyValue",
            "Argument 'size' of function malloc has a fishy (possibly negative) value: -1",
            "FishyValue malloc(size)",
        ),
        ("ReallocSizeZero", "realloc() with size 0", "ReallocZero"),
        ("InvalidAlignment", "Invalid alignment value: 3 (should be power of 2)", "BadAlign"),
        ("InvalidSizeAndAlignment", "Invalid size value: 0 alignment value: 16", "BadAlign"),
        ("InvalidSize", "aligned_alloc invalid size value: 0", "BadSize"),
        ("MismatchedAllocateDeallocateSize", "Mismatched new[]/delete[] size value: 8", "SizeMismatch"),
        ("MismatchedAllocateDeallocateAlignment", "Mismatched new/delete alignment", "AlignMismatch"),
        ("Leak_DefinitelyLost", "1 byte in 1 block is definitely lost", "Leak match-leak-kinds: definite"),
        ("Leak_IndirectlyLost", "1 byte in 1 block is indirectly lost", "Leak match-leak-kinds: indirect"),
        ("Leak_PossiblyLost", "1 byte in 1 block is possibly lost", "Leak match-leak-kinds: possible"),
        ("Leak_StillReachable", "1 byte in 1 block is still reachable", "Leak match-leak-kinds: reachable"),
    ] {
        let lines = entries(vec![finding(1, kind, what, vec![frame(Some("fill"), None)])]);
        let found = lines[2..lines.len() - 2].iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        assert_eq!(found, format!("Memcheck:{expected}"), "{kind}");
        assert_eq!(lines[lines.len() - 2..], ["   fun:fill", "}"]);
    }
}

#[test]
fn a_frame_whose_linker_name_is_not_known_goes_by_its_file() {
    let frames = vec![
        frame(Some("operator new(unsigned long)"), Some("/lib/vgpreload.so")),
        frame(Some("shapes::Box::Box()"), None),
        frame(None, Some("/proj/code.so")),
        frame(None, None),
    ];
    let lines = entries(vec![finding(1, "UninitCondition", "", frames)]);
    assert_eq!(lines[3..7], ["   obj:/lib/vgpreload.so", "   obj:*", "   obj:/proj/code.so", "   obj:*"]);
}

#[test]
fn equal_entries_are_written_once_and_no_stack_is_too_deep_for_valgrind() {
    let deep = || vec![frame(Some("dig"), None); 40];
    let again = |id| finding(id, "UninitCondition", "", deep());
    let lines = entries(vec![again(1), again(2)]);
    assert_eq!(lines.iter().filter(|line| *line == "{").count(), 1);
    assert_eq!(lines.iter().filter(|line| *line == "   fun:dig").count(), 24);
}

#[test]
fn what_no_entry_can_stand_for_is_told() {
    let mut unread = finding(1, "Unread", "errors that Valgrind counted", Vec::new());
    unread.stacks.clear();
    let mut lost = finding(2, "Leak_DefinitelyLost", "24 bytes in 1 block is lost", Vec::new());
    lost.stacks.clear();
    let mut crash = finding(3, "SIGSEGV", "SIGSEGV", vec![frame(Some("fill"), None)]);
    crash.category = Category::Crash;
    let what = "free() of memory that Python owns: an argument's copy, or what lib.new made";
    let freed = finding(4, "InvalidFree", what, vec![frame(Some("free"), None)]);
    let text = report::to_suppressions(&report(vec![unread, lost, crash, freed]));
    let told: Vec<_> = text.lines().skip(1).filter(|line| !line.is_empty()).collect();
    assert_eq!(
        told,
        [
            "# Finding 1, Unread: what it was is not known, so there is no entry",
            "# Finding 2, Leak_DefinitelyLost: its C stack is not known, so no entry could be told from others",
            "# Finding 3, SIGSEGV: a crash cannot be suppressed",
            "# Finding 4, InvalidFree: Valgrind noticed it in pythy's own code, which an entry would have to name",
        ]
    );
}
