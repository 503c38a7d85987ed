use super::requests::change_option;
use crate::valgrind::{self, Presence};

/// While it lives, Valgrind does not follow into programs that this process starts, whatever the user asked:
/// the compiler and the reader of headers are not what is tested, and would take a hundred times as long.
#[must_use = "it ends when it is dropped"]
#[derive(Debug)]
pub struct Unfollowed {
    followed: bool,
}

/// Begins that.
pub fn unfollowed() -> Unfollowed {
    let followed = valgrind::running() == Presence::Valgrind
        && valgrind::option("--trace-children").as_deref() == Some("yes");
    if followed {
        change_option("--trace-children=no");
    }
    Unfollowed { followed }
}

impl Drop for Unfollowed {
    fn drop(&mut self) {
        if self.followed {
            change_option("--trace-children=yes");
        }
    }
}
