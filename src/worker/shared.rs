//! The file without a name that both sides of a conversation share, for data that are too much for a frame.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// How much of the file is kept between frames.
const KEPT: u64 = 16 << 20;

/// What is mapped at least.
const WINDOW: usize = 1 << 20;

/// One side's view of the file.
#[derive(Debug)]
pub struct Shared {
    file: File,
    access: Access,
    /// How far the file has been used.
    reached: u64,
}

/// How a side gets at the file.
#[derive(Debug)]
enum Access {
    /// By system calls: whatever the other side does to the file, it is an error at worst.
    Calls,
    /// Through memory. Valgrind looks at each byte that a system call reads or writes, which takes longer than to
    /// copy them. Two views, because leak checks look for pointers in what can be both read and written.
    Memory { read: Option<Window>, write: Option<Window> },
}

impl Shared {
    /// The parent's view.
    pub fn by_calls(file: File) -> Self {
        Self { file, access: Access::Calls, reached: 0 }
    }

    /// The worker's view.
    pub fn by_memory(file: File) -> Self {
        Self { file, access: Access::Memory { read: None, write: None }, reached: 0 }
    }

    /// The file.
    pub fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// How much of the file is really there, in bytes.
    pub fn held(&self) -> io::Result<u64> {
        // Counted in blocks of this size, whatever the file system's are.
        const BLOCK: u64 = 512;
        Ok(self.file.metadata()?.blocks() * BLOCK)
    }

    /// How long the file is.
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Gives memory back, when nobody needs what is in the file any more.
    pub fn clear(&mut self) -> io::Result<()> {
        if self.reached > KEPT {
            self.reached = 0;
            self.file.set_len(0)?;
        }
        Ok(())
    }

    /// Copies bytes out of the file; whether there are so many.
    pub fn read(&mut self, into: &mut [MaybeUninit<u8>], offset: u64) -> io::Result<bool> {
        let length = self.len()?;
        let Some(end) = offset.checked_add(into.len() as u64).filter(|end| *end <= length) else {
            return Ok(false);
        };
        self.reached = self.reached.max(end);
        match &mut self.access {
            Access::Calls => read(&self.file, into, offset),
            Access::Memory { read, .. } => {
                let window = Window::over(read, &self.file, ProtFlags::READ, end)?;
                // SAFETY: the window has so many bytes from there on, and the file too.
                unsafe { window.at(offset).copy_to_nonoverlapping(into.as_mut_ptr().cast(), into.len()) };
                Ok(true)
            }
        }
    }

    /// Copies bytes into the file.
    pub fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        self.reached = self.reached.max(end);
        match &mut self.access {
            Access::Calls => self.file.write_all_at(bytes, offset),
            Access::Memory { write, .. } => {
                if end > self.file.metadata()?.len() {
                    self.file.set_len(end)?;
                }
                let window = Window::over(write, &self.file, ProtFlags::WRITE, end)?;
                // SAFETY: as above.
                unsafe { window.at(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
                Ok(())
            }
        }
    }
}

fn read(file: &File, mut into: &mut [MaybeUninit<u8>], mut offset: u64) -> io::Result<bool> {
    while !into.is_empty() {
        let (read, rest) = rustix::io::pread(file, into, offset)?;
        if read.is_empty() {
            return Ok(false);
        }
        offset += read.len() as u64;
        into = rest;
    }
    Ok(true)
}

/// The beginning of the file, mapped.
#[derive(Debug)]
struct Window {
    address: *mut u8,
    size: usize,
}

// SAFETY: a window is memory of this process's, at the same place for every thread.
unsafe impl Send for Window {}

impl Window {
    /// A window that reaches up to an offset.
    fn over<'a>(
        known: &'a mut Option<Self>,
        file: &File,
        protection: ProtFlags,
        end: u64,
    ) -> io::Result<&'a Self> {
        let size = usize::try_from(end).map_err(io::Error::other)?.max(WINDOW);
        let window = match known.take() {
            // One that is larger than it need be goes.
            Some(window) if window.size == size => window,
            _ => Self::new(file, protection, size)?,
        };
        Ok(known.insert(window))
    }

    fn new(file: &File, protection: ProtFlags, size: usize) -> io::Result<Self> {
        // SAFETY: new memory, which nobody else knows.
        let address = unsafe { mmap(std::ptr::null_mut(), size, protection, MapFlags::SHARED, file, 0) }?;
        Ok(Self { address: address.cast(), size })
    }

    fn at(&self, offset: u64) -> *mut u8 {
        self.address.wrapping_add(offset as usize)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and nobody has the address but this.
        let _ = unsafe { munmap(self.address.cast(), self.size) };
    }
}
