use super::{Finding, Report};

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub file: &'a str,
    pub line: u32,
}

/// Where a finding is shown by what shows it in one place: the line of Python that called; the declaration, where
/// that line is in no file; without a call the innermost line of C that is known.
pub(super) fn place<'a>(report: &'a Report, finding: &'a Finding) -> Option<Place<'a>> {
    match finding.told_of() {
        Some(call) => {
            let site = report.call_site(call.call_site);
            let declaration = report.declaration(call.declaration);
            let (file, line) = match is_file(&site.file) {
                true => (&site.file, site.line),
                false => (&declaration.file, declaration.line),
            };
            Some(Place { file, line })
        }
        None => finding.stacks.iter().flat_map(|stack| &stack.frames).find_map(|frame| {
            let file = frame.file.as_deref().filter(|file| file.starts_with('/') && !is_valgrinds(file))?;
            Some(Place { file, line: frame.line? })
        }),
    }
}

/// Whether a code object's file is one: `<string>` and `<stdin>` are none.
pub(super) fn is_file(file: &str) -> bool {
    !(file.starts_with('<') && file.ends_with('>'))
}

/// Whether a frame is of Valgrind's own `malloc` or `strlen`.
fn is_valgrinds(file: &str) -> bool {
    file.contains("/vg_replace_")
}
