use std::ops::Range;

use crate::bracket::{Slot, Slots};
use crate::evidence::{Frame, Stack};

/// What the addresses and objects in a stack mean to us.
#[derive(Clone, Debug)]
pub struct Tables {
    /// The dispatcher's slots; `None` where calls do not go through them.
    pub slots: Option<Slots>,
    /// The file of pythy's own code, as Valgrind names it.
    pub own_object: Option<String>,
    /// The files of the libraries under test.
    pub libraries: Vec<String>,
    /// Where these are in memory: text logs do not say in which file a line of code is.
    pub loaded: Vec<Range<u64>>,
    /// How many frames Valgrind keeps of a stack.
    pub num_callers: usize,
}

/// What a stack tells of the call that was running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the C code of the call that this slot stands for; the code ends before frame `depth`.
    InCall {
        /// The call's slot.
        slot: Slot,
        /// How many frames are C code.
        depth: usize,
    },
    /// In a library under test, on a stack that no call of ours began or that Valgrind cut short: on a thread of C's,
    /// or while the library is loaded or unloaded.
    InLibrary,
    /// In C code, on a stack that Valgrind cut short before any frame of ours or of Python's.
    Cut,
    /// In Python, or in a callback that C code called: nothing of the library's.
    Elsewhere,
}

impl Tables {
    /// Reads a stack from its innermost frame outwards, as far as the first frame of ours.
    pub fn place(&self, stack: &Stack) -> Place {
        // A check of pythy's own is made on the stack of the call that it is about.
        let check = stack.frames.iter().position(|frame| check_of(frame).is_some());
        let (mut in_library, mut in_theirs) = (false, false);
        for (depth, frame) in stack.frames.iter().enumerate().skip(check.map_or(0, |depth| depth + 1)) {
            if let Some(slot) = self.slot_at(stack, depth) {
                return Place::InCall { slot, depth };
            }
            if self.is_own(frame) {
                let theirs = in_theirs || is_of_loaded(&stack.frames[..depth]);
                return if theirs { Place::InLibrary } else { Place::Elsewhere };
            }
            if self.is_library(frame) {
                in_library = true;
                in_theirs |= frame.object.as_deref().is_none_or(is_no_systems);
            }
            // What Python calls in a callback is not pythy's doing.
            in_theirs &= !is_python(frame);
        }
        if in_library {
            return Place::InLibrary;
        }
        let cut = stack.frames.len() >= self.num_callers && !stack.frames.iter().any(is_python);
        if cut { Place::Cut } else { Place::Elsewhere }
    }

    /// The innermost call that the stack lies in, whatever is above its C code, and that code's depth from
    /// the innermost frame.
    pub fn enclosing_call(&self, stack: &Stack) -> Option<(Slot, usize)> {
        (0..stack.frames.len()).find_map(|depth| Some((self.slot_at(stack, depth)?, depth)))
    }

    /// How many frames of a stack are not pythy's or Python's below.
    pub fn above_ours(&self, stack: &Stack) -> usize {
        stack.frames.iter().position(|frame| self.is_own(frame)).unwrap_or(stack.frames.len())
    }

    /// Whether pythy itself is on the stack, before any C code that it called.
    pub fn is_ours(&self, stack: &Stack) -> bool {
        self.place(stack) == Place::Elsewhere && stack.frames.iter().any(|frame| self.is_own(frame))
    }

    /// The slot of a call whose frames of ours begin here: the dispatcher's own, then the two digits.
    fn slot_at(&self, stack: &Stack, depth: usize) -> Option<Slot> {
        let slots = self.slots.as_ref()?;
        let ip = |depth: usize| stack.frames.get(depth).map(|frame| frame.ip);
        // Older recordings have no frame of the dispatcher: there the digits themselves made the call.
        let digits = depth + usize::from(slots.is_dispatch(ip(depth)?));
        Some(Slots::slot(slots.outer_digit(ip(digits + 1)?)?, slots.inner_digit(ip(digits)?)?))
    }

    /// A text log names a frame's object only where it knows no source file; Rust's names tell then.
    fn is_own(&self, frame: &Frame) -> bool {
        let named = |part: &str| frame.function.as_ref().is_some_and(|function| function.contains(part));
        frame.object.is_some() && frame.object == self.own_object
            || named("pythy::")
            || frame.object.is_none() && named("libloading::")
            || self.slots.as_ref().is_some_and(|slots| slots.is_dispatch(frame.ip))
    }

    /// Whether the stack ends because Valgrind keeps no more of it, in C code.
    pub fn is_cut(&self, stack: &Stack) -> bool {
        let place = self.place(stack);
        let whole = || stack.frames.iter().any(|frame| self.is_own(frame));
        place == Place::Cut || place == Place::InLibrary && stack.frames.len() >= self.num_callers && !whole()
    }

    fn is_library(&self, frame: &Frame) -> bool {
        match &frame.object {
            Some(object) => self.libraries.contains(object),
            None => self.loaded.iter().any(|addresses| addresses.contains(&frame.ip)),
        }
    }
}

/// What a check of pythy's own, on the stack of a call, says of the call.
pub fn check_of(frame: &Frame) -> Option<&'static str> {
    let function = frame.function.as_deref()?;
    if function.ends_with("bracket::requests::check_result") {
        Some("returned uninitialised data")
    } else if function.ends_with("bracket::requests::check_argument") {
        Some("left uninitialised data in an argument's memory")
    } else {
        None
    }
}

/// Whether these frames, which pythy's own follow, are code of some library that the loader runs: a constructor or
/// destructor, of what a library under test needs too, or an exit handler.
fn is_of_loaded(frames: &[Frame]) -> bool {
    let function = frames.last().and_then(|frame| frame.function.as_deref()).unwrap_or_default();
    let loads = function.starts_with("dlopen") || function.starts_with("dlclose");
    function == "exit"
        || loads && frames.iter().any(|frame| frame.object.as_deref().is_some_and(is_no_systems))
}

/// Whether this file is neither the loader's nor libc's nor Valgrind's own.
fn is_no_systems(object: &str) -> bool {
    const SYSTEMS: [&str; 5] = ["ld-", "ld.so", "libc.so", "libdl.", "vgpreload_"];
    let name = object.rsplit('/').next().unwrap_or(object);
    !SYSTEMS.iter().any(|start| name.starts_with(start))
}

/// CPython's own functions are named so; any stack of its own has one within a few frames.
fn is_python(frame: &Frame) -> bool {
    let function = frame.function.as_deref().unwrap_or_default();
    function.starts_with("Py") || function.starts_with("_Py")
}
