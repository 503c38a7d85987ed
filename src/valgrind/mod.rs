//! Valgrind itself: the one that is installed, and the one that runs this process.

mod installed;
mod options;
mod presence;
mod suppressions;
mod version;

pub use installed::{Valgrind, find};
pub use options::option;
pub use presence::{Presence, running};
pub use suppressions::shipped as shipped_suppressions;
pub use version::Version;
