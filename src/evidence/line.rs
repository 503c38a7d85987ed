//! One line of a text log.

use super::Frame;

/// Who writes a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// `==123==`: Valgrind.
    Valgrind,
    /// `**123**`: the program, through `VALGRIND_PRINTF`.
    Client,
}

/// What Valgrind writes for process `pid` on a line, without marker and line's end. The marker may
/// have a time in it (`--time-stamp=yes`), and may come after what the program wrote without
/// ending its line.
pub(super) fn content(line: &str, pid: u32) -> Option<(Voice, &str)> {
    line.match_indices(['=', '*']).find_map(|(at, _)| marked(&line[at..], pid))
}

/// The content of what begins with a marker: `==123== `, `**123** `, `==00:00:00:01.234 123== `.
fn marked(line: &str, pid: u32) -> Option<(Voice, &str)> {
    let (voice, fence) = match line.get(..2)? {
        "==" => (Voice::Valgrind, "=="),
        "**" => (Voice::Client, "**"),
        _ => return None,
    };
    let (inside, content) = line[2..].split_once(fence)?;
    let number = match inside.split_once(' ') {
        Some((time, number)) if time.chars().all(|c| c.is_ascii_digit() || c == ':' || c == '.') => number,
        Some(_) => return None,
        None => inside,
    };
    if number.parse() != Ok(pid) || number.starts_with('+') {
        return None;
    }
    let content = content.strip_prefix(' ').unwrap_or(content);
    Some((voice, content.trim_end_matches(['\n', '\r'])))
}

/// The frame in `   at 0x483877F: malloc (vg_replace_malloc.c:381)`; `None` for any other content.
pub(super) fn frame(content: &str) -> Option<Frame> {
    let content = content.trim_start_matches(' ');
    let rest = content.strip_prefix("at 0x").or_else(|| content.strip_prefix("by 0x"))?;
    let (ip, rest) = rest.split_once(':').unwrap_or((rest, ""));
    let mut frame = Frame { ip: u64::from_str_radix(ip, 16).ok()?, ..Frame::default() };
    let function = match place(rest.trim_start_matches(' ')) {
        (function, Some(Place::Object(object))) => {
            frame.object = Some(object.to_owned());
            function
        }
        (function, Some(Place::Line(file, line))) => {
            frame.file = Some(file.to_owned());
            frame.line = Some(line);
            function
        }
        (function, None) => function,
    };
    if !function.is_empty() && function != "???" {
        frame.function = Some(without_offset(function).to_owned());
    }
    Some(frame)
}

/// What stands in the parentheses at a frame's end.
enum Place<'a> {
    /// `(in /lib/libc.so.6)`
    Object(&'a str),
    /// `(driver.c:17)`
    Line(&'a str, u32),
}

/// Splits `operator new(unsigned long) (in /lib/libc.so.6)`; C++ functions have parentheses, too.
fn place(text: &str) -> (&str, Option<Place<'_>>) {
    let Some(inner) = text.strip_suffix(')') else { return (text, None) };
    if let Some((function, object)) = inner.rsplit_once(" (in ") {
        return (function, Some(Place::Object(object)));
    }
    let located = inner.rsplit_once(" (").and_then(|(function, place)| {
        let (file, line) = place.rsplit_once(':')?;
        Some((function, Place::Line(file, line.parse().ok()?)))
    });
    match located {
        Some((function, place)) => (function, Some(place)),
        None => (text, None),
    }
}

/// `main` of `main+12`, as `--sym-offsets=yes` has it.
fn without_offset(function: &str) -> &str {
    match function.rsplit_once('+') {
        Some((name, offset))
            if !name.is_empty() && !offset.is_empty() && offset.bytes().all(|b| b.is_ascii_digit()) =>
        {
            name
        }
        _ => function,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_the_process_count() {
        let valgrind = |content| Some((Voice::Valgrind, content));
        assert_eq!(content("==12== Invalid read of size 1\n", 12), valgrind("Invalid read of size 1"));
        assert_eq!(content("==12==    at 0x1: f (a.c:1)\r\n", 12), valgrind("   at 0x1: f (a.c:1)"));
        assert_eq!(content("==12==", 12), valgrind(""));
        assert_eq!(content("==00:00:00:01.234 12== Thread 2:", 12), valgrind("Thread 2:"));
        assert_eq!(content("half a line==12== Thread 2:", 12), valgrind("Thread 2:"));
        assert_eq!(content("a==b ==c==12== Thread 2:", 12), valgrind("Thread 2:"));
        assert_eq!(content("**12** call 7", 12), Some((Voice::Client, "call 7")));
        assert_eq!(content("==123== other process", 12), None);
        assert_eq!(content("==+12== no number", 12), None);
        assert_eq!(content("--12-- verbose", 12), None);
        assert_eq!(content("==some text 12==", 12), None);
        assert_eq!(content("ünïcödé ==", 12), None);
        assert_eq!(content("", 12), None);
    }

    #[test]
    fn a_frame_in_every_shape() {
        let frame_of = |function: Option<&str>, file: Option<(&str, u32)>, object: Option<&str>| {
            Some(Frame {
                ip: 0x4A,
                function: function.map(str::to_owned),
                file: file.map(|(file, _)| file.to_owned()),
                line: file.map(|(_, line)| line),
                object: object.map(str::to_owned),
            })
        };
        for (text, expected) in [
            (
                "   at 0x4A: malloc (vg_replace_malloc.c:381)",
                frame_of(Some("malloc"), Some(("vg_replace_malloc.c", 381)), None),
            ),
            ("   by 0x4A: main (in /tmp/a b (1)/x)", frame_of(Some("main"), None, Some("/tmp/a b (1)/x"))),
            ("   by 0x4A: ???", frame_of(None, None, None)),
            ("   by 0x4A: ??? (in /tmp/x)", frame_of(None, None, Some("/tmp/x"))),
            (
                "   by 0x4A: (below main) (libc-start.c:308)",
                frame_of(Some("(below main)"), Some(("libc-start.c", 308)), None),
            ),
            (
                "   at 0x4A: operator new[](unsigned long) (in /lib/v.so)",
                frame_of(Some("operator new[](unsigned long)"), None, Some("/lib/v.so")),
            ),
            (
                "   at 0x4A: call(int (*)(int)) (a.cc:3)",
                frame_of(Some("call(int (*)(int))"), Some(("a.cc", 3)), None),
            ),
            ("   at 0x4A: call(int (*)(int))", frame_of(Some("call(int (*)(int))"), None, None)),
            ("   at 0x4A: main+12 (in /tmp/x)", frame_of(Some("main"), None, Some("/tmp/x"))),
            (
                "   at 0x4A: operator+(N::X) (a.cc:3)",
                frame_of(Some("operator+(N::X)"), Some(("a.cc", 3)), None),
            ),
        ] {
            assert_eq!(frame(text), expected, "{text}");
        }
        assert_eq!(frame(" Address 0x4a is 0 bytes inside a block"), None);
        assert_eq!(frame("   at 0xzz: f"), None);
    }
}
