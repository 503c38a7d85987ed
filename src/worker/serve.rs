//! The worker's side: requests are served one after the other, calls made in between.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use super::channel::{Broken, Channel, Forever, Frame, Talk, nameless_file};
use super::closures::Thunk;
use super::fork;
use super::invoke::{self, Invocation};
use super::launch::DEBUGINFOD_URLS;
use super::leaks;
use super::lifeline;
use super::protocol::{
    After, CUT_OFF, Callback, CallbackSignature, FINGERPRINT, Hello, MAGIC, Message, Notice, Reply, Request,
    VERSION, Watched,
};
use super::shared::Shared;
use super::stop;
use super::surroundings::{self, Change};
use crate::binding::{Handle, Here, Loader, SymbolAt};
use crate::bracket::{self, Slots};
use crate::call::{self, Memory, errno};
use crate::valgrind::{self, Presence};

/// What this process is for.
pub struct Worker {
    /// The conversation with the main thread.
    main: Mutex<Channel>,
    /// The one with all other threads, and who of them has it.
    others: Mutex<Channel>,
    others_turn: Mutex<()>,
    /// Whether Valgrind can be asked.
    watched: bool,
    state: Mutex<State>,
    /// What the last answer gave away, until the parent has made it a root or has let go of it.
    given: AtomicUsize,
}

#[derive(Default)]
struct State {
    signatures: Vec<Option<CallbackSignature>>,
    callbacks: Vec<(u64, Thunk)>,
    /// Addresses that the parent holds, by the numbers that it gave them. Plain words, where a leak check sees them.
    roots: Vec<usize>,
}

/// What came of a request.
enum Step {
    /// It has been answered.
    Served,
    /// It was a call; its answer is to be sent.
    Called {
        /// Whether what has been lost is looked for before.
        leak_check: bool,
    },
    /// It was the answer to a callback.
    Over,
}

thread_local! {
    /// Whether this thread is the one that calls are made on.
    static IS_MAIN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    /// Whether it has the turn of all the others.
    static HAS_TURN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Serves the parent that these descriptors lead to, until it says that it is enough: the sockets and shared files of
/// the two conversations, and the lifeline.
pub fn serve(descriptors: [RawFd; 5]) -> Result<(), String> {
    let [main, main_file, others, others_file, pipe] = descriptors.map(own);
    lifeline::hang_on(pipe).map_err(|error| format!("the lifeline does not hold: {error}"))?;
    prepare_process();
    fork::watch();
    stop::leave_to_parent();
    // Not in the heap, where C code that writes beyond its blocks would reach it.
    static WORKER: OnceLock<Worker> = OnceLock::new();
    let worker = WORKER.get_or_init(|| Worker {
        main: Mutex::new(Channel::new(main, Shared::by_memory(File::from(main_file)))),
        others: Mutex::new(Channel::new(others, Shared::by_memory(File::from(others_file)))),
        others_turn: Mutex::default(),
        watched: valgrind::running() == Presence::Valgrind,
        state: Mutex::default(),
        given: AtomicUsize::new(0),
    });
    IS_MAIN.set(true);
    if worker.watched {
        leaks::leave_out_last_check();
    }
    let served = worker.shake_hands().and_then(|()| worker.converse(&mut []));
    match served {
        Ok(_) | Err(Broken::Closed) => Ok(()),
        // SAFETY: ends the process; there is nobody to go on for.
        Err(Broken::System(_)) => unsafe { libc::_exit(CUT_OFF.into()) },
        Err(broken) => {
            let why = format!("{broken:?}");
            // The parent may be gone.
            let _ = worker.say(|frame| frame.put(&Message::Failed(why.clone())));
            Err(why)
        }
    }
}

/// A descriptor that was handed over, not to be handed on.
fn own(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the parent has opened them for us, and nobody else in this process knows them.
    unsafe {
        libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
        OwnedFd::from_raw_fd(descriptor)
    }
}

/// What lies at an address, by way of the kernel, which says so where nothing does.
fn peek(address: u64, size: u64) -> std::io::Result<Vec<u8>> {
    let memory = File::open("/proc/self/mem")?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size as usize)?;
    bytes.resize(size as usize, 0);
    memory.read_exact_at(&mut bytes, address)?;
    Ok(bytes)
}

/// Makes the changes of this list, as far as that goes.
fn follow(changes: &[u8]) -> Reply {
    let changes = postcard::from_bytes::<Vec<Change>>(changes).map_err(|error| error.to_string());
    let made = changes.and_then(|changes| changes.into_iter().try_for_each(Change::make));
    made.map_or_else(Reply::Refused, |()| Reply::Followed(surroundings::directory()))
}

/// Has Valgrind read suppressions.
fn suppress(entries: &str) -> std::io::Result<()> {
    let mut file = nameless_file("pythy-suppressions")?;
    file.write_all(entries.as_bytes())?;
    bracket::change_option(&format!("--suppressions=/proc/self/fd/{}", file.as_raw_fd()));
    Ok(())
}

/// Makes this a process like any that C code runs in.
fn prepare_process() {
    // SAFETY: no other thread runs yet. Rust's own handlers would make SIGABRT of a stack overflow.
    unsafe {
        libc::signal(libc::SIGSEGV, libc::SIG_DFL);
        libc::signal(libc::SIGBUS, libc::SIG_DFL);
        let none = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        let mut rusts = none;
        libc::sigaltstack(&none, &raw mut rusts);
        // Rust unmaps its stack when the process ends; until then leak checks need not read it.
        libc::mprotect(rusts.ss_sp, rusts.ss_size, libc::PROT_NONE);
        if let Some(urls) = std::env::var_os(DEBUGINFOD_URLS[1]) {
            std::env::remove_var(DEBUGINFOD_URLS[1]);
            std::env::set_var(DEBUGINFOD_URLS[0], urls);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker {
    /// The conversation of this thread.
    fn channel(&self) -> MutexGuard<'_, Channel> {
        locked(if IS_MAIN.get() { &self.main } else { &self.others })
    }

    /// Whether Valgrind can be asked.
    pub fn watched(&self) -> bool {
        self.watched
    }

    /// Valgrind's error count.
    pub fn count(&self) -> u64 {
        if self.watched { bracket::count_errors() } else { 0 }
    }

    /// Writes a frame, to be sent later.
    pub fn write(&self, write: impl FnOnce(&mut Frame<'_>) -> Talk<()>) -> Talk<()> {
        write(&mut self.channel().begin())
    }

    fn say(&self, write: impl FnOnce(&mut Frame<'_>) -> Talk<()>) -> Talk<()> {
        let mut channel = self.channel();
        write(&mut channel.begin())?;
        self.send(&mut channel)
    }

    fn send(&self, channel: &mut Channel) -> Talk<()> {
        if self.watched {
            // C may have left some of it undefined, which is nobody's fault here.
            bracket::make_defined(channel.written().as_ptr(), channel.written().len());
        }
        channel.send(&mut Forever)
    }

    fn answer(&self, reply: Reply) -> Talk<()> {
        self.say(|frame| frame.put(&Message::Reply(reply)))
    }

    fn shake_hands(&self) -> Talk<()> {
        let mut channel = self.channel();
        let mut parts = channel.receive(&mut Forever)?;
        if parts.bytes(MAGIC.len())? != MAGIC {
            return Err(Broken::Nonsense("this is no parent".to_owned()));
        }
        drop(channel);
        self.set_apart_losses();
        let watched = match valgrind::running() {
            Presence::Native => Watched::No,
            Presence::Valgrind => Watched::Yes,
            Presence::ValgrindWithoutRequests => Watched::Mutely,
        };
        self.say(|frame| {
            frame.bytes(&MAGIC);
            frame.bytes(&VERSION.to_le_bytes());
            frame.put(&Hello {
                fingerprint: FINGERPRINT.to_owned(),
                pid: std::process::id(),
                slots: Slots::of_this_process().map(|slots| slots.starts()),
                own_object: bracket::own_object(),
                watched,
                count: self.count(),
            })
        })
    }

    /// Serves requests until the parent ends, or answers the callback that waits for it: then its bytes go into
    /// `result`.
    fn converse(&'static self, result: &mut [u8]) -> Talk<()> {
        loop {
            match self.step(result)? {
                Step::Served => {}
                Step::Called { leak_check } => self.send_after_call(leak_check)?,
                Step::Over => return Ok(()),
            }
        }
    }

    /// Serves one request.
    ///
    /// Nothing of it is left on the stack when this returns: a leak check that follows would take it for a root.
    #[inline(never)]
    fn step(&'static self, result: &mut [u8]) -> Talk<Step> {
        let mut channel = self.channel();
        let mut parts = channel.receive(&mut Forever)?;
        let notices: Vec<Notice> = parts.take()?;
        if !notices.is_empty() {
            self.note(notices);
        }
        self.given.store(0, Ordering::Relaxed);
        match parts.take()? {
            Request::Call(call) => {
                let invocation = Invocation::read(self, call, &mut parts)?;
                parts.end()?;
                drop(channel);
                return self.make_call(invocation);
            }
            Request::Result { errno, size } => {
                let bytes = parts.bytes(size as usize)?;
                let length = bytes.len().min(result.len());
                result[..length].copy_from_slice(&bytes[..length]);
                errno::set(errno);
                return Ok(Step::Over);
            }
            Request::Write { address, data } => {
                // SAFETY: whoever writes there says that it is memory.
                let memory =
                    unsafe { std::slice::from_raw_parts_mut(address as *mut _, data.size() as usize) };
                parts.fill(data, memory)?;
                parts.end()?;
                drop(channel);
                self.answer(Reply::Done)?;
            }
            Request::Follow(data) => {
                let changes = parts.data_of_any_size(data)?;
                parts.end()?;
                drop(channel);
                self.answer(follow(&changes))?;
            }
            Request::Nothing => {}
            Request::Quit => {
                drop(channel);
                // SAFETY: ends the process as the end of `main` would.
                unsafe { libc::exit(0) };
            }
            request => {
                parts.end()?;
                drop(channel);
                self.serve(request)?;
            }
        }
        Ok(Step::Served)
    }

    fn set_apart_losses(&self) {
        if self.watched {
            leaks::set_apart();
        }
    }

    fn note(&self, notices: Vec<Notice>) {
        let mut state = locked(&self.state);
        for notice in notices {
            match notice {
                Notice::Root { index, address } => {
                    let index = index as usize;
                    if state.roots.len() <= index {
                        state.roots.resize(index + 1, 0);
                    }
                    state.roots[index] = address as usize;
                }
                Notice::Free(address) => call::Here.free(address as usize),
                Notice::DropCallback(id) => state.callbacks.retain(|(known, _)| *known != id),
                Notice::Unload(library) => Here.unload(Handle(library)),
            }
        }
    }

    fn serve(&'static self, request: Request) -> Talk<()> {
        let reply = match request {
            Request::Load(library) => {
                let loaded = Here.load(&PathBuf::from(std::ffi::OsString::from_vec(library)));
                self.set_apart_losses();
                match loaded {
                    Ok(loaded) => Reply::Loaded {
                        library: loaded.handle.0,
                        path: loaded.path.as_os_str().as_bytes().to_vec(),
                        base: loaded.base as u64,
                    },
                    Err(crate::Error::LibraryLoad { message, .. }) => Reply::Refused(message),
                    Err(other) => Reply::Refused(other.to_string()),
                }
            }
            Request::Symbol { library, name } => {
                let address = Here.symbol(Handle(library), &name).ok().flatten();
                Reply::Address(address.unwrap_or(0) as u64)
            }
            Request::SymbolAt(address) => {
                let symbol = Here.symbol_at(address as usize).ok().flatten();
                Reply::Symbol(
                    symbol.map(|SymbolAt { name, library }| (name, library.as_os_str().as_bytes().to_vec())),
                )
            }
            Request::Allocate(size) => match call::Here.allocate(size as usize) {
                Ok(Some(address)) => {
                    self.given.store(address, Ordering::Relaxed);
                    Reply::Address(address as u64)
                }
                _ => Reply::NoMemory(size),
            },
            Request::Read { address, size } => {
                // SAFETY: whoever reads there says that it is memory.
                let bytes = unsafe { std::slice::from_raw_parts(address as *const u8, size as usize) };
                return self.answer_data(bytes);
            }
            Request::Peek { address, size } => match peek(address, size) {
                Ok(bytes) => return self.answer_data(&bytes),
                Err(error) => Reply::Refused(error.to_string()),
            },
            Request::Text(address) => match call::Here.text(address as usize) {
                Ok(bytes) => return self.answer_data(&bytes),
                Err(error) => Reply::Refused(error.to_string()),
            },
            Request::Define { id, signature } => {
                let mut state = locked(&self.state);
                let id = id as usize;
                if state.signatures.len() <= id {
                    state.signatures.resize(id + 1, None);
                }
                state.signatures[id] = Some(signature);
                Reply::Done
            }
            Request::MakeCallback { id, signature } => match self.thunk(id, signature) {
                Ok(thunk) => {
                    let address = thunk.address() as u64;
                    locked(&self.state).callbacks.push((id, thunk));
                    Reply::Address(address)
                }
                Err(why) => Reply::Refused(why),
            },
            Request::Suppress(entries) => match suppress(&entries) {
                Ok(()) => Reply::Done,
                Err(error) => Reply::Refused(format!("suppressions cannot be given to Valgrind: {error}")),
            },
            Request::LeakCheck => {
                self.channel().forget();
                if self.watched {
                    bracket::leak_check_added();
                }
                Reply::Checked { count: self.count() }
            }
            Request::Call(_)
            | Request::Result { .. }
            | Request::Write { .. }
            | Request::Follow(_)
            | Request::Nothing
            | Request::Quit => Reply::Done,
        };
        self.answer(reply)
    }

    fn answer_data(&self, bytes: &[u8]) -> Talk<()> {
        self.say(|frame| {
            let data = frame.room_for(bytes.len());
            frame.put(&Message::Reply(Reply::Data(data)))?;
            frame.data(data, bytes)
        })
    }

    /// A function pointer of a type that has been defined.
    pub fn thunk(&'static self, id: u64, signature: u32) -> Result<Thunk, String> {
        let state = locked(&self.state);
        let known = state.signatures.get(signature as usize).and_then(Option::as_ref);
        Thunk::new(self, id, known.ok_or("its type has not been defined")?)
    }

    fn make_call(&self, invocation: Invocation) -> Talk<Step> {
        let leak_check = invocation.leak_check && self.watched;
        match invoke::make(self, invocation)? {
            Some(given) => {
                self.given.store(given, Ordering::Relaxed);
                Ok(Step::Called { leak_check })
            }
            None => {
                self.send(&mut self.channel())?;
                Ok(Step::Served)
            }
        }
    }

    /// Sends the answer to a call that is over, and what a leak check says of it.
    fn send_after_call(&self, leak_check: bool) -> Talk<()> {
        let mut channel = self.channel();
        let (before, mut micros) = (self.count(), 0);
        if leak_check {
            let start = Instant::now();
            channel.forget();
            bracket::leak_check_added();
            micros = u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX);
        }
        let count = self.count();
        channel.frame().put(&After { leaks: count - before, count, micros })?;
        self.send(&mut channel)
    }

    /// A function pointer of ours is called, on some thread of C's.
    pub fn call_back<'a>(
        &'static self,
        id: u64,
        arguments: impl ExactSizeIterator<Item = &'a [u8]>,
        result: &mut [u8],
    ) {
        errno::keep();
        fork::leave_if_any("a callback was called");
        let outside = invoke::enter_parent(self);
        let turn = (!IS_MAIN.get() && !HAS_TURN.get()).then(|| locked(&self.others_turn));
        let had_turn = HAS_TURN.replace(true);
        let asked = self.say(|frame| {
            let (errno, count) = (errno::get(), self.count());
            frame.put(&Message::Callback(Callback {
                id,
                errno,
                count,
                arguments: arguments.len() as u32,
            }))?;
            for argument in arguments {
                let data = frame.room_for(argument.len());
                frame.put(&data)?;
                frame.data(data, argument)?;
            }
            Ok(())
        });
        let answered = asked.and_then(|()| self.converse(result));
        HAS_TURN.set(had_turn);
        drop(turn);
        invoke::leave_parent(self, outside);
        if let Err(broken) = answered {
            self.end(&broken);
        }
        let _ = errno::Errno::restore();
    }

    /// There is nobody to go on for.
    fn end(&self, broken: &Broken) -> ! {
        let code = match broken {
            Broken::Closed => 1,
            Broken::System(_) => CUT_OFF.into(),
            _ => {
                eprintln!("pythy-worker: {broken:?}");
                1
            }
        };
        // SAFETY: ends the process; C code is in the middle of a call, so nothing else is run.
        unsafe { libc::_exit(code) }
    }
}
