use super::stacks::stacks;
use super::summary::plural;
use super::{Call, Finding, Leaked, Report, Screen};
use crate::attribution::{Basis, Category};

/// Findings that are shown as one: leaks of one kind, line, declaration, test and C stack, and errors of one kind
/// and C stack outside of calls.
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
    fn place(call: Option<&Call>) -> Option<((u32, u32), Option<&str>)> {
        call.map(|call| (call.place(), call.test.as_deref()))
    }
    fn frames(finding: &Finding) -> impl Iterator<Item = (&Option<String>, &Option<String>, Option<u32>)> {
        let frames = finding.stacks.iter().flat_map(|stack| &stack.frames);
        frames.map(|frame| (&frame.function, &frame.file, frame.line))
    }
    let may_be = match one.category {
        Category::Leak => true,
        // A constructor runs in each process.
        Category::Error => one.told_of().is_none(),
        Category::Crash => false,
    };
    may_be
        && one.category == other.category
        && one.kind == other.kind
        && place(one.told_of()) == place(other.told_of())
        && place(one.other_end()) == place(other.other_end())
        && frames(one).eq(frames(other))
}

impl Group<'_> {
    /// How often it happened.
    pub fn count(&self) -> u64 {
        self.alike.iter().map(|finding| finding.count).fold(0, u64::saturating_add)
    }

    /// What is to be said beside [`Finding::what`]: a leak's other end, how often it was, and how well it is known.
    pub fn remarks(&self, report: &Report, screen: &Screen) -> Vec<String> {
        let Group { finding, alike } = self;
        let mut remarks = Vec::new();
        if let Some(allocated) = finding.other_end() {
            let name = &report.declaration(allocated.declaration).name;
            let site = report.call_site(allocated.call_site);
            remarks.push(format!("allocated by {name}() at {}:{}", screen.path(&site.file), site.line));
        }
        if alike.len() > 1 && finding.category == Category::Leak {
            let leaked = || alike.iter().filter_map(|finding| finding.leaked);
            let sum = |part: fn(Leaked) -> [u64; 2]| leaked().flat_map(part).fold(0, u64::saturating_add);
            let bytes = sum(|leaked| [leaked.bytes, leaked.indirect_bytes]);
            let blocks = sum(|leaked| [leaked.blocks, leaked.indirect_blocks.unwrap_or(0)]);
            let least =
                if leaked().all(|leaked| leaked.indirect_blocks.is_some()) { "" } else { "at least " };
            let (bytes, blocks) = (plural(bytes, "byte"), format!("{least}{}", plural(blocks, "block")));
            remarks.push(format!("{} such leaks: {bytes} in {blocks}", alike.len()));
        }
        if finding.category != Category::Leak && self.count() > 1 {
            remarks.push(format!("{} times", self.count()));
        }
        match finding.basis {
            Basis::Call => {}
            Basis::Window => {
                let windows = || alike.iter().filter_map(|finding| finding.lost_between);
                let (first, last) =
                    (windows().map(|window| window.0).min(), windows().map(|window| window.1).max());
                remarks.extend(
                    first.zip(last).map(|(first, last)| format!("lost during calls {first} to {last}")),
                );
            }
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

    /// Everything as lines of text: the sentence, the test and the C stacks.
    pub fn story(&self, report: &Report, screen: &Screen) -> String {
        let mut story = self.sentence(report, screen);
        if let Some(test) = self.finding.told_of().and_then(|call| call.test.as_ref()) {
            story.push_str(&format!("\ntest: {test}"));
        }
        story.push_str(&format!("\n{}", stacks(self.finding, screen)));
        story.trim_end().to_owned()
    }
}
