//! The worker's process as the parent has it.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::death::{Death, Ending};
use crate::Result;
use crate::evidence::{Event, Format, LogFile, Tail};

/// How long a worker may take to end by itself. Valgrind may have a stack to describe.
const GRACE: Duration = Duration::from_secs(10);

/// A process, its lifeline and what Valgrind writes of it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lifeline: OwnedFd,
    /// `None` when all has been read.
    records: Option<Tail>,
    log: File,
    status: Option<ExitStatus>,
    death: Option<Death>,
}

impl Process {
    /// Watches over a process.
    pub fn new(child: Child, lifeline: OwnedFd, xml: &File, log: File) -> Result<Self> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", xml.as_raw_fd()));
        let records = Tail::open(&LogFile { path, format: Format::Xml, pid: child.id() })?;
        Ok(Self { child, lifeline, records: Some(records), log, status: None, death: None })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended.
    pub fn death(&self) -> Option<&Death> {
        self.death.as_ref()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status.is_some()
    }

    /// Waits until it ends by itself, as long as it may take; whether it has.
    pub fn wait(&mut self) -> bool {
        let limit = Instant::now() + GRACE;
        while !self.has_ended() {
            if Instant::now() > limit {
                return false;
            }
            // Its end closes the lifeline, but for processes that C code has forked off.
            let slice = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            let mut lifeline = [PollFd::from_borrowed_fd(self.lifeline.as_fd(), PollFlags::empty())];
            if matches!(poll(&mut lifeline, Some(&slice)), Ok(1..)) {
                self.status = self.child.wait().ok();
            }
        }
        true
    }

    /// Waits for its end, or brings it about; how it ended, the first time that this was asked.
    pub fn end(&mut self, ending: Option<Ending>) -> Death {
        if let Some(death) = &self.death {
            return death.clone();
        }
        let by_itself = ending.is_none() && self.wait();
        if !by_itself && self.status.is_none() {
            // What has ended already cannot be killed, and need not be.
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
        let death = match (by_itself, self.status, ending) {
            (true, Some(status), _) => Death::of(status, &self.log()),
            (_, _, Some(ending)) => Death::Ended(ending),
            _ => Death::Ended(Ending::Nonsense("it hung up and went on".to_owned())),
        };
        self.death = Some(death.clone());
        death
    }

    /// What Valgrind has reported since this was asked last; after the end also what was cut off.
    pub fn events(&mut self) -> Result<Vec<Event>> {
        if self.death.is_some() {
            return self.records.take().map_or_else(|| Ok(Vec::new()), Tail::finish);
        }
        self.records.as_mut().map_or_else(|| Ok(Vec::new()), Tail::poll)
    }

    /// What Valgrind has said beside its records.
    pub fn log(&self) -> String {
        const MOST: usize = 1 << 14;
        let mut text = vec![0; MOST];
        let length = self.log.read_at(&mut text, 0).unwrap_or(0);
        String::from_utf8_lossy(&text[..length]).into_owned()
    }
}
