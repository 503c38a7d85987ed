use std::collections::{BTreeMap, HashMap};

use super::model::{
    Call, CallSite, CallTotal, Declaration, Finding, Frame, Leaked, Report, SCHEMA, Stack, Tool, Totals,
};
use crate::attribution::{self, Category};
use crate::evidence::{self, Kind};
use crate::journal::{CallNumber, Journal, Origin};

/// The stretch of calls that a report is about, first and last included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The first call.
    pub first: CallNumber,
    /// The last; less than `first` for none.
    pub last: CallNumber,
}

/// What findings that are no crashes may be called: Valgrind's own words, and ours.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    Kind::KNOWN.iter().map(Kind::as_str).chain([attribution::UNREAD])
}

/// Puts a report together. `journal` is `None` where calls are not recorded: natively.
pub fn build(
    tool: Tool,
    notes: Vec<String>,
    journal: Option<(&Journal, Scope)>,
    findings: &[attribution::Finding],
) -> Report {
    let mut report = Report {
        schema: SCHEMA.to_owned(),
        tool,
        totals: totals(findings, journal.map(|(_, scope)| scope)),
        notes: notes.into_iter().chain(note(findings)).collect(),
        declarations: Vec::new(),
        call_sites: Vec::new(),
        findings: Vec::new(),
        calls: Vec::new(),
    };
    if let Some((journal, scope)) = journal {
        let mut builder = Builder {
            journal,
            report: &mut report,
            declarations: HashMap::new(),
            call_sites: HashMap::new(),
        };
        for finding in findings {
            builder.add_finding(finding);
        }
        builder.add_calls(scope, findings);
    }
    report
}

fn totals(findings: &[attribution::Finding], scope: Option<Scope>) -> Totals {
    let occurrences = |category| -> u64 {
        findings.iter().filter(|finding| finding.category == category).map(|finding| finding.count).sum()
    };
    let mut lost = Lost::default();
    findings.iter().for_each(|finding| lost.add(finding));
    Totals {
        calls: scope.map(|Scope { first, last }| (last + 1).saturating_sub(first)),
        errors: occurrences(Category::Error),
        leaked_bytes: lost.bytes(),
        leaked_blocks: lost.blocks(),
        crashes: occurrences(Category::Crash),
    }
}

/// A sum of losses that has each byte and block once: what was lost indirectly is in the record of the block
/// that led to it, and, where Valgrind shows that kind too, in a record of its own.
#[derive(Default)]
struct Lost {
    direct: (u64, u64),
    within: (u64, u64),
    by_itself: (u64, u64),
}

impl Lost {
    fn add(&mut self, finding: &attribution::Finding) {
        let Some(leaked) = finding.leaked else { return };
        let direct = match finding.kind {
            Kind::Leak_IndirectlyLost => &mut self.by_itself,
            _ => &mut self.direct,
        };
        direct.0 += leaked.bytes;
        direct.1 += leaked.blocks;
        self.within.0 += leaked.indirect_bytes;
        self.within.1 += leaked.indirect_blocks.unwrap_or(0);
    }

    fn join(&mut self, other: Self) {
        for (mine, theirs) in [
            (&mut self.direct, other.direct),
            (&mut self.within, other.within),
            (&mut self.by_itself, other.by_itself),
        ] {
            mine.0 += theirs.0;
            mine.1 += theirs.1;
        }
    }

    fn bytes(&self) -> u64 {
        self.direct.0 + self.within.0.max(self.by_itself.0)
    }

    fn blocks(&self) -> u64 {
        self.direct.1 + self.within.1.max(self.by_itself.1)
    }
}

/// What to say of leaks with an unknown number of blocks, which are nowhere else.
fn note(findings: &[attribution::Finding]) -> Option<String> {
    if findings.iter().any(|finding| finding.kind == Kind::Leak_IndirectlyLost) {
        return None;
    }
    let unknown = |finding: &&attribution::Finding| {
        finding.leaked.is_some_and(|leaked| leaked.indirect_blocks.is_none())
    };
    let leaks = match findings.iter().filter(unknown).count() {
        0 => return None,
        1 => "1 leak".to_owned(),
        several => format!("{several} leaks"),
    };
    Some(format!(
        "how many blocks were lost indirectly with {leaks} is not known, only their bytes, so they are missing in \
         the sums of blocks; leak_check=\"call\" tells more of them, and \
         'valgrind --show-leak-kinds=definite,indirect,possible' shows them as findings of their own"
    ))
}

struct Builder<'a> {
    journal: &'a Journal,
    report: &'a mut Report,
    declarations: HashMap<u32, u32>,
    call_sites: HashMap<u32, u32>,
}

impl Builder<'_> {
    fn add_finding(&mut self, finding: &attribution::Finding) {
        let finding = Finding {
            id: self.report.findings.len() as u32 + 1,
            category: finding.category,
            kind: finding.kind.to_string(),
            what: finding.what.clone(),
            count: finding.count,
            basis: finding.basis,
            call: finding.call.and_then(|call| self.call(call)),
            allocated_by: finding.allocated_by.and_then(|call| self.call(call)),
            lost_between: finding.lost_between,
            leaked: finding.leaked.map(leaked),
            stacks: finding.stacks.iter().map(stack).collect(),
        };
        self.report.findings.push(finding);
    }

    fn call(&mut self, number: CallNumber) -> Option<Call> {
        let origin = self.journal.origin(number)?;
        Some(Call {
            number,
            declaration: self.declaration(origin.declaration),
            call_site: self.call_site(origin.call_site),
            test: self.test(origin),
            thread: self.journal.thread(origin.thread).to_owned(),
            arguments: self.journal.noted(number).map(|noted| noted.arguments.clone()).unwrap_or_default(),
        })
    }

    fn add_calls(&mut self, scope: Scope, findings: &[attribution::Finding]) {
        let mut told: BTreeMap<CallNumber, (u64, Lost)> = BTreeMap::new();
        for finding in findings {
            for (call, errors) in &finding.occurrences {
                told.entry(*call).or_default().0 += errors;
            }
            if let (Some(call), Some(_)) = (finding.call.or(finding.allocated_by), finding.leaked) {
                told.entry(call).or_default().1.add(finding);
            }
        }
        let mut rest: Vec<(Origin, u64)> = self.journal.calls_by_origin(scope.first, scope.last);
        let mut summed: HashMap<Origin, u64> = HashMap::new();
        for finding in findings {
            let listed: u64 = finding.occurrences.iter().map(|(_, errors)| errors).sum();
            let origin = finding.call.and_then(|call| self.journal.origin(call));
            if let (Some(origin), Category::Error) = (origin, finding.category) {
                *summed.entry(origin).or_default() += finding.count - listed;
            }
        }
        let mut lost_there: HashMap<Origin, Lost> = HashMap::new();
        for (number, (errors, lost)) in told {
            let Some(origin) = self.journal.origin(number) else { continue };
            if !(scope.first..=scope.last).contains(&number) {
                continue;
            }
            if errors == 0 && summed.get(&origin).is_some_and(|errors| *errors > 0) {
                // It is one of those whose errors are summed up: a row of its own would have none.
                lost_there.entry(origin).or_default().join(lost);
                continue;
            }
            if let Some((_, count)) = rest.iter_mut().find(|(other, _)| *other == origin) {
                *count -= 1;
            }
            let total = self.call_total(Some(number), 1, origin);
            let (leaked_bytes, leaked_blocks) = (lost.bytes(), lost.blocks());
            self.report.calls.push(CallTotal { errors, leaked_bytes, leaked_blocks, ..total });
        }
        for (origin, count) in rest.into_iter().filter(|(_, count)| *count > 0) {
            let errors = summed.get(&origin).copied().unwrap_or(0);
            let lost = lost_there.remove(&origin).unwrap_or_default();
            let total = self.call_total(None, count, origin);
            let (leaked_bytes, leaked_blocks) = (lost.bytes(), lost.blocks());
            self.report.calls.push(CallTotal { errors, leaked_bytes, leaked_blocks, ..total });
        }
    }

    fn call_total(&mut self, number: Option<u64>, count: u64, origin: Origin) -> CallTotal {
        CallTotal {
            number,
            count,
            declaration: self.declaration(origin.declaration),
            call_site: self.call_site(origin.call_site),
            test: self.test(origin),
            errors: 0,
            leaked_bytes: 0,
            leaked_blocks: 0,
        }
    }

    fn test(&self, origin: Origin) -> Option<String> {
        origin.test.map(|test| self.journal.test(test).to_owned())
    }

    fn declaration(&mut self, id: u32) -> u32 {
        *self.declarations.entry(id).or_insert_with(|| {
            let declaration = self.journal.declaration(id);
            let id = self.report.declarations.len() as u32 + 1;
            self.report.declarations.push(Declaration {
                id,
                name: declaration.name.clone(),
                prototype: declaration.prototype.clone(),
                file: declaration.location.file.display().to_string(),
                line: declaration.location.line,
                column: declaration.location.column,
                library: declaration.library.display().to_string(),
            });
            id
        })
    }

    fn call_site(&mut self, id: u32) -> u32 {
        *self.call_sites.entry(id).or_insert_with(|| {
            let site = self.journal.call_site(id);
            let id = self.report.call_sites.len() as u32 + 1;
            self.report.call_sites.push(CallSite {
                id,
                file: site.file.clone(),
                line: site.line,
                function: site.function.clone(),
                source: None,
            });
            id
        })
    }
}

fn leaked(leaked: evidence::Leaked) -> Leaked {
    Leaked {
        bytes: leaked.bytes,
        blocks: leaked.blocks,
        indirect_bytes: leaked.indirect_bytes,
        indirect_blocks: leaked.indirect_blocks,
    }
}

fn stack(stack: &evidence::Stack) -> Stack {
    let frame = |frame: &evidence::Frame| Frame {
        ip: format!("{:#x}", frame.ip),
        function: frame.function.clone(),
        file: frame.file.clone(),
        line: frame.line,
        object: frame.object.clone(),
    };
    Stack { label: stack.label.clone(), frames: stack.frames.iter().map(frame).collect() }
}
