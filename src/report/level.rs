use super::Finding;
use crate::evidence::Kind;

/// How much a finding matters, for what knows more than right and wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// What C may not do, crashes, and what is lost for good.
    Error,
    /// What is perhaps lost.
    Warning,
    /// What could still have been freed.
    Note,
}

impl Level {
    pub fn of(finding: &Finding) -> Self {
        match Kind::from(finding.kind.as_str()) {
            Kind::Leak_PossiblyLost => Level::Warning,
            Kind::Leak_StillReachable => Level::Note,
            _ => Level::Error,
        }
    }
}
