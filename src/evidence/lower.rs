//! From an element of the XML to an event.

use super::element::Element;
use super::{
    ErrorCount, Event, FatalSignal, Frame, Kind, Leaked, MAX_FRAMES, Record, Stack, SuppressionCount, loss,
};

/// The children of `<valgrindoutput>` that are events. None of them is ever inside another.
pub(super) const EVENTS: [&str; 6] =
    ["error", "fatal_signal", "clientmsg", "errorcounts", "suppcounts", "status"];

/// The event that a child of `<valgrindoutput>` is; `None` for what is none, such as `<preamble>`.
pub(super) fn event(element: &Element) -> Option<Event> {
    match element.name.as_str() {
        "error" => record(element).map(Event::Record),
        "fatal_signal" => fatal_signal(element).map(Event::FatalSignal),
        "clientmsg" => Some(Event::ClientMessage(element.string("text").unwrap_or_default())),
        "errorcounts" => Some(Event::ErrorCounts(error_counts(element))),
        "suppcounts" => Some(Event::SuppressionCounts(suppression_counts(element))),
        "status" if element.string("state").as_deref() == Some("FINISHED") => Some(Event::Finished),
        _ => None,
    }
}

/// The event of an element that was cut off, where there is enough of it.
pub(super) fn cut_off(element: &Element) -> Option<Event> {
    match event(element)? {
        Event::Record(record) if record.what.is_empty() => None,
        event @ (Event::Record(_) | Event::FatalSignal(_)) => Some(event),
        _ => None,
    }
}

fn record(element: &Element) -> Option<Record> {
    let kind = Kind::from(element.string("kind")?.as_str());
    let what = element
        .string("what")
        .or_else(|| element.child("xwhat").and_then(|xwhat| xwhat.string("text")))
        .unwrap_or_default();
    Some(Record {
        unique: element.number("unique"),
        thread: thread(element),
        leaked: leaked(element, &what, &kind),
        stacks: stacks(element),
        kind,
        what,
    })
}

/// The sentence tells direct loss from indirect; `<leakedbytes>` is the sum of both.
fn leaked(element: &Element, what: &str, kind: &Kind) -> Option<Leaked> {
    if !kind.is_leak() {
        return None;
    }
    if let Some((_, leaked)) = loss::parse(what) {
        return Some(leaked);
    }
    let xwhat = element.child("xwhat")?;
    let figure = |name| xwhat.number(name).unwrap_or(0);
    Some(Leaked::new(figure("leakedbytes"), figure("leakedblocks"), 0))
}

/// The stacks, each with the sentence before it; a sentence that has none is one without frames.
fn stacks(element: &Element) -> Vec<Stack> {
    let mut stacks = Vec::new();
    let mut label = None;
    let mut room = MAX_FRAMES;
    for child in &element.children {
        match child.name.as_str() {
            "stack" => stacks.push(stack(child, label.take(), &mut room)),
            "auxwhat" => put_label(&mut stacks, &mut label, child.text().to_owned()),
            "xauxwhat" => put_label(&mut stacks, &mut label, child.string("text").unwrap_or_default()),
            "origin" => {
                put_label(&mut stacks, &mut label, child.string("what").unwrap_or_default());
                stacks.extend(child.children("stack").map(|origin| stack(origin, label.take(), &mut room)));
            }
            _ => {}
        }
    }
    stacks.extend(label.map(|label| Stack { label: Some(label), frames: Vec::new() }));
    stacks
}

/// Keeps `label` for the stack to come; the one before it got none.
fn put_label(stacks: &mut Vec<Stack>, pending: &mut Option<String>, label: String) {
    stacks.extend(pending.replace(label).map(|label| Stack { label: Some(label), frames: Vec::new() }));
}

fn stack(element: &Element, label: Option<String>, room: &mut usize) -> Stack {
    let frames: Vec<Frame> = element.children("frame").take(*room).map(frame).collect();
    *room -= frames.len();
    Stack { label, frames }
}

fn frame(element: &Element) -> Frame {
    Frame {
        ip: element.number("ip").unwrap_or(0),
        function: element.string("fn"),
        file: element.string("file").map(|file| match element.string("dir") {
            Some(dir) => format!("{dir}/{file}"),
            None => file,
        }),
        line: element.number("line").and_then(|line| line.try_into().ok()),
        object: element.string("obj"),
    }
}

fn fatal_signal(element: &Element) -> Option<FatalSignal> {
    let mut room = MAX_FRAMES;
    Some(FatalSignal {
        thread: thread(element),
        signo: element.number("signo")?.try_into().ok()?,
        name: element.string("signame").unwrap_or_default(),
        event: element.string("event"),
        address: element.number("siaddr"),
        stack: match element.child("stack") {
            Some(child) => stack(child, None, &mut room),
            None => Stack { label: None, frames: Vec::new() },
        },
    })
}

fn thread(element: &Element) -> Option<u32> {
    element.number("tid")?.try_into().ok()
}

fn error_counts(element: &Element) -> Vec<ErrorCount> {
    element
        .children("pair")
        .filter_map(|pair| Some(ErrorCount { unique: pair.number("unique")?, count: pair.number("count")? }))
        .collect()
}

fn suppression_counts(element: &Element) -> Vec<SuppressionCount> {
    element
        .children("pair")
        .filter_map(|pair| {
            Some(SuppressionCount { name: pair.string("name")?, count: pair.number("count")? })
        })
        .collect()
}
