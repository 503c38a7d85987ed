//! Where Valgrind's log is, seen from inside the process that it watches.

use std::path::PathBuf;

use super::descriptor::{self, Contents, Descriptor, Nature};

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `--xml=yes`
    Xml,
    /// Lines that begin with `==PID==`.
    Text,
}

/// A log that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where to open it: a path, or `/proc/self/fd/N`, which also leads to files without a name.
    pub path: PathBuf,
    /// How it is written.
    pub format: Format,
    /// The process that it is about; a text log may have lines about others, too.
    pub pid: u32,
}

/// Where one of Valgrind's two outputs is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogLocation {
    /// In a file.
    File(LogFile),
    /// Where it cannot be read.
    Unreadable {
        /// Why, and what the user can do: a sentence for a message.
        why: String,
    },
}

/// Where Valgrind's outputs about this process are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// What has the records: the XML under `--xml=yes`, else the text log.
    pub records: LogLocation,
    /// The text log, where monitor commands write, whatever the records' format.
    pub text: LogLocation,
}

impl Logs {
    /// The text log, if it can be read.
    pub fn text_log(&self) -> Option<&LogFile> {
        match &self.text {
            LogLocation::File(file) => Some(file),
            LogLocation::Unreadable { .. } => None,
        }
    }
}

/// Looks for the logs of the Valgrind that runs this process. It cannot be asked for them, but the
/// descriptors it writes to are in `/proc/self/fd`. What they are is told by what is in the
/// files, never by their names; only regular files are ever opened.
///
/// The answer is sure only under Valgrind: elsewhere both logs are [`LogLocation::Unreadable`].
pub fn locate() -> Logs {
    let pid = std::process::id();
    match descriptor::valgrinds(pid) {
        Ok(outputs) => {
            sort_out(&outputs, pid).or_else(|| on_standard_error(pid)).unwrap_or_else(|| nowhere(NOT_FOUND))
        }
        Err(error) => nowhere(&format!("Valgrind's log cannot be looked for in /proc/self/fd: {error}")),
    }
}

const ADVICE: &str = "run valgrind with --log-file=FILE or --xml=yes --xml-file=FILE";
const NOT_FOUND: &str = "Valgrind's log is not among the descriptors of this process; \
                         run valgrind with --log-file=FILE or --xml=yes --xml-file=FILE";

/// Which of Valgrind's outputs is which. Valgrind opens the text log first, the XML after it, and
/// writes the XML's head at once: an empty file is a text log.
fn sort_out(outputs: &[Descriptor], pid: u32) -> Option<Logs> {
    let is_xml = |output: &&Descriptor| matches!(output.contents(), Some(Contents::Xml(_)));
    let mine = |output: &&Descriptor| output.contents() == Some(Contents::Xml(pid));
    let xml = outputs.iter().rfind(mine).or_else(|| outputs.iter().rfind(is_xml));
    let Some(xml) = xml.or_else(|| unreadable_xml(outputs)) else {
        let written = outputs.iter().find(|output| output.contents() == Some(Contents::Text));
        let text = location(written.or(outputs.first())?, Format::Text, pid);
        return Some(Logs { records: text.clone(), text });
    };
    let text = outputs.iter().find(|output| !std::ptr::eq(*output, xml));
    Some(Logs {
        records: location(xml, Format::Xml, pid),
        text: text.map_or_else(
            || LogLocation::Unreadable { why: NOT_FOUND.to_owned() },
            |text| location(text, Format::Text, pid),
        ),
    })
}

/// Of two outputs, the one that must be the XML though it cannot be read.
fn unreadable_xml(outputs: &[Descriptor]) -> Option<&Descriptor> {
    match outputs {
        [_, .., last] if last.contents().is_none() => Some(last),
        [first, _, ..] if first.contents().is_none() => Some(first),
        _ => None,
    }
}

/// A Valgrind that leaves its log on the program's standard error.
fn on_standard_error(pid: u32) -> Option<Logs> {
    let output = descriptor::standard_error(pid)?;
    let format = match output.contents()? {
        Contents::Xml(about) if about == pid => Format::Xml,
        Contents::Text => Format::Text,
        _ => return None,
    };
    let text = location(&output, Format::Text, pid);
    Some(Logs { records: location(&output, format, pid), text })
}

fn location(output: &Descriptor, format: Format, pid: u32) -> LogLocation {
    let what = match format {
        Format::Xml => "XML",
        Format::Text => "log",
    };
    let why = match &output.nature {
        Nature::File(Contents::Xml(about)) if format == Format::Xml && *about != pid => format!(
            "Valgrind's XML is about process {about}, of which this process {pid} is a fork; \
             it does not say which records are whose"
        ),
        Nature::File(_) => return LogLocation::File(LogFile { path: output.path(), format, pid }),
        Nature::Forbidden(error) => {
            format!("Valgrind's {what} '{}' cannot be opened ({error}); {ADVICE}", output.target)
        }
        Nature::Stream(stream) => {
            format!("Valgrind's {what} is {stream}, which cannot be read back; {ADVICE}")
        }
    };
    LogLocation::Unreadable { why }
}

fn nowhere(why: &str) -> Logs {
    let location = LogLocation::Unreadable { why: why.to_owned() };
    Logs { records: location.clone(), text: location }
}
