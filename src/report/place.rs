use std::path::{Component, Path, PathBuf};

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
            let (file, line) = match site.is_in_a_file() {
                true => (&site.file, site.line),
                false => (&declaration.file, declaration.line),
            };
            Some(Place { file, line })
        }
        None => finding.stacks.iter().flat_map(|stack| &stack.frames).find_map(|frame| {
            let file = frame.file.as_deref().filter(|file| file.starts_with('/') && !is_valgrinds(file))?;
            Some(Place { file, line: frame.line.filter(|line| *line > 0)? })
        }),
    }
}

/// A path without `.` and `..`, which servers compare with those of a repository.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

/// Whether a file or library of a frame's is that of Valgrind's own `malloc` or `strlen`.
pub(super) fn is_valgrinds(file: &str) -> bool {
    file.contains("/vg_replace_") || file.contains("/vgpreload_")
}
