//! The worker's process as the parent has it.

use std::fs::File;
use std::io;
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
pub const GRACE: Duration = Duration::from_secs(10);

/// How long its status may take once it has closed all descriptors.
const LINGER: Duration = Duration::from_secs(2);

/// A process, its lifeline and what Valgrind writes of it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// `None` while it runs; its exit status, unless somebody else has that.
    ended: Option<Option<ExitStatus>>,
    death: Option<Death>,
    /// What leads to it; `None` after its end, of which no descriptor is left.
    ties: Option<Ties>,
    /// What Valgrind has said, after its end.
    last: Result<Vec<Event>>,
    said: String,
}

#[derive(Debug)]
struct Ties {
    lifeline: OwnedFd,
    records: Tail,
    log: File,
}

impl Process {
    /// Watches over a process.
    pub fn new(child: Child, lifeline: OwnedFd, xml: &File, log: File) -> Result<Self> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", xml.as_raw_fd()));
        let records = Tail::open(&LogFile { path, format: Format::Xml, pid: child.id() })?;
        let ties = Some(Ties { lifeline, records, log });
        Ok(Self { child, ended: None, death: None, ties, last: Ok(Vec::new()), said: String::new() })
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
        if self.ended.is_none() {
            let waited = self.child.try_wait();
            self.note(waited);
        }
        self.ended.is_some()
    }

    fn note(&mut self, waited: io::Result<Option<ExitStatus>>) {
        match waited {
            Ok(Some(status)) => self.ended = Some(Some(status)),
            // All waits are for all children in some programs, and others ignore SIGCHLD.
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => self.ended = Some(None),
            Ok(None) | Err(_) => {}
        }
    }

    fn wait_for_end(&mut self) {
        let waited = self.child.wait().map(Some);
        self.note(waited);
    }

    /// Waits until it ends by itself, as long as it may take; whether it has.
    pub fn wait(&mut self) -> bool {
        let mut limit = Instant::now() + GRACE;
        let mut hung_up = false;
        while !self.has_ended() {
            let Some(ties) = self.ties.as_ref().filter(|_| Instant::now() < limit) else { return false };
            // Its end closes the lifeline, but for processes that C code has forked off.
            let slice = |millis: i64| Timespec { tv_sec: 0, tv_nsec: millis * 1_000_000 };
            let mut lifeline = [PollFd::from_borrowed_fd(ties.lifeline.as_fd(), PollFlags::empty())];
            if matches!(poll(&mut lifeline, Some(&slice(20))), Ok(1..)) {
                // A little later its status is there, unless C code has closed all descriptors and goes on.
                if !std::mem::replace(&mut hung_up, true) {
                    limit = limit.min(Instant::now() + LINGER);
                }
                // Only waits.
                let _ = poll(&mut [], Some(&slice(1)));
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
        if !by_itself && !self.has_ended() {
            // What has ended already cannot be killed, and need not be.
            let _ = self.child.kill();
            self.wait_for_end();
        }
        if let Some(Ties { records, log, .. }) = self.ties.take() {
            self.last = records.finish();
            self.said = beginning(&log);
        }
        let death = match (by_itself, self.ended, ending) {
            (true, Some(status), _) => Death::of(status, &self.said),
            (_, _, Some(ending)) => Death::Ended(ending),
            _ => Death::Ended(Ending::Nonsense("it hung up and went on".to_owned())),
        };
        self.death = Some(death.clone());
        death
    }

    /// What Valgrind has reported since this was asked last; after the end also what was cut off.
    pub fn events(&mut self) -> Result<Vec<Event>> {
        match &mut self.ties {
            Some(ties) => ties.records.poll(),
            None => std::mem::replace(&mut self.last, Ok(Vec::new())),
        }
    }

    /// What Valgrind has said beside its records, once the process has ended.
    pub fn said(&self) -> &str {
        &self.said
    }
}

fn beginning(log: &File) -> String {
    const MOST: usize = 1 << 14;
    let mut text = vec![0; MOST];
    let length = log.read_at(&mut text, 0).unwrap_or(0);
    String::from_utf8_lossy(&text[..length]).into_owned()
}
