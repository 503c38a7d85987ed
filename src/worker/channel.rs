//! Frames over a socket, and the file that both sides share for what is too much for a frame.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};

use super::protocol::{Data, INLINE, MAX_FRAME};
use super::shared::Shared;

/// How much of a buffer is kept between frames.
const KEPT: usize = 1 << 12;

/// How long one waits before asking whether to go on.
const SLICE: Duration = Duration::from_millis(100);

/// The length of a frame's length.
const HEAD: usize = size_of::<u32>();

/// One end of a conversation.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
    shared: Shared,
    input: Vec<u8>,
    /// What of `input` has been read from the socket, and not yet from here.
    start: usize,
    end: usize,
    /// How far `input` has been written to.
    used: usize,
    output: Vec<u8>,
    /// How much of the shared file the frame being written takes.
    taken: u64,
}

/// Why a conversation cannot go on.
#[derive(Debug)]
pub enum Broken {
    /// The other side is gone.
    Closed,
    /// It was gone before it was asked anything, while it had nothing to do.
    GoneBefore,
    /// The other side talks nonsense: in what way.
    Nonsense(String),
    /// The system does not do what it should.
    System(io::Error),
    /// Whoever waited does not want to any more.
    Stopped(Box<crate::Error>),
}

/// Shorthand.
pub type Talk<T> = std::result::Result<T, Broken>;

impl From<Errno> for Broken {
    fn from(error: Errno) -> Self {
        match error {
            Errno::PIPE | Errno::CONNRESET => Self::Closed,
            other => Self::System(other.into()),
        }
    }
}

/// Asked whenever waiting is interrupted, and several times a second, whether to go on.
pub trait Patience {
    /// An error ends the waiting.
    fn go_on(&mut self) -> Talk<()>;

    /// How long the next wait may take at most; `None`: as long as the socket waits by itself.
    fn rest(&self) -> Option<Duration> {
        None
    }
}

/// Waits for ever.
pub struct Forever;

impl Patience for Forever {
    fn go_on(&mut self) -> Talk<()> {
        Ok(())
    }
}

/// The two ends of a new socket.
pub fn sockets() -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    Ok((out_of_the_way(one)?, out_of_the_way(other)?))
}

/// The same under a number that C code has no descriptor of its own at, so that whoever writes to a stream that is
/// closed, or to a descriptor of another process, does not write to us.
pub fn out_of_the_way(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    const HIGH: RawFd = 200;
    const FIRST: RawFd = libc::STDERR_FILENO + 1;
    rustix::io::fcntl_dupfd_cloexec(&descriptor, HIGH).or_else(|_| {
        // So many may not be open here.
        if descriptor.as_raw_fd() >= FIRST {
            return Ok(descriptor);
        }
        Ok(rustix::io::fcntl_dupfd_cloexec(&descriptor, FIRST)?)
    })
}

/// A file without a name.
pub fn nameless_file(name: &str) -> io::Result<File> {
    Ok(out_of_the_way(memfd_create(name, MemfdFlags::CLOEXEC)?)?.into())
}

impl Channel {
    /// A conversation over this socket, with this file shared.
    pub fn new(socket: OwnedFd, shared: Shared) -> Self {
        Self { socket, shared, input: Vec::new(), start: 0, end: 0, used: 0, output: Vec::new(), taken: 0 }
    }

    /// The socket and the shared file.
    pub fn descriptors(&self) -> [RawFd; 2] {
        [self.socket.as_raw_fd(), self.shared.descriptor()]
    }

    /// Makes waiting stop several times a second, to ask whether to go on.
    pub fn wait_in_slices(&self) -> io::Result<()> {
        set_socket_timeout(&self.socket, Timeout::Recv, Some(SLICE))?;
        Ok(set_socket_timeout(&self.socket, Timeout::Send, Some(SLICE))?)
    }

    /// Begins a frame; what was begun before and not sent is dropped.
    pub fn begin(&mut self) -> Frame<'_> {
        self.output.clear();
        self.output.resize(HEAD, 0);
        self.taken = 0;
        self.frame()
    }

    /// Gives memory back that only the last frames needed, once they have been read.
    pub fn shrink(&mut self) -> Talk<()> {
        self.shared.clear().map_err(Broken::System)
    }

    /// Goes on with the frame that was begun.
    pub fn frame(&mut self) -> Frame<'_> {
        Frame { bytes: &mut self.output, shared: &mut self.shared, taken: &mut self.taken }
    }

    /// Shows the frame that was begun.
    pub fn written(&self) -> &[u8] {
        &self.output
    }

    /// Sends the frame that was begun.
    pub fn send(&mut self, patience: &mut dyn Patience) -> Talk<()> {
        let length = self.output.len() - HEAD;
        if length > MAX_FRAME {
            return Err(Broken::System(io::Error::other(format!("a frame of {length} bytes is too long"))));
        }
        self.output[..HEAD].copy_from_slice(&(length as u32).to_le_bytes());
        let mut sent = 0;
        while sent < self.output.len() {
            match rustix::net::send(&self.socket, &self.output[sent..], SendFlags::NOSIGNAL) {
                Ok(bytes) => sent += bytes,
                Err(Errno::INTR | Errno::AGAIN) => patience.go_on()?,
                Err(error) => return Err(error.into()),
            }
        }
        self.output.clear();
        self.output.shrink_to(KEPT);
        Ok(())
    }

    /// The next frame.
    pub fn receive(&mut self, patience: &mut dyn Patience) -> Talk<Parts<'_>> {
        self.fill(HEAD, patience)?;
        let head = self.input[self.start..].first_chunk::<HEAD>().copied().unwrap_or_default();
        let length = u32::from_le_bytes(head) as usize;
        if length > MAX_FRAME {
            return Err(Broken::Nonsense(format!("a frame of {length} bytes")));
        }
        self.start += HEAD;
        self.fill(length, patience)?;
        let rest = &self.input[self.start..self.start + length];
        self.start += length;
        Ok(Parts { rest, shared: &mut self.shared, room: None })
    }

    /// Overwrites what the last frames have left behind.
    pub fn forget(&mut self) {
        self.input[..self.start].fill(0);
        self.input[self.end..self.used].fill(0);
        self.used = self.end;
    }

    /// Reads until there are so many bytes.
    fn fill(&mut self, wanted: usize, patience: &mut dyn Patience) -> Talk<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let needed = self.start + wanted;
        if self.input.len() < needed || self.input.len() > KEPT.max(needed) {
            self.input.resize(needed.max(KEPT), 0);
            self.used = self.used.min(self.input.len());
            self.input.shrink_to(KEPT);
        }
        while self.end < needed {
            if let Some(rest) = patience.rest() {
                self.wait(rest, patience)?;
            }
            match rustix::net::recv(&self.socket, &mut self.input[self.end..], RecvFlags::empty()) {
                Ok((0, _)) => return Err(Broken::Closed),
                Ok((bytes, _)) => {
                    self.end += bytes;
                    self.used = self.used.max(self.end);
                }
                Err(Errno::INTR | Errno::AGAIN) => patience.go_on()?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn wait(&self, rest: Duration, patience: &mut dyn Patience) -> Talk<()> {
        let limit =
            Timespec::try_from(rest.min(SLICE)).map_err(|error| Broken::System(io::Error::other(error)))?;
        match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&limit)) {
            Ok(1..) => Ok(()),
            Ok(0) | Err(Errno::INTR) => patience.go_on(),
            Err(error) => Err(error.into()),
        }
    }
}

/// A frame being written.
#[derive(Debug)]
pub struct Frame<'a> {
    bytes: &'a mut Vec<u8>,
    shared: &'a mut Shared,
    /// How much of the shared file is taken.
    taken: &'a mut u64,
}

impl Frame<'_> {
    /// Adds a message.
    pub fn put<T: Serialize>(&mut self, message: &T) -> Talk<()> {
        let bytes = std::mem::take(self.bytes);
        *self.bytes = postcard::to_extend(message, bytes).map_err(|error| {
            Broken::System(io::Error::other(format!("a message cannot be written: {error}")))
        })?;
        Ok(())
    }

    /// Adds bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Where data of this size are to go.
    pub fn room_for(&self, size: usize) -> Data {
        if self.bytes.len() + size <= INLINE {
            Data::Inline(size as u64)
        } else {
            Data::Shared { offset: *self.taken, size: size as u64 }
        }
    }

    /// Puts data where [`Frame::room_for`] said.
    pub fn data(&mut self, data: Data, bytes: &[u8]) -> Talk<()> {
        match data {
            Data::Inline(_) => {
                let pad: &[u8] = if self.bytes.len().is_multiple_of(2) { &[0] } else { &[1, 0] };
                self.bytes(pad);
                self.bytes(bytes);
            }
            Data::Shared { offset, size } => {
                self.shared.write(bytes, offset).map_err(Broken::System)?;
                *self.taken = offset + size;
            }
        }
        Ok(())
    }
}

/// A frame being read.
#[derive(Debug)]
pub struct Parts<'a> {
    rest: &'a [u8],
    shared: &'a mut Shared,
    /// How much data of unknown size may still come from the shared file.
    room: Option<u64>,
}

impl<'a> Parts<'a> {
    /// The next message.
    pub fn take<T: Deserialize<'a>>(&mut self) -> Talk<T> {
        let (message, rest) = postcard::take_from_bytes(self.rest)
            .map_err(|error| Broken::Nonsense(format!("no message: {error}")))?;
        self.rest = rest;
        Ok(message)
    }

    /// So many bytes as they are.
    pub fn bytes(&mut self, size: usize) -> Talk<&'a [u8]> {
        let Some((bytes, rest)) = self.rest.split_at_checked(size) else {
            return Err(Broken::Nonsense(format!("{} bytes where {size} should be", self.rest.len())));
        };
        self.rest = rest;
        Ok(bytes)
    }

    /// Fills memory with data of exactly this size.
    pub fn data(&mut self, data: Data, into: &mut [u8]) -> Talk<()> {
        // SAFETY: bytes may become uninitialised this way, but `fill` only ever writes bytes that are.
        self.fill(data, unsafe { &mut *(std::ptr::from_mut(into) as *mut [MaybeUninit<u8>]) })
    }

    /// The same for memory in any state.
    pub fn fill(&mut self, data: Data, into: &mut [MaybeUninit<u8>]) -> Talk<()> {
        if data.size() != into.len() as u64 {
            return Err(Broken::Nonsense(format!(
                "{} bytes of data where {} should be",
                data.size(),
                into.len()
            )));
        }
        match data {
            Data::Inline(_) => {
                let pad = self.bytes(1)?[0];
                self.bytes(usize::from(pad))?;
                let bytes = self.bytes(into.len())?;
                for (to, from) in into.iter_mut().zip(bytes) {
                    to.write(*from);
                }
            }
            Data::Shared { offset, .. } => {
                if !self.shared.read(into, offset).map_err(Broken::System)? {
                    return Err(Broken::Nonsense("data that are not in the shared file".to_owned()));
                }
            }
        }
        Ok(())
    }

    /// Data of unknown size.
    pub fn data_of_any_size(&mut self, data: Data) -> Talk<Vec<u8>> {
        let size = data.size();
        let there = match data {
            Data::Inline(_) => self.rest.len() as u64,
            Data::Shared { .. } => self.room()?,
        };
        if size > there {
            return Err(Broken::Nonsense(format!("{size} bytes of data where {there} are")));
        }
        if let Data::Shared { .. } = data {
            self.room = Some(there - size);
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size as usize).map_err(|error| Broken::System(io::Error::other(error)))?;
        bytes.resize(size as usize, 0);
        self.data(data, &mut bytes)?;
        Ok(bytes)
    }

    /// What the other side has really filled of the shared file, less what has been taken. A hole may be as large as
    /// one likes, and the same bytes could be sent as often as there is room for their address.
    fn room(&self) -> Talk<u64> {
        self.room.map_or_else(|| self.shared.held().map_err(Broken::System), Ok)
    }

    /// That there is nothing more.
    pub fn end(self) -> Talk<()> {
        match self.rest.len() {
            0 => Ok(()),
            more => Err(Broken::Nonsense(format!("{more} bytes too many"))),
        }
    }
}
