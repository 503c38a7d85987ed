//! What is done around a foreign call under Valgrind: client requests that count its errors, and
//! slots that put the call's number into every stack Valgrind records during it.

mod requests;
mod roots;
mod slots;
mod unfollowed;

pub use requests::{
    change_option, check_argument, check_result, count_errors, count_leak_blocks, count_leaks, is_memcheck,
    leak_check_added, make_defined, print_line, wipe_dead_stack,
};
pub use roots::{Root, note_release, take_released};
pub use slots::{HAS_SLOTS, Returned, Slot, Slots, dispatch, dispatch_two, dispatch_words, own_object};
pub use unfollowed::{Unfollowed, unfollowed};
