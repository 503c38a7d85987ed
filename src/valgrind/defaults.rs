//! The suppressions that Valgrind comes with, and which of them can ever match in a process.
//!
//! At each leak check Valgrind holds every loss record, of blocks that are still reachable too, against every
//! suppression: with its own file most of the time that a check of many blocks takes goes there.

use std::fs;

/// Valgrind's suppressions that a process has not been given yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    text: String,
    /// Patterns of the files that must be on a stack.
    objects: Vec<String>,
}

impl Defaults {
    /// Those of the Valgrind that runs a process, for the leak kinds that are shown there; none where they cannot be
    /// read.
    pub fn of_process(pid: u32, shown: &str) -> Self {
        let tool = fs::read_link(format!("/proc/{pid}/exe"));
        let file = tool.map(|tool| tool.with_file_name("default.supp"));
        file.and_then(fs::read_to_string).map_or_else(|_| Self::default(), |text| Self::parse(&text, shown))
    }

    fn parse(text: &str, shown: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (mut entries, mut entry) = (Vec::new(), Vec::new());
        for line in lines {
            match line {
                "{" => entry.clear(),
                "}" => entries.extend(Entry::of(&entry, shown)),
                _ => entry.push(line),
            }
        }
        Self { entries }
    }

    /// Takes those out that can match where these files are loaded, as text of a suppressions file.
    pub fn take_due(&mut self, objects: &[String]) -> String {
        let due = |entry: &mut Entry| {
            let loaded = |pattern: &String| objects.iter().any(|object| matches(pattern, object));
            entry.objects.iter().all(loaded)
        };
        self.entries.extract_if(.., due).map(|entry| entry.text).collect()
    }
}

impl Entry {
    /// An entry by its lines; `None` for one that never matches.
    fn of(lines: &[&str], shown: &str) -> Option<Self> {
        let [name, kind, frames @ ..] = lines else { return None };
        let (tools, kind_of_error) = kind.split_once(':')?;
        if !tools.split(',').any(|tool| tool == "Memcheck") {
            return None;
        }
        let mut text = format!("{{\n{name}\n{kind}\n");
        let mut frames = frames;
        if kind_of_error == "Leak" {
            let named = frames.first().and_then(|line| line.strip_prefix("match-leak-kinds:"));
            frames = &frames[usize::from(named.is_some())..];
            let kinds = both(named.unwrap_or("all").trim(), shown)?;
            text.push_str(&format!("match-leak-kinds: {kinds}\n"));
        }
        frames.iter().for_each(|frame| text.extend([frame, "\n"]));
        text.push_str("}\n");
        let objects = frames.iter().filter_map(|frame| frame.strip_prefix("obj:")).map(str::to_owned);
        Some(Self { text, objects: objects.collect() })
    }
}

/// The leak kinds of both lists; `None` where there are none.
fn both(kinds: &str, shown: &str) -> Option<String> {
    let both = match (kinds, shown) {
        ("all", other) | (other, "all") => other.to_owned(),
        _ => {
            let is_shown = |kind: &&str| shown.split(',').any(|shown| shown == *kind);
            kinds.split(',').filter(is_shown).collect::<Vec<_>>().join(",")
        }
    };
    (!both.is_empty() && both != "none").then_some(both)
}

/// Whether a name is as Valgrind's pattern says: `*` for any text, `?` for any character.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut star) = ((0, 0), None);
    while at.1 < name.len() {
        match pattern.get(at.0) {
            Some(b'*') => {
                star = Some(at);
                at.0 += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[at.1] => at = (at.0 + 1, at.1 + 1),
            _ => {
                let Some((pattern, name)) = star else { return false };
                star = Some((pattern, name + 1));
                at = (pattern + 1, name + 1);
            }
        }
    }
    pattern[at.0..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# a comment\n{\n   old-loader\n   Memcheck:Cond\n   obj:*/lib*/ld-2.34*.so*\n   fun:x\n}\n\
        {\n  always\n  Memcheck:Param\n  write(buf)\n  fun:write\n}\n\
        {\n  zlib\n  Addrcheck,Memcheck:Value8\n  obj:/*lib*/libz.so.1.2.*\n  ...\n  fun:deflate\n}\n\
        {\n  race\n  Helgrind:Race\n  fun:main\n}\n\
        {\n  dtv\n  Memcheck:Leak\n  match-leak-kinds: possible,reachable\n  fun:malloc\n}\n\
        {\n  any\n  Memcheck:Leak\n  fun:malloc\n}\n\
        {\n  reachable\n  Memcheck:Leak\n  match-leak-kinds: reachable\n  fun:malloc\n}\n";

    #[test]
    fn those_are_due_that_can_match_once_each() {
        let mut defaults = Defaults::parse(FILE, "definite,possible");
        let libc = ["/usr/lib/x86_64-linux-gnu/libc.so.6".to_owned()];
        assert_eq!(
            defaults.take_due(&libc),
            "{\nalways\nMemcheck:Param\nwrite(buf)\nfun:write\n}\n\
             {\ndtv\nMemcheck:Leak\nmatch-leak-kinds: possible\nfun:malloc\n}\n\
             {\nany\nMemcheck:Leak\nmatch-leak-kinds: definite,possible\nfun:malloc\n}\n"
        );
        assert_eq!(defaults.take_due(&libc), "");
        let zlib = ["/usr/lib/libz.so.1.2.13".to_owned()];
        let entry = "{\nzlib\nAddrcheck,Memcheck:Value8\nobj:/*lib*/libz.so.1.2.*\n...\nfun:deflate\n}\n";
        assert_eq!(defaults.take_due(&zlib), entry);
    }

    #[test]
    fn leaks_of_kinds_that_are_shown_stay_suppressed() {
        assert_eq!(both("possible,reachable", "all").as_deref(), Some("possible,reachable"));
        assert_eq!(both("all", "all").as_deref(), Some("all"));
        assert_eq!(both("possible,reachable", "definite,reachable").as_deref(), Some("reachable"));
        assert_eq!(both("reachable", "definite"), None);
        assert_eq!(both("reachable", "none"), None);
    }

    #[test]
    fn patterns_match_whole_names() {
        let name = "/usr/lib/x86_64-linux-gnu/libX11.so.6.4.0";
        for (pattern, expected) in [
            ("*", true),
            (name, true),
            ("/usr/*lib*/libX11.so*", true),
            ("*libX11.so.?.4.0", true),
            ("*libX11.so.6.0", false),
            ("/usr/*lib*/libX11.so", false),
            ("/usr/X11R6/*", false),
            ("", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern}");
        }
    }
}
