//! Attribution, on journals and records made by hand: no Valgrind, no Python, no disk.

#[path = "support/expectation.rs"]
mod expectation;

use expectation::expect;
use pythy::attribution::{Basis, Category, Evidence, Finding, Observed, Place, Seen, Tables, attribute};
use pythy::bracket::{Slot, Slots};
use pythy::evidence::{Frame, Kind, Leaked, Record, Stack};
use pythy::journal::{ArgumentBlock, CallSite, Declaration, Journal, Noted, Origin};
use pythy::model::Location;
use pythy::report::{self, Scope, Screen, SourceLines, Tool};

const OUTER: u64 = 0x10_0000;
const INNER: u64 = 0x20_0000;
const LIBRARY: &str = "/proj/code.so";
const OURS: &str = "/site-packages/pythy/_native.abi3.so";

fn tables() -> Tables {
    Tables {
        slots: Some(Slots::at(OUTER, INNER)),
        own_object: Some(OURS.to_owned()),
        libraries: vec![LIBRARY.to_owned()],
        loaded: std::iter::once(0x70_0000..0x71_0000).collect(),
        num_callers: 40,
    }
}

/// A journal with a function `fill`, called once from each of these lines.
fn journal(lines: &[u32]) -> Journal {
    let mut journal = Journal::default();
    let declaration = journal.add_declaration(Declaration {
        name: "fill".into(),
        prototype: "void fill(char *text, int length)".into(),
        location: Location { file: "/proj/code.h".into(), line: 3, column: 1 },
        library: LIBRARY.into(),
        leaks: true,
    });
    let thread = journal.add_thread("MainThread");
    for &line in lines {
        let site = CallSite { file: "/proj/test.py".into(), line, function: "main".into() };
        let call_site = journal.add_call_site(site);
        let origin = journal.add_origin(Origin { declaration, call_site, test: None, thread });
        journal.begin(origin);
    }
    journal
}

fn frame(ip: u64, function: &str, object: &str) -> Frame {
    Frame { ip, function: Some(function.into()), object: Some(object.into()), ..Frame::default() }
}

/// A frame of the library; its line tells one address from another.
fn c(function: &str, line: u32) -> Frame {
    let place = Frame { file: Some("code.c".into()), line: Some(line), ..frame(0, function, LIBRARY) };
    Frame { ip: 0x4000 + u64::from(line), ..place }
}

fn python(function: &str) -> Frame {
    frame(0x9000, function, "/usr/bin/python3")
}

/// The frames of the dispatcher in call `number`: itself, then 8 bytes a slot, return addresses minus 1.
fn slots(number: u64) -> Vec<Frame> {
    shared_slots(Slot::Call(number))
}

fn shared_slots(slot: Slot) -> Vec<Frame> {
    let (outer, inner) = slot.digits();
    let call = frame(INNER - 14, "pythy_dispatch", OURS);
    let inner = frame(INNER + inner * 8 + 3, "pythy_dispatch", OURS);
    let outer = frame(OUTER + outer * 8 + 3, "pythy_dispatch", OURS);
    vec![call, inner, outer, frame(0x30, "pythy::python::entry::bracketed", OURS), python("_PyEval_Eval")]
}

fn stack(frames: Vec<Frame>) -> Stack {
    Stack { label: None, frames }
}

/// The C frames on top of the slots of a call.
fn in_call(number: u64, frames: &[Frame]) -> Stack {
    stack([frames.to_vec(), slots(number)].concat())
}

fn error(kind: Kind, stack: Stack) -> Record {
    Record {
        unique: None,
        kind,
        what: "Invalid write of size 1".into(),
        thread: Some(1),
        leaked: None,
        stacks: vec![stack],
    }
}

fn loss(blocks: u64, stack: Stack) -> Record {
    let leaked = Leaked::new(24 * blocks, blocks, 0);
    Record { leaked: Some(leaked), ..error(Kind::Leak_DefinitelyLost, stack) }
}

fn seen(record: Record, seen: Seen) -> Observed {
    Observed { evidence: Evidence::Record(record), seen }
}

fn counted(count: u64, call: u64) -> Observed {
    Observed { evidence: Evidence::Counted(count), seen: Seen::During(call) }
}

fn findings(journal: &Journal, observed: &[Observed]) -> Vec<Finding> {
    attribute(journal, observed, 0, &tables())
}

fn functions(stack: &Stack) -> Vec<&str> {
    stack.frames.iter().filter_map(|frame| frame.function.as_deref()).collect()
}

#[test]
fn two_addresses_in_a_stack_are_a_call_number() {
    for number in [1, 7, 4095, 4096, 5000, Slots::CYCLE - 1] {
        let place = tables().place(&in_call(number, &[c("fill", 9)]));
        assert_eq!(place, Place::InCall { slot: Slot::Call(number), depth: 1 });
    }
    let slots = Slots::at(OUTER, INNER);
    assert_eq!(slots.inner_digit(INNER), Some(0));
    assert_eq!(slots.inner_digit(INNER + 4096 * 8 - 1), Some(4095));
    assert_eq!(slots.inner_digit(INNER + 4096 * 8), None);
    assert_eq!(slots.outer_digit(OUTER - 1), None);
    let ends = [INNER - 33, INNER - 32, INNER - 1, INNER];
    assert_eq!(ends.map(|ip| slots.is_dispatch(ip)), [false, true, true, false]);
    assert_eq!(Slots::slot(1, 2), Slot::Call(4098));
    assert_eq!(Slots::slot(4095, 2), Slot::Shared(2));
    assert_eq!((Slot::Call(4098).digits(), Slot::Shared(2).digits()), ((1, 2), (4095, 2)));
    assert_eq!(Slot::Call(Slots::CYCLE + 5).digits(), (0, 5));
}

#[test]
fn an_error_belongs_to_the_call_in_its_stack() {
    let found = findings(
        &journal(&[10, 11, 12]),
        &[seen(error(Kind::InvalidWrite, in_call(2, &[c("put", 5), c("fill", 9)])), Seen::During(2))],
    );
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert_eq!((finding.category, finding.basis), (Category::Error, Basis::Call));
    assert_eq!((finding.call, finding.count), (Some(2), 1));
    assert_eq!(finding.occurrences, [(2, 1)]);
    assert_eq!(functions(&finding.stacks[0]), ["put", "fill"], "pythy and Python are cut off");
}

#[test]
fn of_nested_calls_the_innermost_one_erred() {
    // C called back into Python, which called C again.
    let outer = in_call(1, &[c("each", 20)]);
    let nested = [in_call(2, &[c("fill", 9)]).frames, outer.frames].concat();
    let found =
        findings(&journal(&[10, 11]), &[seen(error(Kind::InvalidWrite, stack(nested)), Seen::During(2))]);
    assert_eq!((found[0].call, found.len()), (Some(2), 1));
    assert_eq!(functions(&found[0].stacks[0]), ["fill"]);
}

#[test]
fn what_a_callback_does_in_python_is_no_finding() {
    let frames = [vec![python("unicode_decode"), frame(0x40, "trampoline", OURS)], in_call(1, &[]).frames];
    let found =
        findings(&journal(&[10]), &[seen(error(Kind::UninitValue, stack(frames.concat())), Seen::During(1))]);
    assert_eq!(found, []);
}

#[test]
fn errors_of_the_interpreter_are_no_findings() {
    let stacks = [vec![python("list_dealloc"), python("main")], vec![]];
    for frames in stacks {
        for when in [Seen::Outside, Seen::During(1)] {
            let record = error(Kind::UninitCondition, stack(frames.clone()));
            assert_eq!(findings(&journal(&[10]), &[seen(record, when)]), []);
        }
    }
    let lost = loss(3, stack(vec![python("PyObject_Malloc"), python("main")]));
    assert_eq!(findings(&journal(&[10]), &[seen(lost, Seen::LeakCheck(1, 1))]), []);
}

#[test]
fn a_stack_that_was_cut_short_belongs_to_the_call_that_ran() {
    let deep: Vec<Frame> = (0..12).map(|line| c("recurse", line)).collect();
    let found =
        findings(&journal(&[10, 11]), &[seen(error(Kind::InvalidRead, stack(deep)), Seen::During(2))]);
    assert_eq!((found[0].call, found[0].basis), (Some(2), Basis::Window));
    assert_eq!(found[0].stacks[0].frames.len(), 12);
}

#[test]
fn a_thread_of_the_librarys_own_has_no_call() {
    let frames = vec![c("worker", 30), frame(0x50, "start_thread", "/lib/libc.so.6")];
    let found = findings(&journal(&[10]), &[seen(error(Kind::InvalidRead, stack(frames)), Seen::Outside)]);
    assert_eq!((found[0].call, found[0].basis), (None, Basis::Function));
    assert_eq!(functions(&found[0].stacks[0]), ["worker", "start_thread"]);
}

#[test]
fn a_text_log_names_no_object_where_it_knows_the_line() {
    let told = |ip| {
        let frames = vec![
            Frame { object: None, ..frame(ip, "worker", "") },
            Frame { object: None, ..frame(0x50, "start_thread", "") },
        ];
        findings(&journal(&[10]), &[seen(error(Kind::InvalidRead, stack(frames)), Seen::Outside)]).len()
    };
    assert_eq!((told(0x70_0010), told(0x71_0000)), (1, 0));
}

#[test]
fn the_same_error_at_one_call_site_is_one_finding() {
    let again = |call| seen(error(Kind::InvalidWrite, in_call(call, &[c("fill", 9)])), Seen::During(call));
    // Calls 1 to 3 come from line 10, call 4 from line 11.
    let found =
        findings(&journal(&[10, 10, 10, 11]), &[again(1), counted(4, 1), again(2), again(3), again(4)]);
    let counts: Vec<_> = found.iter().map(|finding| (finding.call, finding.count)).collect();
    assert_eq!(counts, [(Some(1), 7), (Some(4), 1)]);
    assert_eq!(found[0].occurrences, [(1, 5), (2, 1), (3, 1)]);
}

#[test]
fn repeats_at_another_line_are_like_the_only_error_of_the_function() {
    let first = seen(error(Kind::InvalidWrite, in_call(1, &[c("fill", 9)])), Seen::During(1));
    let found = findings(&journal(&[10, 11]), &[first, counted(2, 2)]);
    assert_eq!((found[1].kind.as_str(), found[1].count), ("InvalidWrite", 2));
    assert_eq!((found[1].call, found[1].basis), (Some(2), Basis::Function));
}

#[test]
fn repeats_of_what_came_before_the_stretch_are_like_the_function_s_errors_if_all_are_alike() {
    let erred =
        |call, line| seen(error(Kind::InvalidWrite, in_call(call, &[c("fill", line)])), Seen::During(call));
    let told = |observed: &[Observed]| {
        let found = attribute(&journal(&[10, 11, 12]), observed, 2, &tables());
        found.iter().map(|one| (one.kind.as_str().to_owned(), one.call, one.basis)).collect::<Vec<_>>()
    };
    let like = told(&[erred(1, 9), erred(2, 9), counted(1, 3)]);
    assert_eq!(like, [("InvalidWrite".to_owned(), Some(3), Basis::Function)]);
    let unlike = told(&[erred(1, 9), erred(2, 8), counted(1, 3)]);
    assert_eq!(unlike, [("Unread".to_owned(), Some(3), Basis::Call)]);
}

#[test]
fn errors_that_nobody_can_read_are_counted() {
    let found = findings(&journal(&[10, 11]), &[counted(2, 1), counted(1, 1), counted(4, 2)]);
    let seen: Vec<_> = found.iter().map(|f| (f.kind.as_str(), f.call, f.count, f.basis)).collect();
    assert_eq!(seen, [("Unread", Some(1), 3, Basis::Call), ("Unread", Some(2), 4, Basis::Call)]);
}

#[test]
fn a_leak_in_a_window_names_the_call_that_allocated() {
    let lost = loss(1, in_call(2, &[frame(1, "malloc", "/vgpreload.so"), c("fill", 9)]));
    let found = findings(&journal(&[10, 11, 12]), &[seen(lost, Seen::LeakCheck(1, 3))]);
    let [leak] = &found[..] else { panic!("{found:?}") };
    assert_eq!((leak.category, leak.basis), (Category::Leak, Basis::Window));
    assert_eq!((leak.call, leak.allocated_by, leak.lost_between), (Some(2), Some(2), Some((1, 3))));
    assert_eq!(leak.what, "24 bytes in 1 block is definitely lost");
    assert_eq!(functions(&leak.stacks[0]), ["malloc", "fill"]);
}

#[test]
fn a_leak_of_what_was_to_be_freed_says_by_what_it_was_not() {
    let mut journal = journal(&[1, 2, 3]);
    let sentence = "returned by fill(), never passed to empty()".into();
    journal.hand_over((0, 0x100), 1, &sentence);
    journal.hand_over((0, 0x200), 2, &sentence);
    journal.take_back(0, 0x100);
    let lost = |call| seen(loss(1, in_call(call, &[c("fill", 7)])), Seen::LeakCheck(4, 3));
    let whats = findings(&journal, &[lost(1), lost(2)]).into_iter().map(|finding| finding.what);
    let dropped = "no call was made since the last check, so Python dropped the last handle";
    assert_eq!(
        whats.collect::<Vec<_>>(),
        [
            format!("24 bytes in 1 block is definitely lost: {dropped}"),
            format!(
                "24 bytes in 1 block is definitely lost: returned by fill(), never passed to empty(); {dropped}"
            ),
        ]
    );
}

#[test]
fn a_leak_after_a_check_at_each_call_is_exact() {
    let lost = loss(1, in_call(1, &[c("fill", 9)]));
    let found = findings(&journal(&[10, 11, 12]), &[seen(lost, Seen::LeakCheck(3, 3))]);
    assert_eq!(
        (found[0].call, found[0].allocated_by, found[0].basis),
        (Some(3), Some(1), Basis::Call),
        "call 3 lost what call 1 allocated"
    );
}

#[test]
fn a_leak_of_an_earlier_allocation_has_no_losing_call() {
    let lost = loss(1, in_call(1, &[c("fill", 9)]));
    let found = findings(&journal(&[10, 11, 12]), &[seen(lost, Seen::LeakCheck(2, 3))]);
    assert_eq!((found[0].call, found[0].allocated_by, found[0].basis), (None, Some(1), Basis::Window));
}

#[test]
fn a_leak_without_a_call_since_the_last_check_is_pythons_doing() {
    let lost = loss(1, in_call(1, &[c("fill", 9)]));
    let found = findings(&journal(&[10]), &[seen(lost, Seen::LeakCheck(2, 1))]);
    assert_eq!((found[0].call, found[0].allocated_by, found[0].lost_between), (None, Some(1), None));
    assert_eq!(
        found[0].what,
        "24 bytes in 1 block is definitely lost: no call was made since the last check, so Python \
         dropped the last handle"
    );
}

#[test]
fn a_loss_that_grows_is_counted_by_what_is_new() {
    // A further check repeats a record with its new total.
    let lost = |blocks| loss(blocks, in_call(1, &[c("fill", 9)]));
    let observed = [
        seen(lost(1), Seen::LeakCheck(1, 1)),
        seen(lost(1), Seen::LeakCheck(2, 2)),
        seen(lost(3), Seen::LeakCheck(3, 3)),
    ];
    let blocks = |found: &[Finding]| -> Vec<_> {
        found
            .iter()
            .filter_map(|finding| finding.leaked)
            .map(|leaked| (leaked.bytes, leaked.blocks))
            .collect()
    };
    let journal = journal(&[10, 11, 12]);
    assert_eq!(blocks(&findings(&journal, &observed)), [(24, 1), (48, 2)]);
    // A report that begins later leaves out what was lost before, and still knows it.
    assert_eq!(blocks(&attribute(&journal, &observed, 1, &tables())), [(48, 2)]);
}

#[test]
fn loss_records_outside_our_checks_are_not_ours() {
    let lost = loss(1, in_call(1, &[c("fill", 9)]));
    assert_eq!(findings(&journal(&[10]), &[seen(lost, Seen::Outside)]), []);
}

#[test]
fn numbers_come_round_again_after_a_cycle() {
    let journal = journal(&[10]);
    let record = || error(Kind::InvalidWrite, in_call(1, &[c("fill", 9)]));
    let last = Slots::CYCLE + 1;
    for (when, number) in [(1, 1), (2, 1), (last, last), (last + 7, last)] {
        assert_eq!(findings(&journal, &[seen(record(), Seen::During(when))])[0].call, Some(number));
    }
    // The slots of a call that has not been made yet.
    let early = error(Kind::InvalidWrite, in_call(9, &[c("fill", 9)]));
    assert_eq!(findings(&journal, &[seen(early, Seen::Outside)])[0].call, None);
}

fn tool() -> Tool {
    Tool {
        pythy: "0.1.0".into(),
        valgrind: Some("3.19.0".into()),
        checker: "memcheck".into(),
        python: Some("3.12.1".into()),
        mode: "inprocess".into(),
    }
}

/// A journal in which line 10 has erred in calls 1 to 10, so that its calls 11 to 13 share a slot.
fn frequent() -> Journal {
    let mut journal = journal(&[10; 10]);
    let origin = journal.origin_id(1).unwrap();
    for call in 1..=10 {
        assert_eq!(journal.frequent(call), None);
        journal.note(call, Noted { errors: 1, ..Noted::default() });
    }
    for _ in 11..=13 {
        let call = journal.begin(origin);
        assert_eq!(journal.frequent(call), Some(0));
    }
    journal
}

#[test]
fn calls_of_a_line_that_errs_often_are_summed_up() {
    let journal = frequent();
    let known = seen(error(Kind::InvalidWrite, in_call(1, &[c("fill", 9)])), Seen::During(1));
    let repeats = Observed { evidence: Evidence::Counted(2), seen: Seen::Among(12) };
    let found = findings(&journal, &[known, repeats]);
    assert_eq!((found.len(), found[0].count, &found[0].occurrences), (1, 3, &vec![(1, 1)]));
    let scope = Scope { first: 1, last: 13 };
    let report = report::build(tool(), Vec::new(), Some((&journal, scope)), &found);
    let calls: Vec<_> = report.calls.iter().map(|call| (call.number, call.count, call.errors)).collect();
    assert_eq!(calls, [(Some(1), 1, 1), (None, 12, 2)]);
}

#[test]
fn what_is_new_in_a_line_that_errs_often_is_in_its_sum() {
    let journal = frequent();
    let shared = [vec![c("fill", 8)], shared_slots(Slot::Shared(0))].concat();
    let new = Observed {
        evidence: Evidence::Record(error(Kind::InvalidRead, stack(shared))),
        seen: Seen::During(12),
    };
    let repeats = Observed { evidence: Evidence::Counted(5), seen: Seen::Among(12) };
    let found = findings(&journal, &[new, repeats]);
    assert_eq!((found[0].call, found[0].count, &found[0].occurrences), (Some(12), 6, &vec![]));
    let report = report::build(tool(), Vec::new(), Some((&journal, Scope { first: 1, last: 13 })), &found);
    let calls: Vec<_> = report.calls.iter().map(|call| (call.number, call.count, call.errors)).collect();
    assert_eq!(calls, [(None, 13, 6)]);
}

#[test]
fn repeats_of_the_only_thing_that_a_function_does_wrong_are_of_that_in_each_line() {
    let journal = journal(&[10, 11, 12, 13]);
    let known = seen(error(Kind::InvalidWrite, in_call(1, &[c("fill", 9)])), Seen::During(1));
    let found = findings(&journal, &[known, counted(1, 2), counted(1, 3), counted(2, 4)]);
    let told: Vec<_> = found.iter().map(|one| (one.kind.as_str(), one.call, one.count, one.basis)).collect();
    assert_eq!(
        told,
        [
            ("InvalidWrite", Some(1), 1, Basis::Call),
            ("InvalidWrite", Some(2), 1, Basis::Function),
            ("InvalidWrite", Some(3), 1, Basis::Function),
            ("InvalidWrite", Some(4), 2, Basis::Function),
        ]
    );
}

#[test]
fn what_a_line_loses_that_errs_often_is_in_its_sum_too() {
    let journal = frequent();
    let known = seen(error(Kind::InvalidWrite, in_call(1, &[c("fill", 9)])), Seen::During(1));
    let repeats = Observed { evidence: Evidence::Counted(3), seen: Seen::Among(13) };
    let shared = || stack([vec![c("fill", 8)], shared_slots(Slot::Shared(0))].concat());
    let lost = seen(loss(1, shared()), Seen::LeakCheck(12, 12));
    let found = findings(&journal, &[known, repeats, lost]);
    let report = report::build(tool(), Vec::new(), Some((&journal, Scope { first: 1, last: 13 })), &found);
    let calls: Vec<_> =
        report.calls.iter().map(|call| (call.number, call.count, call.errors, call.leaked_bytes)).collect();
    assert_eq!(calls, [(Some(1), 1, 1, 0), (None, 12, 3, 24)]);
}

#[test]
fn a_shared_slot_names_the_call_that_is_running_or_only_its_line() {
    let journal = frequent();
    let shared = || stack([vec![c("fill", 8)], shared_slots(Slot::Shared(0))].concat());
    let during = findings(&journal, &[seen(error(Kind::InvalidRead, shared()), Seen::During(12))]);
    assert_eq!((during[0].call, during[0].basis), (Some(12), Basis::Call));
    let exact = findings(&journal, &[seen(loss(1, shared()), Seen::LeakCheck(13, 13))]);
    assert_eq!((exact[0].call, exact[0].allocated_by, exact[0].basis), (Some(13), Some(13), Basis::Call));
    let later = findings(&journal, &[seen(loss(1, shared()), Seen::LeakCheck(1, 13))]);
    assert_eq!((later[0].call, later[0].allocated_by, later[0].basis), (None, Some(13), Basis::Function));
    assert_eq!(
        later[0].what,
        "24 bytes in 1 block is definitely lost: allocated by a call from this line, not necessarily this one, \
         because calls from lines that have erred often share a slot"
    );
}

#[test]
fn an_address_beside_an_argument_is_told_by_its_name() {
    let mut journal = journal(&[10]);
    let blocks = vec![ArgumentBlock { name: "text".into(), address: 0x1000, size: 16 }];
    journal.note(1, Noted { errors: 1, blocks, ..Noted::default() });
    let label_of = |label: &str| {
        let mut record = error(Kind::InvalidWrite, in_call(1, &[c("fill", 9)]));
        let frames =
            vec![frame(1, "malloc", "/vgpreload.so"), frame(2, "pythy::call::block::Block::copy_of", OURS)];
        record.stacks.push(Stack { label: Some(label.into()), frames });
        findings(&journal, &[seen(record, Seen::During(1))])[0].stacks[1].label.clone().unwrap()
    };
    for (valgrind, ours) in [
        ("0x1010 is 0 bytes after", "0x1010 is 1 byte after argument 'text' (16 bytes) of fill()"),
        ("0x1411 is 1,025 bytes after", "0x1411 is 1026 bytes after argument 'text' (16 bytes) of fill()"),
        ("0xfff is 1 bytes before", "0xfff is 1 byte before argument 'text' (16 bytes) of fill()"),
        ("0x100f is 15 bytes inside", "0x100f is 15 bytes inside argument 'text' (16 bytes) of fill()"),
    ] {
        let label = format!("Address {valgrind} a block of size 16 alloc'd");
        assert_eq!(label_of(&label), format!("Address {ours}"));
    }
    let other = "Address 0x2010 is 0 bytes after a block of size 16 alloc'd";
    assert_eq!(label_of(other), format!("{other} by pythy: a copy of an argument"));
}

#[test]
fn a_copy_of_an_argument_is_said_to_be_one() {
    let mut record = error(Kind::InvalidWrite, in_call(1, &[c("fill", 9)]));
    let label = Some("Address 0x5 is 0 bytes after a block of size 16 alloc'd".to_owned());
    let ours = vec![
        frame(1, "malloc", "/vgpreload.so"),
        frame(2, "pythy::call::block::Block::copy_of", OURS),
        python("f"),
    ];
    record.stacks.push(Stack { label, frames: ours });
    let found = findings(&journal(&[10]), &[seen(record, Seen::During(1))]);
    let copy = &found[0].stacks[1];
    assert_eq!(
        copy.label.as_deref(),
        Some("Address 0x5 is 0 bytes after a block of size 16 alloc'd by pythy: a copy of an argument")
    );
    assert_eq!(copy.frames, []);
}

struct Lines;

impl SourceLines for Lines {
    fn line(&mut self, file: &str, line: u32) -> Option<String> {
        (file == "/proj/test.py" && line == 10).then(|| "lib.fill(text, 17)".to_owned())
    }
}

fn table(observed: &[Observed], journal: &Journal, screen: &Screen) -> String {
    let scope = Scope { first: 1, last: journal.last() };
    let found = attribute(journal, observed, 0, &tables());
    let mut report = report::build(tool(), vec!["a note".into()], Some((journal, scope)), &found);
    report.add_sources(&mut Lines);
    report::to_table(&report, screen)
}

fn two_findings() -> Vec<Observed> {
    let write = |call| seen(error(Kind::InvalidWrite, in_call(call, &[c("fill", 9)])), Seen::During(call));
    vec![write(1), write(2), seen(loss(2, in_call(3, &[c("keep", 30), c("fill", 9)])), Seen::LeakCheck(1, 3))]
}

#[test]
fn a_table_for_a_file_has_lines_as_long_as_they_are() {
    let screen = Screen { width: None, directory: Some("/proj".into()) };
    let text = table(&two_findings(), &journal(&[10, 10, 11]), &screen);
    expect("report_table.txt", &text);
}

#[test]
fn a_table_for_a_terminal_keeps_to_its_width() {
    let text = table(&two_findings(), &journal(&[10, 10, 11]), &Screen { width: Some(72), directory: None });
    expect("report_table_72.txt", &text);
    let widest = text.lines().filter(|line| line.starts_with('│')).map(|line| line.chars().count()).max();
    assert!(widest <= Some(72));
}

#[test]
fn without_findings_the_table_is_a_line() {
    let text = table(&[], &journal(&[10]), &Screen::default());
    assert_eq!(text, "note: a note\npythy: no findings in 1 call (Valgrind 3.19.0)\n");
}

#[test]
fn pythys_own_block_freed_by_c_is_the_calls_that_freed_it() {
    let ours =
        vec![frame(1, "free", "/vgpreload.so"), frame(2, "drop_in_place<pythy::call::block::Block>", OURS)];
    let mut record = error(Kind::InvalidFree, Stack { label: None, frames: ours });
    let freed = in_call(1, &[frame(1, "free", "/vgpreload.so"), c("discard", 9)]);
    record.stacks.push(Stack { label: Some("Address 0x5 is … free'd".to_owned()), ..freed });
    let found = findings(&journal(&[10]), &[seen(record, Seen::Outside)]);
    let [freed] = &found[..] else { panic!("{found:?}") };
    assert_eq!((freed.kind.as_str(), freed.call, freed.basis), ("InvalidFree", Some(1), Basis::Call));
    assert_eq!(functions(&freed.stacks[0]), ["free", "discard"]);
}

#[test]
fn a_block_that_is_lost_more_surely_later_is_told_once() {
    let journal = journal(&[10, 11]);
    let of = |kind: Kind, blocks| Record { kind, ..loss(blocks, in_call(1, &[c("fill", 9)])) };
    let observed = [
        seen(of(Kind::Leak_StillReachable, 3), Seen::LeakCheck(1, 1)),
        seen(of(Kind::Leak_PossiblyLost, 1), Seen::LeakCheck(2, 2)),
        seen(of(Kind::Leak_DefinitelyLost, 2), Seen::LeakCheck(2, 2)),
    ];
    let told = |count| {
        let found = findings(&journal, &observed[..count]);
        found.iter().map(|f| (f.kind.clone(), f.leaked.unwrap().blocks, f.what.clone())).collect::<Vec<_>>()
    };
    let possibly = (Kind::Leak_PossiblyLost, 1, "24 bytes in 1 block is possibly lost".to_owned());
    let reachable = (Kind::Leak_StillReachable, 2, "48 bytes in 2 blocks are still reachable".to_owned());
    assert_eq!(told(2), [reachable, possibly]);
    assert_eq!(
        told(3),
        [
            (Kind::Leak_PossiblyLost, 1, "24 bytes in 1 block is possibly lost".to_owned()),
            (Kind::Leak_DefinitelyLost, 2, "48 bytes in 2 blocks are definitely lost".to_owned()),
        ]
    );
}

/// A list of which the first block has 8 bytes, and `indirect` bytes hang on it.
fn list(call: u64, indirect: u64) -> Record {
    let leaked = Leaked { bytes: 8, blocks: 1, indirect_bytes: indirect, indirect_blocks: None };
    Record { leaked: Some(leaked), ..loss(1, in_call(call, &[c("fill", 9)])) }
}

fn checked(bytes: u64, blocks: u64, (first, last): (u64, u64)) -> Observed {
    Observed {
        evidence: Evidence::Checked(Leaked::new(bytes, blocks, 0)),
        seen: Seen::LeakCheck(first, last),
    }
}

fn indirect(found: &[Finding]) -> Vec<Option<u64>> {
    found.iter().map(|finding| finding.leaked.unwrap().indirect_blocks).collect()
}

#[test]
fn how_many_blocks_were_lost_indirectly_is_known_when_one_record_has_them_all() {
    let journal = journal(&[10, 11, 12]);
    let lost = |record: Record, last: u64| seen(record, Seen::LeakCheck(last, last));
    let one = [lost(list(1, 40), 1), lost(loss(2, in_call(2, &[c("fill", 8)])), 1), checked(96, 6, (1, 1))];
    assert_eq!(indirect(&findings(&journal, &one)), [Some(3), Some(0)]);
    // Each check by itself, also where a report begins after the first.
    let two = [&one[..], &[lost(list(2, 16), 2), checked(24, 2, (2, 2))]].concat();
    assert_eq!(indirect(&findings(&journal, &two)), [Some(3), Some(0), Some(1)]);
    assert_eq!(indirect(&attribute(&journal, &two, 3, &tables())), [Some(1)]);
}

#[test]
fn how_many_blocks_were_lost_indirectly_is_else_not_known() {
    let journal = journal(&[10, 11, 12]);
    let lost = |record: Record| seen(record, Seen::LeakCheck(1, 2));
    // Two lists, a suppressed record of 10 bytes, no figures.
    let two = [lost(list(1, 40)), lost(list(2, 16)), checked(72, 6, (1, 2))];
    assert_eq!(indirect(&findings(&journal, &two)), [None, None]);
    let more = [lost(list(1, 40)), checked(58, 3, (1, 2))];
    assert_eq!(indirect(&findings(&journal, &more)), [None]);
    assert_eq!(indirect(&findings(&journal, &[lost(list(1, 40))])), [None]);

    let scope = Scope { first: 1, last: 3 };
    let report = report::build(tool(), Vec::new(), Some((&journal, scope)), &findings(&journal, &two));
    assert_eq!((report.totals.leaked_bytes, report.totals.leaked_blocks), (72, 2));
    assert_eq!(
        report.notes,
        [
            "how many blocks were lost indirectly with 2 leaks is not known, only their bytes, so they are missing in \
             the sums of blocks; leak_check=\"call\" tells more of them, and \
             'valgrind --show-leak-kinds=definite,indirect,possible' shows them as findings of their own"
        ]
    );
    let text = report::to_table(&report, &Screen::default());
    assert!(!text.contains("such leaks"), "{text}");
}

#[test]
fn a_block_that_was_lost_indirectly_is_in_the_sums_once() {
    let journal = journal(&[10, 11, 12]);
    let kind = Kind::Leak_IndirectlyLost;
    let leaked = Some(Leaked::new(40, 3, 0));
    let hanging = Record { kind, leaked, ..loss(1, in_call(1, &[c("fill", 7)])) };
    let seen_at = |record| seen(record, Seen::LeakCheck(1, 3));
    let both = [seen_at(list(1, 40)), seen_at(hanging.clone())];
    for (observed, bytes, blocks, notes) in
        [(&both[..], 48, 4, 0), (&both[1..], 40, 3, 0), (&both[..1], 48, 1, 1)]
    {
        let found = findings(&journal, observed);
        let scope = Scope { first: 1, last: 3 };
        let report = report::build(tool(), Vec::new(), Some((&journal, scope)), &found);
        assert_eq!((report.totals.leaked_bytes, report.totals.leaked_blocks), (bytes, blocks));
        assert_eq!((report.calls[0].leaked_bytes, report.calls[0].leaked_blocks), (bytes, blocks));
        assert_eq!(report.notes.len(), notes);
    }
}

#[test]
fn leaks_that_are_shown_as_one_say_how_many_blocks_they_are_at_least() {
    let journal = journal(&[10, 10, 10]);
    let lost = |record: Record| seen(record, Seen::LeakCheck(1, 3));
    let lists = [lost(list(1, 40)), lost(list(2, 16)), checked(72, 6, (1, 3))];
    assert!(
        table(&lists, &journal, &Screen::default()).contains("2 such leaks: 72 bytes in at least 2 blocks")
    );
    let known = [lost(list(1, 40)), checked(48, 3, (1, 3))];
    let other = [lost(list(2, 16)), checked(24, 2, (1, 3))];
    let text = table(&[known, other].concat(), &journal, &Screen::default());
    assert!(text.contains("2 such leaks: 72 bytes in 5 blocks"), "{text}");
}

/// A constructor of a library, run while pythy loads it.
fn at_load(frames: &[Frame]) -> Stack {
    let libc = "/usr/lib/libc.so.6";
    let loader =
        [frame(0x50, "_dl_init", "/usr/lib/ld-linux-x86-64.so.2"), frame(0x51, "dlopen@@GLIBC_2.34", libc)];
    let ours = [frame(0x31, "<pythy::binding::loader::Here>::load", OURS), python("_PyEval_Eval")];
    stack([frames, &loader, &ours].concat())
}

#[test]
fn what_a_constructor_does_wrong_is_no_calls_and_ends_where_pythy_begins() {
    let needed = frame(0x60, "start", "/proj/needed.so");
    let journal = journal(&[10]);
    for (innermost, line) in [(c("start", 3), Some(3)), (needed, None)] {
        for seen in [Seen::Outside, Seen::During(1)] {
            let record = error(Kind::InvalidWrite, at_load(std::slice::from_ref(&innermost)));
            let observed = [Observed { evidence: Evidence::Record(record), seen }];
            let [finding] = &attribute(&journal, &observed, 0, &tables())[..] else {
                panic!("not one finding")
            };
            assert_eq!((finding.call, finding.basis), (None, Basis::Function));
            let functions: Vec<_> =
                finding.stacks[0].frames.iter().map(|frame| frame.function.as_deref()).collect();
            assert_eq!(functions, [Some("start"), Some("_dl_init"), Some("dlopen@@GLIBC_2.34")]);
            assert_eq!(finding.stacks[0].frames[0].line, line);
        }
    }
}

#[test]
fn what_the_loader_does_and_what_python_calls_in_a_callback_is_nobodys() {
    let alone = at_load(&[]);
    let in_callback =
        stack(vec![c("inflate", 4), python("_PyEval_Eval"), frame(0x32, "pythy::python::thunk::run", OURS)]);
    for stack in [alone, in_callback] {
        assert_eq!(tables().place(&stack), Place::Elsewhere);
    }
}
