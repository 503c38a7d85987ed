//! Valgrind itself: the one that is installed, and the one that runs this process.

mod defaults;
mod forks;
pub mod heap;
mod installed;
mod options;
mod presence;
mod suppressions;
mod version;

pub use defaults::{Defaults, loaded_objects};
pub use forks::{has_forked, note_forks, take_forked};
pub use installed::{Valgrind, find};
pub use options::option;
pub use presence::{Presence, left_behind, running};
pub use suppressions::shipped as shipped_suppressions;
pub use version::Version;
