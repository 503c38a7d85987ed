//! Valgrind's version.

use std::fmt;

/// A version of Valgrind; newer ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 3 in 3.19.0.
    pub major: u32,
    /// 19 in 3.19.0.
    pub minor: u32,
    /// 0 in 3.19.0.
    pub patch: u32,
}

impl Version {
    /// Reads what `valgrind --version` prints: `valgrind-3.19.0`, `valgrind-3.27.0.GIT`.
    pub fn parse(output: &str) -> Option<Version> {
        let text = output.trim().strip_prefix("valgrind-")?;
        let mut parts = text.split(['.', '-']).map(str::parse);
        Some(Version {
            major: parts.next()?.ok()?,
            minor: parts.next()?.ok()?,
            patch: parts.next().and_then(Result::ok).unwrap_or(0),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_and_unreleased_versions() {
        let version = |output| Version::parse(output).map(|version| version.to_string());
        assert_eq!(version("valgrind-3.19.0\n").as_deref(), Some("3.19.0"));
        assert_eq!(version("valgrind-3.27.0.GIT").as_deref(), Some("3.27.0"));
        assert_eq!(version("valgrind-3.23.0-RC2").as_deref(), Some("3.23.0"));
        assert_eq!(version("valgrind-3.4").as_deref(), Some("3.4.0"));
        assert_eq!(version("valgrind: command line error"), None);
        assert_eq!(version(""), None);
        assert!(Version::parse("valgrind-3.9.0") < Version::parse("valgrind-3.19.0"));
    }
}
