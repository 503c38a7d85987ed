use serde::{Deserialize, Serialize};

use crate::attribution::{Basis, Category};

/// The version of the JSON form.
pub const SCHEMA: &str = "pythy-report/1";

/// Everything pythy has to say about a stretch of calls. Serialised, it is the JSON report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// What made the report.
    pub tool: Tool,
    /// Sums over the stretch.
    pub totals: Totals,
    /// What could not be known, one sentence each, with what to do about it.
    pub notes: Vec<String>,
    /// The declarations that findings and calls refer to by `id`.
    pub declarations: Vec<Declaration>,
    /// The lines that findings and calls refer to by `id`.
    pub call_sites: Vec<CallSite>,
    /// What was found, in order of first occurrence.
    pub findings: Vec<Finding>,
    /// Calls with something to tell, then totals of the rest.
    pub calls: Vec<CallTotal>,
}

/// What made a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// pythy's version.
    pub pythy: String,
    /// Valgrind's version; `None` when the C code ran natively.
    pub valgrind: Option<String>,
    /// `memcheck`, or `none` when the C code ran natively.
    pub checker: String,
    /// Python's version.
    pub python: Option<String>,
    /// `inprocess` or `isolated`.
    pub mode: String,
}

/// Sums over a report's stretch of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Foreign calls; `None` natively, where they are not counted.
    pub calls: Option<u64>,
    /// Occurrences of errors.
    pub errors: u64,
    /// Bytes lost, those lost indirectly included.
    pub leaked_bytes: u64,
    /// Blocks lost, those lost indirectly included where their number is known.
    pub leaked_blocks: u64,
    /// Crashes of the C code.
    pub crashes: u64,
}

/// A declaration that was called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declaration {
    /// Its number in this report, from 1.
    pub id: u32,
    /// The function's name in C.
    pub name: String,
    /// The declaration as C.
    pub prototype: String,
    /// The header.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// The library that exports it.
    pub library: String,
}

/// A line that calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSite {
    /// Its number in this report, from 1.
    pub id: u32,
    /// The Python file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The Python function, `<module>` outside any.
    pub function: String,
    /// The line's text, where it can be read.
    pub source: Option<String>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Its number in this report, from 1.
    pub id: u32,
    /// Error, leak or crash.
    pub category: Category,
    /// Valgrind's own name of the kind.
    pub kind: String,
    /// What happened, as a sentence.
    pub what: String,
    /// How often it happened at this declaration and call site.
    pub count: u64,
    /// How the call is known.
    pub basis: Basis,
    /// The call that erred, crashed or lost the block.
    pub call: Option<Call>,
    /// The call that allocated a lost block.
    pub allocated_by: Option<Call>,
    /// The calls among which a block was lost, both included.
    pub lost_between: Option<(u64, u64)>,
    /// What was lost.
    pub leaked: Option<Leaked>,
    /// Valgrind's stacks, innermost frame first.
    pub stacks: Vec<Stack>,
}

/// A foreign call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Its number, from 1.
    pub number: u64,
    /// The declaration's `id`.
    pub declaration: u32,
    /// The call site's `id`.
    pub call_site: u32,
    /// The test it was made in.
    pub test: Option<String>,
    /// The Python thread it was made on.
    pub thread: String,
    /// Its arguments as Python shows them; none where they were not kept.
    pub arguments: Vec<String>,
}

/// What was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaked {
    /// Bytes lost directly; where losses were only counted, indirectly too.
    pub bytes: u64,
    /// Blocks, likewise.
    pub blocks: u64,
    /// Bytes that only these blocks pointed to.
    pub indirect_bytes: u64,
    /// Blocks that only these blocks pointed to, but those of 0 bytes; `None` where it is not known.
    pub indirect_blocks: Option<u64>,
}

/// A stack with Valgrind's sentence over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// The sentence; `None` over the first stack of a finding, whose sentence is `what`.
    pub label: Option<String>,
    /// The frames, innermost first.
    pub frames: Vec<Frame>,
}

/// One frame of a [`Stack`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The instruction's address, as `0x` and hexadecimal digits.
    pub ip: String,
    /// The C function.
    pub function: Option<String>,
    /// The C source file.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The library.
    pub object: Option<String>,
}

/// One call with something to tell, or the sum of a call site's other calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTotal {
    /// The call's number; `None` for a sum.
    pub number: Option<u64>,
    /// How many calls this is.
    pub count: u64,
    /// The declaration's `id`.
    pub declaration: u32,
    /// The call site's `id`.
    pub call_site: u32,
    /// The test.
    pub test: Option<String>,
    /// Errors during the call.
    pub errors: u64,
    /// Bytes lost that this call allocated or lost, as its findings have it.
    pub leaked_bytes: u64,
    /// Blocks, likewise.
    pub leaked_blocks: u64,
}

impl Finding {
    /// The call that it is told of: the one that erred, crashed or lost a block, else the one that allocated it.
    pub fn told_of(&self) -> Option<&Call> {
        self.call.as_ref().or(self.allocated_by.as_ref())
    }

    /// The call that allocated a lost block, where that is of another line or function than the one that lost it.
    pub fn other_end(&self) -> Option<&Call> {
        let lost = self.call.as_ref()?;
        self.allocated_by.as_ref().filter(|allocated| allocated.place() != lost.place())
    }
}

impl Call {
    /// Its declaration and its call site, by `id`.
    pub fn place(&self) -> (u32, u32) {
        (self.declaration, self.call_site)
    }
}

impl CallSite {
    /// Whether there is such a line: there is none of `<string>`, nor where no Python code runs.
    pub fn is_in_a_file(&self) -> bool {
        self.line > 0 && !self.file.is_empty() && !(self.file.starts_with('<') && self.file.ends_with('>'))
    }
}

/// Where the text of source lines comes from, so that reports can be tested without a disk.
pub trait SourceLines {
    /// The line's text without its indentation and line end; `None` where it cannot be read.
    fn line(&mut self, file: &str, line: u32) -> Option<String>;
}

impl Report {
    /// Fills in the text of every call site's line.
    pub fn add_sources(&mut self, sources: &mut dyn SourceLines) {
        for site in &mut self.call_sites {
            site.source = sources.line(&site.file, site.line);
        }
    }

    /// Whether nothing was found.
    pub fn ok(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether Valgrind looked at what the C code did; else that there are no findings says nothing.
    pub fn is_checked(&self) -> bool {
        self.tool.checker != "none" && self.tool.valgrind.is_some()
    }

    /// A declaration by its id.
    pub fn declaration(&self, id: u32) -> &Declaration {
        &self.declarations[id as usize - 1]
    }

    /// A call site by its id.
    pub fn call_site(&self, id: u32) -> &CallSite {
        &self.call_sites[id as usize - 1]
    }
}
