//! Memory of a worker's that Python looks at as its own: a twin of it is here.
//!
//! Before C code runs, what Python has changed here goes there; after it, what C has changed there comes
//! here. Where both changed a byte, C's is the one that stays.
//!
//! A byte that Python writes may be the one that was there, undefined. So the first change is sent with all that
//! lies around it, and is defined as a whole.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use pyo3::prelude::*;

use super::gil::without_gil;
use super::home::Home;
use super::owned::Owned;
use crate::Result;
use crate::call::Memory;
use crate::worker::Client;

/// Keeps a twin, or the worker's copy of what never changes.
#[pyclass(frozen, module = "pythy")]
pub struct Mirror {
    address: usize,
    kept: Kept,
}

enum Kept {
    /// A copy.
    Block {
        _block: Owned,
    },
    Twin(Arc<Twin>),
}

/// The same memory twice.
struct Twin {
    client: Client,
    there: usize,
    here: *mut u8,
    size: usize,
    /// What both were when they were the same.
    same: Mutex<Same>,
    /// Whether the worker has no such memory any more.
    gone: AtomicBool,
    _memory: Memories,
}

/// What a twin and its original were when they were the same.
struct Same {
    bytes: Vec<u8>,
    /// Whether all of it has been sent once.
    sent: bool,
}

/// Who has the memory.
enum Memories {
    /// C code there, the twin here.
    Here { _bytes: Box<[u8]> },
    /// A Python object here, pythy there.
    There { _object: Py<PyAny>, _block: Owned },
}

// SAFETY: the memory here is Python's to read and write at any time, as buffers are; it is there as long as
// the mirror, which is looked at with the GIL held.
unsafe impl Send for Twin {}
// SAFETY: as above.
unsafe impl Sync for Twin {}

/// All that there are. Asked for with the GIL held.
static TWINS: Mutex<Vec<Weak<Twin>>> = Mutex::new(Vec::new());

/// How many: mostly none.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Bytes that are not made room for unseen.
const MUCH: usize = 1 << 20;

impl Mirror {
    /// A twin here of the worker's memory; `None` where it has none.
    pub fn of(client: &Client, address: usize, size: usize) -> Result<Option<Self>> {
        send(client)?;
        // Of much memory its end first: nobody has to find room for more than there is.
        if size > MUCH {
            let Some(last) = address.checked_add(size - 1) else { return Ok(None) };
            if !without_gil(|| client.peek(last, &mut [0]))? {
                return Ok(None);
            }
        }
        let mut bytes = vec![0; size].into_boxed_slice();
        if !without_gil(|| client.peek(address, &mut bytes))? {
            return Ok(None);
        }
        let here = bytes.as_mut_ptr();
        let same = Mutex::new(Same { bytes: bytes.to_vec(), sent: false });
        let (client, gone, _memory) =
            (client.clone(), AtomicBool::new(false), Memories::Here { _bytes: bytes });
        let twin = Twin { client, there: address, here, size, same, gone, _memory };
        Ok(Some(Self { address, kept: Kept::Twin(twin.known()) }))
    }

    /// The memory of a Python object in a block of the worker's, which stays its twin where it may change.
    /// `None` where the worker has no memory.
    ///
    /// # Safety
    /// The GIL is held, and the object keeps `size` bytes at `here` in place.
    pub unsafe fn in_block(
        (home, client): (&Home, &Client),
        object: &Bound<'_, PyAny>,
        (here, size): (*mut u8, usize),
        changes: bool,
    ) -> Result<Option<Self>> {
        // SAFETY: as the caller vouches.
        let bytes = unsafe { std::slice::from_raw_parts(here, size) }.to_vec();
        let Some(block) = Owned::new(home, size)? else { return Ok(None) };
        let address = block.address();
        without_gil(|| client.write(address, &bytes))?;
        if !changes {
            return Ok(Some(Self { address, kept: Kept::Block { _block: block } }));
        }
        let same = Mutex::new(Same { bytes, sent: true });
        let (client, gone) = (client.clone(), AtomicBool::new(false));
        let _memory = Memories::There { _object: object.clone().unbind(), _block: block };
        let twin = Twin { client, there: address, here, size, same, gone, _memory };
        Ok(Some(Self { address, kept: Kept::Twin(twin.known()) }))
    }

    /// The address in the worker.
    pub fn address(&self) -> usize {
        self.address
    }

    /// The address of the twin; 0 where there is none.
    pub fn here(&self) -> usize {
        match &self.kept {
            Kept::Twin(twin) => twin.here as usize,
            Kept::Block { .. } => 0,
        }
    }
}

impl Drop for Mirror {
    /// What Python has changed last is not lost. Memory of a worker that has ended is.
    fn drop(&mut self) {
        if let Kept::Twin(twin) = &self.kept
            && !twin.gone.load(Ordering::Relaxed)
        {
            let _ =
                without_gil(|| twin.send(|address, bytes| twin.client.write_at_all_events(address, bytes)));
        }
    }
}

impl Twin {
    fn known(self) -> Arc<Self> {
        let twin = Arc::new(self);
        TWINS.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&twin));
        COUNT.fetch_add(1, Ordering::Relaxed);
        twin
    }

    /// What lies here, at this moment.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.size];
        // SAFETY: see the type; Python may be writing there, as it may while C code reads a buffer.
        unsafe { std::ptr::copy_nonoverlapping(self.here, bytes.as_mut_ptr(), self.size) };
        bytes
    }

    fn send(&self, write: impl Fn(usize, &[u8]) -> Result<()>) -> Result<()> {
        let mut same = self.same.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.bytes();
        let mut changes = differing(&bytes, &same.bytes);
        if !same.sent && !changes.is_empty() {
            changes = vec![(0, self.size)];
            same.sent = true;
        }
        for (start, end) in changes {
            write(self.there + start, &bytes[start..end])?;
        }
        same.bytes = bytes;
        Ok(())
    }

    fn fetch(&self) -> Result<()> {
        let mut same = self.same.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = vec![0; self.size];
        if !self.client.peek(self.there, &mut bytes)? {
            self.gone.store(true, Ordering::Relaxed);
            return Ok(());
        }
        for (start, end) in differing(&bytes, &same.bytes) {
            // SAFETY: see the type; as C code writes into a buffer, while Python may be reading it.
            unsafe {
                std::ptr::copy_nonoverlapping(bytes[start..end].as_ptr(), self.here.add(start), end - start);
            };
            same.bytes[start..end].copy_from_slice(&bytes[start..end]);
        }
        Ok(())
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
        TWINS.lock().unwrap_or_else(PoisonError::into_inner).retain(|twin| twin.strong_count() > 0);
    }
}

/// The stretches in which two equally long texts differ.
fn differing(one: &[u8], other: &[u8]) -> Vec<(usize, usize)> {
    let mut stretches = Vec::new();
    if one == other {
        return stretches;
    }
    let mut start = None;
    for (index, (a, b)) in one.iter().zip(other).enumerate() {
        match (a == b, start) {
            (false, None) => start = Some(index),
            (true, Some(begun)) => {
                stretches.push((begun, index));
                start = None;
            }
            _ => {}
        }
    }
    stretches.extend(start.map(|begun| (begun, one.len())));
    stretches
}

/// What Python has changed goes to the worker. The GIL is held.
pub fn send(client: &Client) -> Result<()> {
    each(client, |twin| twin.send(|address, bytes| client.write(address, bytes)))
}

/// What C code has changed comes from the worker. The GIL is held.
pub fn fetch(client: &Client) -> Result<()> {
    each(client, Twin::fetch)
}

fn each(client: &Client, run: impl Fn(&Twin) -> Result<()>) -> Result<()> {
    thread_local! {
        /// The worker's process that this thread is in here for: a signal's handler, which runs in between, has to do
        /// without.
        static BUSY: Cell<u32> = const { Cell::new(0) };
    }
    if COUNT.load(Ordering::Relaxed) == 0 || BUSY.get() == client.pid() {
        return Ok(());
    }
    let twins: Vec<Arc<Twin>> = {
        let twins = TWINS.lock().unwrap_or_else(PoisonError::into_inner);
        let twins = twins.iter().filter_map(Weak::upgrade);
        twins.filter(|twin| twin.client.is(client) && !twin.gone.load(Ordering::Relaxed)).collect()
    };
    // The locks of twins are waited for without the GIL, which those who have them may wait for.
    let outer = BUSY.replace(client.pid());
    let done = without_gil(|| twins.iter().try_for_each(|twin| run(twin)));
    BUSY.set(outer);
    done
}
