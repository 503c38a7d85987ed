use super::{Finding, Frame, Screen, Stack};
use crate::attribution::Category;

/// A finding's stacks as text: a line for each sentence and frame.
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

/// `function (file.c:12)`, or what of it is known.
pub(super) fn frame_text(frame: &Frame, screen: &Screen) -> String {
    let function = frame.function.as_deref().unwrap_or("???");
    match (&frame.file, frame.line, &frame.object) {
        (Some(file), Some(line), _) => format!("{function} ({}:{line})", screen.path(file)),
        (Some(file), None, _) => format!("{function} ({})", screen.path(file)),
        (None, _, Some(object)) => format!("{function} (in {})", screen.path(object)),
        (None, _, None) => format!("{function} ({})", frame.ip),
    }
}
