//! What one worker has let see, in order.

use super::pace::Pace;
use crate::attribution::{Evidence, Observed, Seen, Tables};
use crate::evidence::Event;
use crate::journal::CallNumber;
use crate::worker::{Client, Death, Ending, GRACE, Watched};

/// What is known of one worker.
#[derive(Debug)]
pub struct Stream {
    /// `None` when it has ended and all is known of it. An observer: it does not live for what is told of it.
    pub client: Option<Client>,
    pub tables: Tables,
    pub observed: Vec<Observed>,
    /// How much of that was there when a place was marked last: sums of what came before do not grow.
    pub marked: usize,
    /// Valgrind's error count when its records were last read.
    pub counted: u64,
    /// The first call since the last leak check.
    pub unchecked: Option<CallNumber>,
    /// The last call.
    pub latest: CallNumber,
    /// The calls of the last window.
    pub window: Option<(CallNumber, CallNumber)>,
    /// The calls that run, in callbacks of each other or waiting for each other.
    pub open: Vec<Open>,
    /// Whether some interface wants leaks to be looked for.
    pub leaks_wanted: bool,
    /// Whether it runs under Valgrind.
    pub watched: bool,
    /// Whether Valgrind has told of the signal that ends it.
    signalled: bool,
    pub pace: Pace,
}

/// A call that runs.
#[derive(Debug)]
pub struct Open {
    pub call: CallNumber,
    /// How many errors have been read before it was over, and by how much Valgrind's count had risen for that.
    pub read: u64,
    pub risen: u64,
}

impl Stream {
    /// That of a worker that is used for the first time.
    pub fn of(client: &Client) -> crate::Result<Self> {
        Ok(Self {
            tables: client.tables()?,
            counted: client.first_count()?,
            client: Some(client.observer()),
            observed: Vec::new(),
            marked: 0,
            unchecked: None,
            latest: 0,
            window: None,
            open: Vec::new(),
            leaks_wanted: false,
            watched: client.watched()? == Watched::Yes,
            signalled: false,
            pace: Pace::default(),
        })
    }

    /// A call is over. Those that still run may lose something. Gives what was read before.
    pub fn end_call(&mut self, call: CallNumber) -> Option<Open> {
        let ended = self.open.iter().position(|open| open.call == call);
        let ended = ended.map(|index| self.open.remove(index));
        if let Some(first) = self.open.iter().map(|open| open.call).min() {
            self.unchecked.get_or_insert(first);
        }
        ended
    }

    /// Takes what a call that calls back has done wrong so far, before what calls nested in it do.
    pub fn read_caller(&mut self, call: CallNumber, count: u64, notes: &mut Vec<String>) {
        let risen = self.risen(count);
        let read = self.read(count, Seen::During(call), None, notes);
        if let Some(open) = self.open.iter_mut().find(|open| open.call == call) {
            open.read += read;
            open.risen += risen;
        }
    }

    /// By how much the count has risen since the records were read; another call may have read them later.
    pub fn risen(&self, count: u64) -> u64 {
        count.saturating_sub(self.counted)
    }

    /// The calls among which a leak check that follows `last` finds what was lost; begins the next window.
    pub fn end_window(&mut self, last: CallNumber) -> (CallNumber, CallNumber) {
        // The worker did nothing since: calls of others do not count.
        let first = self.unchecked.take().unwrap_or(last + 1);
        self.pace.begin();
        self.window = Some((first, last));
        if let Some(client) = &self.client {
            client.take_released();
        }
        (first, last)
    }

    /// Takes what threads of C's have done while no call ran.
    pub fn catch_up(&mut self, notes: &mut Vec<String>) {
        let idle = |client: &&Client| self.open.is_empty() && !client.has_ended();
        let Some(client) = self.client.as_ref().filter(idle) else { return };
        match client.events() {
            Ok(events) => {
                // A signal comes of what was called last.
                let window = (self.unchecked.unwrap_or(self.latest + 1), self.latest);
                self.counted += self.take(events, Seen::Outside, Some(window));
            }
            Err(error) => notes.push(unreadable(&error)),
        }
    }

    /// Takes what was reported while a library was loaded, be it in a callback of a call that runs.
    pub fn take_load(&mut self, notes: &mut Vec<String>) {
        match self.client.as_ref().map_or_else(|| Ok(Vec::new()), Client::events) {
            Ok(events) => self.counted += self.take(events, Seen::Outside, None),
            Err(error) => notes.push(unreadable(&error)),
        }
    }

    /// Takes what Valgrind has reported, which makes its count `count`; returns how many errors (not loss
    /// records) that was.
    pub fn read(
        &mut self,
        count: u64,
        seen: Seen,
        checked: Option<(CallNumber, CallNumber)>,
        notes: &mut Vec<String>,
    ) -> u64 {
        if self.risen(count) == 0 {
            return 0;
        }
        self.counted = count;
        let events = match self.client.as_ref().map_or_else(|| Ok(Vec::new()), Client::events) {
            Ok(events) => events,
            Err(error) => {
                notes.push(unreadable(&error));
                return 0;
            }
        };
        self.take(events, seen, checked)
    }

    /// Takes what a worker that has ended has left, and lets go of it; tells whether that has the signal that
    /// ended it.
    pub fn read_last(
        &mut self,
        seen: Seen,
        checked: Option<(CallNumber, CallNumber)>,
        notes: &mut Vec<String>,
    ) -> bool {
        let Some(client) = self.client.take() else { return false };
        match client.events() {
            Ok(events) => {
                self.take(events, seen, checked);
            }
            Err(error) => {
                notes.push(format!("{error}; what Valgrind reported at last is missing here"));
            }
        }
        if client.death() == Some(Death::Ended(Ending::Overdue)) {
            notes.push(format!(
                "a worker did not end within {} seconds of being told to, as destructors or atexit handlers of C code \
                 took too long, and was ended; what they still had to do is missing here",
                GRACE.as_secs()
            ));
        }
        self.signalled
    }

    /// How many errors there were.
    pub fn take(&mut self, events: Vec<Event>, seen: Seen, checked: Option<(CallNumber, CallNumber)>) -> u64 {
        let mut errors = 0;
        for event in events {
            match event {
                Event::Record(record) => {
                    let leak = record.is_leak();
                    errors += u64::from(!leak);
                    let seen = match checked {
                        Some((first, last)) if leak => Seen::LeakCheck(first, last),
                        _ => seen,
                    };
                    self.observed.push(Observed { evidence: Evidence::Record(record), seen });
                }
                Event::FatalSignal(signal) => {
                    self.signalled = true;
                    let seen = match checked {
                        Some((first, last)) => Seen::LeakCheck(first, last),
                        None => seen,
                    };
                    self.observed.push(Observed { evidence: Evidence::Crash(signal), seen });
                }
                _ => {}
            }
        }
        errors
    }
}

fn unreadable(error: &crate::Error) -> String {
    format!("{error}; what Valgrind reported after that is missing here")
}

/// What a worker's end is called that Valgrind said nothing of; `None` where it is nobody's fault.
pub fn ended(death: &Death) -> Option<(String, String)> {
    Some(match death {
        Death::Signal(number) => {
            let name = crate::error::signal_name(*number);
            let name = name.map_or_else(|| format!("signal {number}"), str::to_owned);
            (name.clone(), name)
        }
        Death::Exit(code) => ("exit".to_owned(), format!("the C code called exit({code})")),
        Death::Valgrind(words) => ("valgrind".to_owned(), format!("Valgrind gave up: {words}")),
        Death::Unknown => ("unknown".to_owned(), "the worker ended, nobody knows how".to_owned()),
        Death::Ended(Ending::Timeout) => ("timeout".to_owned(), "the call took too long".to_owned()),
        Death::Ended(Ending::Nonsense(what)) => {
            ("nonsense".to_owned(), format!("the worker made no sense any more ({what})"))
        }
        Death::Ended(Ending::Closed | Ending::Overdue | Ending::Interrupted) => return None,
    })
}
