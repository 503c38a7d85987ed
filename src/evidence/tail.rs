//! Reading a log while it grows.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use super::{Event, Format, LogFile, TextReader, XmlReader, descriptor};
use crate::{Error, Result};

/// A log being read, from its beginning.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    file: File,
    /// How many bytes have been read.
    position: u64,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    Xml(XmlReader),
    Text(TextReader),
}

impl Tail {
    /// Opens a log.
    ///
    /// # Errors
    ///
    /// [`Error::Log`] if it is no regular file, or cannot be opened.
    pub fn open(log: &LogFile) -> Result<Tail> {
        let file =
            descriptor::open(&log.path).map_err(|source| Error::Log { path: log.path.clone(), source })?;
        let reader = match log.format {
            Format::Xml => Reader::Xml(XmlReader::new()),
            Format::Text => Reader::Text(TextReader::new(log.pid)),
        };
        Ok(Tail { path: log.path.clone(), file, position: 0, reader })
    }

    /// What has been appended since the last time. Valgrind writes a record at once, before the
    /// program goes on.
    ///
    /// # Errors
    ///
    /// [`Error::Log`] if the file cannot be read.
    pub fn poll(&mut self) -> Result<Vec<Event>> {
        let failed = |source| Error::Log { path: self.path.clone(), source };
        // A repeat of an error appends nothing, and Valgrind looks at every byte that a read could fill.
        if self.file.metadata().map_err(failed)?.len() == self.position {
            return Ok(Vec::new());
        }
        self.read_on()
    }

    fn read_on(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        let mut buffer = vec![0; 1 << 14];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(events),
                Ok(len) => {
                    self.position += len as u64;
                    events.extend(self.reader.feed(&buffer[..len]));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Log { path: self.path.clone(), source }),
            }
        }
    }

    /// The last of it: what has been appended, and what a stream that was cut off still gives.
    ///
    /// # Errors
    ///
    /// [`Error::Log`] if the file cannot be read.
    pub fn finish(mut self) -> Result<Vec<Event>> {
        let mut events = self.poll()?;
        events.extend(match &mut self.reader {
            Reader::Xml(reader) => reader.finish(),
            Reader::Text(reader) => reader.finish(),
        });
        Ok(events)
    }
}

impl Reader {
    fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        match self {
            Reader::Xml(reader) => reader.feed(bytes),
            Reader::Text(reader) => reader.feed(bytes),
        }
    }
}
