//! Valgrind itself: the one that is installed, and the one that runs this process.

mod defaults;
mod forks;
pub mod heap;
mod installed;
mod objects;
mod options;
mod presence;
mod suppressions;
mod version;

pub use defaults::Defaults;
pub use forks::{has_forked, note_forks, take_forked};
pub use installed::{Valgrind, find};
pub use objects::{addresses_of, loaded_objects};
pub use options::option;
pub use presence::{Presence, left_behind, running};
pub use suppressions::shipped as shipped_suppressions;
pub use version::Version;
