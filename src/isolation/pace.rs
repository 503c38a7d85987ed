//! How often leaks are looked for.

/// How often leaks are looked for where each call is to be followed by that.
#[derive(Debug, Default)]
pub struct Pace {
    /// After so many calls; 0 counts as 1.
    every: u32,
    /// Calls since the last time.
    since: u32,
    /// How many leak checks in a row were beyond [`AFFORDABLE`].
    dear: u32,
}

/// A leak check may take long once because the machine is busy.
const DEAR: u32 = 4;

/// A leak check may take as long for each call, in microseconds; beyond that, calls share one.
const AFFORDABLE: u32 = 1000;

impl Pace {
    /// Whether this call is one to be followed by a leak check.
    pub fn is_due(&mut self) -> bool {
        self.since += 1;
        self.since >= self.every
    }

    /// Leaks have been looked for.
    pub fn begin(&mut self) {
        self.since = 0;
    }

    /// Calls share leak checks so that each has at most [`AFFORDABLE`] of them.
    pub fn note(&mut self, micros: u32) {
        self.dear = if micros > AFFORDABLE { self.dear + 1 } else { 0 };
        self.every = if self.dear < DEAR { 1 } else { micros.div_ceil(AFFORDABLE) };
    }
}
