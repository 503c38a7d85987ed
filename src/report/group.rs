use super::summary::plural;
use super::{Finding, Report, Screen};
use crate::attribution::{Basis, Category};

/// Findings that are shown as one: leaks of one kind, line, declaration and C stack.
pub(super) struct Group<'a> {
    /// The first of them.
    pub finding: &'a Finding,
    /// All of them.
    pub alike: Vec<&'a Finding>,
}

/// A report's findings, in their order.
pub(super) fn groups(report: &Report) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for finding in &report.findings {
        match groups.iter_mut().find(|group| are_alike(group.finding, finding)) {
            Some(group) => group.alike.push(finding),
            None => groups.push(Group { finding, alike: vec![finding] }),
        }
    }
    groups
}

fn are_alike(one: &Finding, other: &Finding) -> bool {
    fn place(finding: &Finding) -> Option<(u32, u32)> {
        finding.told_of().map(|call| (call.declaration, call.call_site))
    }
    fn frames(finding: &Finding) -> impl Iterator<Item = (&Option<String>, &Option<String>, Option<u32>)> {
        let frames = finding.stacks.iter().flat_map(|stack| &stack.frames);
        frames.map(|frame| (&frame.function, &frame.file, frame.line))
    }
    one.category == Category::Leak
        && other.category == Category::Leak
        && one.kind == other.kind
        && place(one) == place(other)
        && frames(one).eq(frames(other))
}

impl Group<'_> {
    /// What is to be said beside [`Finding::what`]: a leak's other end, how often it was, and how well it is known.
    pub fn remarks(&self, report: &Report, screen: &Screen) -> Vec<String> {
        let Group { finding, alike } = self;
        let mut remarks = Vec::new();
        if let (Some(call), Some(allocated)) = (&finding.call, &finding.allocated_by)
            && (call.declaration, call.call_site) != (allocated.declaration, allocated.call_site)
        {
            let name = &report.declaration(allocated.declaration).name;
            let site = report.call_site(allocated.call_site);
            remarks.push(format!("allocated by {name}() at {}:{}", screen.path(&site.file), site.line));
        }
        if alike.len() > 1 {
            let leaked = || alike.iter().filter_map(|finding| finding.leaked);
            let bytes = leaked().map(|leaked| leaked.bytes + leaked.indirect_bytes).sum();
            let blocks = leaked().map(|leaked| leaked.blocks + leaked.indirect_blocks.unwrap_or(0)).sum();
            let least =
                if leaked().all(|leaked| leaked.indirect_blocks.is_some()) { "" } else { "at least " };
            let (bytes, blocks) = (plural(bytes, "byte"), format!("{least}{}", plural(blocks, "block")));
            remarks.push(format!("{} such leaks: {bytes} in {blocks}", alike.len()));
        }
        if finding.count > 1 {
            remarks.push(format!("{} times", finding.count));
        }
        match finding.basis {
            Basis::Call => {}
            Basis::Window => remarks.extend(
                finding.lost_between.map(|(first, last)| format!("lost during calls {first} to {last}")),
            ),
            Basis::Function if finding.told_of().is_none() => {
                remarks.push("(outside of any call)".to_owned());
            }
            Basis::Function => remarks.push("(the call is not known exactly)".to_owned()),
        }
        remarks
    }

    /// All but the stacks as one line: `Invalid read of size 4 in int f(const int *) (f.h:2); 2 times`.
    pub fn sentence(&self, report: &Report, screen: &Screen) -> String {
        let mut sentence = self.finding.what.clone();
        if let Some(call) = self.finding.told_of() {
            let declaration = report.declaration(call.declaration);
            let file = screen.path(&declaration.file);
            sentence.push_str(&format!(" in {} ({file}:{})", declaration.prototype, declaration.line));
        }
        for remark in self.remarks(report, screen) {
            sentence.push_str(&format!("; {remark}"));
        }
        sentence
    }
}
