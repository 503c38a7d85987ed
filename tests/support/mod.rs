//! What the tests of the worker share: a library compiled from C, and a worker that has loaded it.

// Each test uses some of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::Command;

use pythy::Result;
use pythy::binding::{Loader, Scalar};
use pythy::bracket::Slot;
use pythy::evidence::Record;
use pythy::worker::{
    Argument, CallRequest, CallbackCall, CallbackResult, Checker, Client, Copy, Hooks, Launch, ResultKind,
    Returned,
};

/// A shared library of this source, in a directory of its own.
pub fn compile(name: &str, source: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("worker-{name}"));
    std::fs::create_dir_all(&directory).unwrap();
    // Several processes may do the same at the same time.
    let (file, made) = (format!("{}.c", std::process::id()), format!("{}.so", std::process::id()));
    let (file, output) = (directory.join(file), directory.join(made));
    std::fs::write(&file, source).unwrap();
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-g", "-O0", "-w", "-pthread", "-o"])
        .arg(&output)
        .arg(&file)
        .status();
    assert!(made.unwrap().success());
    let library = directory.join(format!("lib{name}.so"));
    std::fs::rename(&output, &library).unwrap();
    std::fs::remove_file(&file).unwrap();
    library
}

pub fn memcheck() -> Checker {
    Checker::Memcheck { valgrind: pythy::valgrind::find().unwrap().path, options: Vec::new() }
}

pub fn launch(checker: Checker) -> Launch {
    Launch { worker: PathBuf::from(env!("CARGO_BIN_EXE_pythy-worker")), checker }
}

/// Never gives up.
pub fn patient() -> Result<()> {
    Ok(())
}

/// A worker with a library.
pub struct Fixture {
    pub client: Client,
    library: pythy::binding::Loaded,
    calls: std::cell::Cell<u64>,
}

impl Fixture {
    pub fn new(checker: Checker, library: &Path) -> Self {
        let client = Client::start(&launch(checker), patient).unwrap();
        let library = client.load(library).unwrap();
        Self { client, library, calls: std::cell::Cell::new(0) }
    }

    pub fn address(&self, name: &str) -> usize {
        self.client.symbol(self.library.handle, name).unwrap().unwrap_or_else(|| panic!("no {name}"))
    }

    /// A call of this function as it is most of the time.
    pub fn request<'a>(&self, name: &str, arguments: &'a [Argument]) -> CallRequest<'a, 'static> {
        self.calls.set(self.calls.get() + 1);
        request(self.address(name), Slot::Call(self.calls.get()), arguments, &mut [])
    }

    pub fn call(&self, name: &str, arguments: &[Argument]) -> Result<Returned> {
        self.client.call(&mut self.request(name, arguments), &mut NoHooks)
    }

    /// The text that a function returns.
    pub fn call_for_text(&self, name: &str, copies: &mut [Copy<'_>]) -> Option<Vec<u8>> {
        let CallRequest { function, slot, .. } = self.request(name, &[]);
        let arguments = [Argument::Copy { index: 0, offset: 0 }];
        let mut request = request(function, slot, &arguments, copies);
        request.result = ResultKind::Text;
        self.client.call(&mut request, &mut NoHooks).unwrap().text
    }

    pub fn call_with(&self, name: &str, arguments: &[Argument], copies: &mut [Copy<'_>]) -> Result<Returned> {
        let CallRequest { function, slot, .. } = self.request(name, arguments);
        self.client.call(&mut request(function, slot, arguments, copies), &mut NoHooks)
    }

    /// What a request of a worker that has ended gives.
    pub fn call_again(&self, name: &str) -> pythy::Error {
        self.client.symbol(self.library.handle, name).unwrap_err()
    }

    /// Valgrind's records since this was asked last.
    pub fn records(&self) -> Vec<Record> {
        let events = self.client.events().unwrap().into_iter();
        events
            .filter_map(|event| match event {
                pythy::evidence::Event::Record(record) => Some(record),
                _ => None,
            })
            .collect()
    }
}

/// For calls that call nothing back.
pub struct NoHooks;

impl Hooks for NoHooks {
    fn callback(&mut self, call: CallbackCall) -> Result<CallbackResult> {
        panic!("a callback: {call:?}");
    }

    fn interrupted(&mut self) -> Result<()> {
        Ok(())
    }
}

pub fn int(value: i64) -> Argument {
    Argument::Integer(value as u64)
}

/// A call of a function as it is most of the time.
pub fn request<'a, 'm>(
    function: usize,
    slot: Slot,
    arguments: &'a [Argument],
    copies: &'a mut [Copy<'m>],
) -> CallRequest<'a, 'm> {
    CallRequest {
        function,
        slot,
        errno: 0,
        result: ResultKind::Word(Scalar::I32),
        copies,
        arguments,
        values: &[],
        check_results: false,
        outputs: &[],
        leak_check: false,
        timeout: None,
    }
}
