//! The parent's side: a worker, and what it does when asked.

use std::cell::Cell;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::call::{CallRequest, CallbackCall, CallbackResult, Hooks, NoCallbacks, Returned};
use super::channel::{Broken, Channel, Frame, Parts, Patience, Talk};
use super::death::{Death, Ending};
use super::launch::{Launch, Launched, NUM_CALLERS};
use super::process::Process;
use super::protocol::{
    CallbackSignature, FINGERPRINT, Hello, MAGIC, Message, Notice, Reply, Request, VERSION, Watched,
};
use super::turn::{Conversation, Turn};
use crate::attribution::Tables;
use crate::bracket::Slots;
use crate::call::Memory;
use crate::evidence::Event;
use crate::valgrind::Defaults;
use crate::{Error, Result};

/// How long a worker may take to start.
const START: Duration = Duration::from_secs(60);

/// How many notices go into one frame.
const NOTICES: usize = 1 << 13;

/// A worker. Cheap to clone; the process ends when the last clone goes that is not an observer's.
#[derive(Debug)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
    /// Whether the worker is kept for it.
    uses: bool,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) launch: Launch,
    main: Conversation,
    others: Conversation,
    process: Mutex<Process>,
    dead: AtomicBool,
    hello: OnceLock<Hello>,
    notices: Mutex<Vec<Notice>>,
    roots: Mutex<RootNumbers>,
    /// Valgrind's own suppressions that it has not been given yet; `None` before the first library.
    pub(super) defaults: Mutex<Option<Defaults>>,
    released: AtomicBool,
    /// Whether somebody runs the callbacks of its other threads.
    served: AtomicBool,
    /// How many calls are under way.
    calls: AtomicUsize,
    /// How many have it who are no observers.
    users: AtomicUsize,
    /// Whether leaks are looked for before it ends.
    leaks_wanted: AtomicBool,
    /// Asked while waiting in requests that have no hooks of their own.
    interrupted: fn() -> Result<()>,
    /// The process that started the worker.
    owner: u32,
    /// All descriptors that lead to it.
    descriptors: Vec<RawFd>,
}

#[derive(Debug, Default)]
struct RootNumbers {
    free: Vec<u32>,
    next: u32,
}

/// An address that is a root of the worker's leak checks for as long as this lives.
#[derive(Debug)]
pub struct Root {
    client: Client,
    index: u32,
}

thread_local! {
    /// The worker for one of whose other threads a callback runs on this thread: its `Inner`'s address.
    static SERVED: Cell<usize> = const { Cell::new(0) };
    /// The worker whose answer this thread waits for while it asks whether to go on: its `Inner`'s address.
    static ASKING: Cell<usize> = const { Cell::new(0) };
}

impl Client {
    /// Starts a worker, and does not wait for it. `interrupted` is asked while waiting for an answer,
    /// several times a second and when a signal came; an error ends the worker and the waiting.
    pub fn start(launch: &Launch, interrupted: fn() -> Result<()>) -> Result<Self> {
        Self::of(launch.spawn()?, launch, interrupted)
    }

    fn of(launched: Launched, launch: &Launch, interrupted: fn() -> Result<()>) -> Result<Self> {
        let descriptors = launched.descriptors();
        let (main, others) = (Conversation::new(launched.main), Conversation::new(launched.others));
        let process = Process::new(launched.child, launched.lifeline, &launched.xml, launched.log)?;
        let inner = Arc::new(Inner {
            launch: launch.clone(),
            main,
            others,
            process: Mutex::new(process),
            dead: AtomicBool::new(false),
            hello: OnceLock::new(),
            notices: Mutex::default(),
            roots: Mutex::default(),
            defaults: Mutex::default(),
            released: AtomicBool::new(false),
            served: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            users: AtomicUsize::new(1),
            leaks_wanted: AtomicBool::new(false),
            interrupted,
            owner: std::process::id(),
            descriptors,
        });
        living().push(Arc::downgrade(&inner));
        Ok(Self { inner, uses: true })
    }

    /// All workers that have not ended.
    pub fn living() -> Vec<Self> {
        let living = living().iter().filter_map(Weak::upgrade).collect::<Vec<_>>();
        living.into_iter().map(|inner| Self { inner, uses: false }).filter(Self::is_alive).collect()
    }

    /// The same worker for somebody who watches, and for whose sake it does not live.
    pub fn observer(&self) -> Self {
        Self { inner: self.inner.clone(), uses: false }
    }

    /// Waits until the worker can be used. Every request does so by itself.
    pub fn ready(&self) -> Result<()> {
        self.hello().map(|_| ())
    }

    /// Whether it can be talked to.
    pub fn is_alive(&self) -> bool {
        self.inner.alive().is_ok()
    }

    /// Whether it has ended; of a worker of the process that this one was forked from nobody here can tell.
    pub fn has_ended(&self) -> bool {
        self.inner.owner == std::process::id() && self.inner.dead.load(Ordering::Acquire)
    }

    /// Whether both are the same worker.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.inner.process().pid()
    }

    /// Whether it runs under Valgrind, and answers for it.
    pub fn watched(&self) -> Result<Watched> {
        Ok(self.hello()?.watched)
    }

    /// What addresses mean in the worker; the libraries are the caller's to add.
    pub fn tables(&self) -> Result<Tables> {
        let hello = self.hello()?;
        Ok(Tables {
            slots: hello.slots.map(|(outer, inner)| Slots::at(outer, inner)),
            own_object: hello.own_object.clone(),
            libraries: Vec::new(),
            num_callers: NUM_CALLERS,
        })
    }

    /// Valgrind's error count when the worker was ready.
    pub fn first_count(&self) -> Result<u64> {
        Ok(self.hello()?.count)
    }

    /// Makes a function type one that callbacks may have, under a number of the caller's, small and new.
    pub fn define(&self, id: u32, signature: &CallbackSignature) -> Result<()> {
        let request = Request::Define { id, signature: signature.clone() };
        self.plain(request, |reply, _| done(&reply))
    }

    /// A function pointer for C code to keep; when it is called, `id` says which.
    pub fn make_callback(&self, id: u64, signature: u32) -> Result<usize> {
        self.plain(Request::MakeCallback { id, signature }, address)
    }

    /// Copies what lies at an address, if there is memory; whether there is. Valgrind does not know of it.
    pub fn peek(&self, address: usize, into: &mut [u8]) -> Result<bool> {
        let request = Request::Peek { address: address as u64, size: into.len() as u64 };
        self.plain(request, |reply, parts| match reply {
            Reply::Data(data) => parts.data(data, into).map(|()| Ok(true)),
            Reply::Refused(_) => Ok(Ok(false)),
            other => unexpected(&other),
        })
    }

    /// [`Memory::write`] where nothing can be done with an interruption: it stays for later.
    pub fn write_at_all_events(&self, address: usize, bytes: &[u8]) -> Result<()> {
        self.write_by(&mut NoCallbacks(|| Ok(())), address, bytes)
    }

    /// Whether somebody has still to begin to [`Client::serve_callbacks`]; asked once.
    pub fn begin_serving(&self) -> bool {
        !self.inner.served.swap(true, Ordering::Relaxed)
    }

    /// Has leaks looked for before the worker ends, should everybody drop it.
    pub fn want_leaks(&self) {
        self.inner.leaks_wanted.store(true, Ordering::Relaxed);
    }

    /// Frees what [`Client::make_callback`] made: with the next request.
    pub fn drop_callback(&self, id: u64) {
        self.notice(Notice::DropCallback(id));
    }

    /// Makes an address a root of leak checks: with the next request.
    pub fn root(&self, address: usize) -> Root {
        let mut roots = self.inner.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let index = roots.free.pop().unwrap_or_else(|| {
            roots.next += 1;
            roots.next - 1
        });
        drop(roots);
        self.notice(Notice::Root { index, address: address as u64 });
        Root { client: self.clone(), index }
    }

    /// Python has let go of memory of the worker's.
    pub fn note_release(&self) {
        self.inner.released.store(true, Ordering::Relaxed);
    }

    /// Whether Python has let go of memory since this was asked last.
    pub fn take_released(&self) -> bool {
        self.inner.released.swap(false, Ordering::Relaxed)
    }

    /// Looks for blocks that were lost since the last check; Valgrind's error count after it.
    pub fn leak_check(&self) -> Result<u64> {
        self.plain(Request::LeakCheck, checked)
    }

    /// The same, unless another thread has the worker: `None`. It cannot be interrupted.
    pub fn leak_check_at_once(&self) -> Result<Option<u64>> {
        let mut patient = NoCallbacks(|| Ok(()));
        self.check_turn()?;
        self.ready_by(&mut patient)?;
        let Some(mut turn) = self.conversation().turn_at_once() else { return Ok(None) };
        let mut waiting = Waiting::new(self, &mut patient, None);
        let write = |frame: &mut Frame<'_>| frame.put(&Request::LeakCheck);
        let answer = self.exchange_in(&mut turn, &mut waiting, write, checked);
        answer.unwrap_or_else(|broken| Err(self.give_up(broken))).map(Some)
    }

    /// Waits until no other thread has the worker, but not long; whether that is so.
    pub fn is_free_soon(&self) -> bool {
        self.conversation().is_free_soon()
    }

    /// Calls a function.
    pub fn call(&self, call: &mut CallRequest<'_, '_>, hooks: &mut dyn Hooks) -> Result<Returned> {
        self.attempt(call, hooks).1
    }

    /// Calls a function, and tells whether the worker was asked at all: it may have ended while another thread had it.
    pub fn attempt(&self, call: &mut CallRequest<'_, '_>, hooks: &mut dyn Hooks) -> (bool, Result<Returned>) {
        let timeout = call.timeout;
        let call = std::cell::RefCell::new(call);
        let asked = std::cell::Cell::new(false);
        let write = |frame: &mut Frame<'_>| {
            asked.set(true);
            call.borrow().write(frame)
        };
        let read = |reply, parts: &mut Parts<'_>| match reply {
            Reply::Returned(head) => call.borrow_mut().read(head, parts).map(Ok),
            Reply::NoMemory(size) => Ok(Err(Error::WorkerMemory { size })),
            other => unexpected(&other),
        };
        self.inner.calls.fetch_add(1, Ordering::AcqRel);
        let returned = self.converse(hooks, timeout, write, read);
        self.inner.calls.fetch_sub(1, Ordering::AcqRel);
        let idle = matches!(returned, Err(Error::WorkerCrashed { idle: true, .. }));
        (asked.get() && !idle, returned)
    }

    /// Whether a call is under way.
    pub fn is_calling(&self) -> bool {
        self.inner.calls.load(Ordering::Acquire) > 0
    }

    /// Runs the callbacks that come on other threads than the one that calls are made on, until the worker
    /// ends. To be called on a thread of its own.
    pub fn serve_callbacks(&self, hooks: &mut dyn Hooks) -> Result<()> {
        let mut waiting = Waiting::new(self, hooks, None);
        let served = self.serve_others(&mut waiting);
        served.map_err(|broken| self.give_up(broken))
    }

    /// What Valgrind has reported since this was asked last.
    pub fn events(&self) -> Result<Vec<Event>> {
        self.inner.process().events()
    }

    /// How it ended; `None` while it runs.
    pub fn death(&self) -> Option<Death> {
        self.inner.process().death().cloned()
    }

    /// Ends the worker as a program ends: buffers are written, destructors run.
    pub fn close(&self) {
        self.inner.close();
    }

    /// Ends the worker at once.
    pub fn kill(&self) {
        self.inner.bury(Some(Ending::Closed));
    }

    /// To be called in the child after a fork: the workers stay the parent's, nothing of them is left here.
    pub fn abandon_all() {
        let Ok(nothing) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") else {
            return;
        };
        // Others may have held the locks when the process was forked, so none is waited for.
        let Ok(mut living) = LIVING.try_lock() else { return };
        let mine = std::process::id();
        for inner in std::mem::take(&mut *living).iter().filter_map(Weak::upgrade) {
            if inner.owner == mine || inner.dead.load(Ordering::Acquire) {
                continue;
            }
            for descriptor in &inner.descriptors {
                // SAFETY: the descriptors are the worker's, and stay open as long as it lives.
                unsafe { libc::dup3(nothing.as_raw_fd(), *descriptor, libc::O_CLOEXEC) };
            }
        }
    }

    /// Nobody has it any more: looks for leaks at last, if somebody wanted that, and ends it.
    fn leave(&self) {
        if self.inner.alive().is_err() {
            return;
        }
        if self.inner.leaks_wanted.load(Ordering::Relaxed) && self.inner.hello.get().is_some() {
            // Should it fail, then the worker is at its end anyway.
            let _ = self.leak_check_at_once();
        }
        self.inner.close();
    }

    pub(super) fn hello(&self) -> Result<&Hello> {
        if self.inner.hello.get().is_none() {
            self.ready_by(&mut self.no_callbacks())?;
        }
        self.inner.hello.get().ok_or_else(|| Error::WorkerGone { why: "it never began".to_owned() })
    }
}

impl Clone for Client {
    fn clone(&self) -> Self {
        self.inner.users.fetch_add(usize::from(self.uses), Ordering::Relaxed);
        Self { inner: self.inner.clone(), uses: self.uses }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.uses && self.inner.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.leave();
        }
    }
}

/// All workers of this process that may be there.
static LIVING: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

fn living() -> MutexGuard<'static, Vec<Weak<Inner>>> {
    let mut living = LIVING.lock().unwrap_or_else(PoisonError::into_inner);
    living.retain(|inner| inner.upgrade().is_some_and(|inner| !inner.dead.load(Ordering::Acquire)));
    living
}

impl Memory for Client {
    fn read(&self, address: usize, into: &mut [u8]) -> Result<()> {
        let request = Request::Read { address: address as u64, size: into.len() as u64 };
        self.plain(request, |reply, parts| match reply {
            Reply::Data(data) => parts.data(data, into).map(Ok),
            other => unexpected(&other),
        })
    }

    fn write(&self, address: usize, bytes: &[u8]) -> Result<()> {
        self.write_by(&mut self.no_callbacks(), address, bytes)
    }

    fn text(&self, address: usize) -> Result<Vec<u8>> {
        self.plain(Request::Text(address as u64), |reply, parts| match reply {
            Reply::Data(data) => parts.data_of_any_size(data).map(Ok),
            other => unexpected(&other),
        })
    }

    fn allocate(&self, size: usize) -> Result<Option<usize>> {
        self.plain(Request::Allocate(size as u64), |reply, parts| match reply {
            Reply::NoMemory(_) => Ok(Ok(None)),
            reply => Ok(address(reply, parts)?.map(Some)),
        })
    }

    /// With the next request.
    fn free(&self, address: usize) {
        self.notice(Notice::Free(address as u64));
        self.note_release();
    }
}

/// The conversation itself.
impl Client {
    fn no_callbacks(&self) -> NoCallbacks {
        NoCallbacks(self.inner.interrupted)
    }

    pub(super) fn plain<T>(
        &self,
        request: Request,
        read: impl FnOnce(Reply, &mut Parts<'_>) -> Talk<Result<T>>,
    ) -> Result<T> {
        self.converse(&mut self.no_callbacks(), None, |frame| frame.put(&request), read)
    }

    fn write_by(&self, hooks: &mut dyn Hooks, address: usize, bytes: &[u8]) -> Result<()> {
        let write = |frame: &mut Frame<'_>| {
            let data = frame.room_for(bytes.len());
            frame.put(&Request::Write { address: address as u64, data })?;
            frame.data(data, bytes)
        };
        self.converse(hooks, None, write, |reply, _| done(&reply))
    }

    pub(super) fn notice(&self, notice: Notice) {
        self.inner.notices().push(notice);
    }

    /// Asks something, serves the callbacks that come, and reads the answer.
    fn converse<T>(
        &self,
        hooks: &mut dyn Hooks,
        timeout: Option<Duration>,
        write: impl FnOnce(&mut Frame<'_>) -> Talk<()>,
        read: impl FnOnce(Reply, &mut Parts<'_>) -> Talk<Result<T>>,
    ) -> Result<T> {
        self.ready_by(hooks)?;
        let mut waiting = Waiting::new(self, hooks, timeout);
        let answer = self.exchange(&mut waiting, write, read);
        answer.unwrap_or_else(|broken| Err(self.give_up(broken)))
    }

    fn exchange<T>(
        &self,
        waiting: &mut Waiting<'_>,
        write: impl FnOnce(&mut Frame<'_>) -> Talk<()>,
        read: impl FnOnce(Reply, &mut Parts<'_>) -> Talk<Result<T>>,
    ) -> Talk<Result<T>> {
        if let Err(refused) = self.check_turn() {
            return Ok(Err(refused));
        }
        let mut turn = self.conversation().turn(waiting)?;
        let answer = self.exchange_in(&mut turn, waiting, write, read);
        // Before the turn is given back, or the next would ask a worker that is about to be ended.
        Ok(answer.unwrap_or_else(|broken| Err(self.give_up(broken))))
    }

    /// That this thread does not itself wait for an answer, in the middle of which a signal came.
    fn check_turn(&self) -> Result<()> {
        if ASKING.get() != self.address() {
            return Ok(());
        }
        let message = "a signal handler cannot use a worker that is in the middle of a call";
        Err(Error::WorkerRefused { message: message.to_owned() })
    }

    fn exchange_in<T>(
        &self,
        turn: &mut Turn<'_>,
        waiting: &mut Waiting<'_>,
        write: impl FnOnce(&mut Frame<'_>) -> Talk<()>,
        read: impl FnOnce(Reply, &mut Parts<'_>) -> Talk<Result<T>>,
    ) -> Talk<Result<T>> {
        waiting.begin();
        self.send(turn, waiting, write).map_err(|broken| match broken {
            Broken::Closed if !turn.is_in_callback() => Broken::GoneBefore,
            broken => broken,
        })?;
        loop {
            let mut parts = channel(turn)?.receive(waiting)?;
            match parts.take()? {
                Message::Reply(reply) => {
                    let answer = read(reply, &mut parts)?;
                    parts.end()?;
                    return Ok(answer);
                }
                Message::Callback(head) => {
                    let call = CallbackCall::read(&head, parts)?;
                    self.call_back(turn, waiting, call)?;
                    // C code may call back so fast that there is never anything to wait for.
                    waiting.in_time()?;
                }
                Message::Failed(why) => return Err(Broken::Nonsense(why)),
            }
        }
    }

    /// Runs a callback without the turn, and sends its result.
    fn call_back(&self, turn: &mut Turn<'_>, waiting: &mut Waiting<'_>, call: CallbackCall) -> Talk<()> {
        let number = turn.open_callback();
        let since = Instant::now();
        let result = waiting.hooks.callback(call);
        waiting.extend(since.elapsed());
        turn.close_callback(number, waiting)?;
        let CallbackResult { bytes, errno } = result.map_err(|error| Broken::Stopped(Box::new(error)))?;
        self.send(turn, waiting, |frame| {
            frame.put(&Request::Result { errno, size: bytes.len() as u32 })?;
            frame.bytes(&bytes);
            Ok(())
        })
    }

    /// Sends the notices that have come together, and a request.
    fn send(
        &self,
        turn: &mut Turn<'_>,
        waiting: &mut Waiting<'_>,
        write: impl FnOnce(&mut Frame<'_>) -> Talk<()>,
    ) -> Talk<()> {
        let channel = channel(turn)?;
        channel.shrink()?;
        let mut notices = std::mem::take(&mut *self.inner.notices());
        while notices.len() > NOTICES {
            let later = notices.split_off(NOTICES);
            let mut frame = channel.begin();
            frame.put(&notices)?;
            frame.put(&Request::Nothing)?;
            channel.send(waiting)?;
            notices = later;
        }
        let mut frame = channel.begin();
        frame.put(&notices)?;
        write(&mut frame)?;
        channel.send(waiting)
    }

    fn serve_others(&self, waiting: &mut Waiting<'_>) -> Talk<()> {
        let mut turn = self.inner.others.turn(waiting)?;
        loop {
            let mut parts = channel(&mut turn)?.receive(waiting)?;
            let Message::Callback(head) = parts.take()? else {
                return Err(Broken::Nonsense("an answer that nobody has asked for".to_owned()));
            };
            let call = CallbackCall::read(&head, parts)?;
            let outer = SERVED.replace(self.address());
            let served = self.call_back(&mut turn, waiting, call);
            SERVED.set(outer);
            served?;
        }
    }

    /// The conversation that this thread has: the main one, but in a callback on another thread of C's.
    fn conversation(&self) -> &Conversation {
        if SERVED.get() == self.address() { &self.inner.others } else { &self.inner.main }
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.inner) as usize
    }

    fn ready_by(&self, hooks: &mut dyn Hooks) -> Result<()> {
        self.inner.alive()?;
        if self.inner.hello.get().is_some() {
            return Ok(());
        }
        self.check_turn()?;
        let mut waiting = Waiting::new(self, hooks, Some(START));
        match self.shake_hands(&mut waiting) {
            Ok(answer) => answer,
            Err(Broken::Stopped(error)) => Err(self.give_up(Broken::Stopped(error))),
            Err(broken) => Err(self.not_started(broken)),
        }
    }

    fn shake_hands(&self, waiting: &mut Waiting<'_>) -> Talk<Result<()>> {
        let mut turn = self.inner.main.turn(waiting)?;
        if self.inner.hello.get().is_some() {
            return Ok(Ok(()));
        }
        waiting.begin();
        let channel = channel(&mut turn)?;
        let mut frame = channel.begin();
        frame.bytes(&MAGIC);
        frame.bytes(&VERSION.to_le_bytes());
        frame.put(&FINGERPRINT)?;
        channel.send(waiting)?;
        let mut parts = channel.receive(waiting)?;
        if parts.bytes(MAGIC.len())? != MAGIC {
            return Err(Broken::Nonsense("it does not say that it is a worker".to_owned()));
        }
        let version = parts.bytes(size_of_val(&VERSION))?.try_into().map_or(0, u32::from_le_bytes);
        if version != VERSION {
            return Ok(Err(self.other_build(format!("it speaks protocol {version}, not {VERSION}"))));
        }
        let hello: Hello = parts.take()?;
        parts.end()?;
        if hello.fingerprint != FINGERPRINT {
            return Ok(Err(self.other_build(format!("{}, not {FINGERPRINT}", hello.fingerprint))));
        }
        let _ = self.inner.hello.set(hello);
        Ok(Ok(()))
    }

    fn other_build(&self, message: String) -> Error {
        self.inner.bury(Some(Ending::Nonsense(message.clone())));
        Error::WorkerBuild { path: self.inner.launch.worker.clone(), message }
    }

    fn not_started(&self, broken: Broken) -> Error {
        let death = match broken {
            Broken::Closed | Broken::GoneBefore => self.inner.bury(None),
            Broken::Nonsense(message) => self.inner.bury(Some(Ending::Nonsense(message))),
            Broken::System(error) => self.inner.bury(Some(Ending::Nonsense(error.to_string()))),
            Broken::Stopped(error) => return *error,
        };
        let process = self.inner.process();
        let said = match process.said().trim() {
            "" => "see its standard error",
            said => said,
        };
        let message = format!("it ended {death}; {said}");
        Error::WorkerStart { path: self.inner.launch.worker.clone(), message }
    }

    /// Ends the worker whose conversation is broken, and says what happened.
    fn give_up(&self, broken: Broken) -> Error {
        match broken {
            Broken::Closed => self.inner.bury(None).error(),
            Broken::GoneBefore => self.inner.bury(None).error_while_idle(),
            Broken::Nonsense(message) => {
                self.inner.bury(Some(Ending::Nonsense(message.clone())));
                Error::WorkerNonsense { message }
            }
            Broken::System(error) => {
                let message = error.to_string();
                self.inner.bury(Some(Ending::Nonsense(message.clone())));
                Error::WorkerNonsense { message }
            }
            Broken::Stopped(error) => {
                let ending = match *error {
                    Error::WorkerTimeout { .. } => Ending::Timeout,
                    Error::WorkerGone { .. } => return *error,
                    _ => Ending::Interrupted,
                };
                self.inner.bury(Some(ending));
                *error
            }
        }
    }
}

impl Inner {
    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notices(&self) -> MutexGuard<'_, Vec<Notice>> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That it can be talked to.
    fn alive(&self) -> Result<()> {
        if self.owner != std::process::id() {
            let why = "it belongs to the process that this one was forked from";
            return Err(Error::WorkerGone { why: why.to_owned() });
        }
        if !self.dead.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(self
            .process()
            .death()
            .map_or_else(|| Error::WorkerGone { why: "it ended".to_owned() }, Death::later))
    }

    /// Waits for its end, or brings it about.
    fn bury(&self, ending: Option<Ending>) -> Death {
        let death = {
            let mut process = self.process();
            self.dead.store(true, Ordering::Release);
            process.end(ending)
        };
        self.hang_up();
        death
    }

    fn hang_up(&self) {
        self.main.hang_up();
        self.others.hang_up();
    }

    /// Ends it in its own way if it is idle, else at once.
    fn close(&self) {
        if self.alive().is_err() {
            return;
        }
        let quit = |mut turn: Turn<'_>| {
            let channel = turn.channel()?;
            let mut frame = channel.begin();
            frame.put(&Vec::<Notice>::new()).ok()?;
            frame.put(&Request::Quit).ok()?;
            channel.send(&mut Once).ok()
        };
        let asked = self.hello.get().and_then(|_| self.main.turn_at_once()).and_then(quit);
        {
            let mut process = self.process();
            self.dead.store(true, Ordering::Release);
            if asked.is_some() {
                process.wait();
            }
            process.end(Some(Ending::Closed));
        }
        self.hang_up();
    }
}

impl Root {
    /// The worker that it is in.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.client.notice(Notice::Root { index: self.index, address: 0 });
        self.client.inner.roots.lock().unwrap_or_else(PoisonError::into_inner).free.push(self.index);
        self.client.note_release();
    }
}

/// How long somebody waits for an answer.
struct Waiting<'a> {
    client: &'a Client,
    hooks: &'a mut dyn Hooks,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    /// Whether it has the turn.
    talks: bool,
}

impl<'a> Waiting<'a> {
    fn new(client: &'a Client, hooks: &'a mut dyn Hooks, timeout: Option<Duration>) -> Self {
        Self { client, hooks, timeout, deadline: None, talks: false }
    }

    /// From now on time counts, and nobody else talks.
    fn begin(&mut self) {
        self.talks = true;
        self.deadline = self.timeout.map(|timeout| Instant::now() + timeout);
    }

    /// That there is time left.
    fn in_time(&self) -> Talk<()> {
        if let (Some(timeout), Some(deadline)) = (self.timeout, self.deadline)
            && Instant::now() >= deadline
        {
            let late = Error::WorkerTimeout { seconds: timeout.as_secs_f64() };
            return Err(Broken::Stopped(Box::new(late)));
        }
        Ok(())
    }

    /// Time that does not count.
    fn extend(&mut self, by: Duration) {
        self.deadline = self.deadline.map(|deadline| deadline + by);
    }
}

impl Patience for Waiting<'_> {
    fn go_on(&mut self) -> Talk<()> {
        let stopped = |error| Broken::Stopped(Box::new(error));
        self.client.inner.alive().map_err(stopped)?;
        let outer = if self.talks { ASKING.replace(self.client.address()) } else { ASKING.get() };
        let interrupted = self.hooks.interrupted();
        ASKING.set(outer);
        interrupted.map_err(stopped)?;
        self.in_time()?;
        // A process that C code has forked off may hold the socket open after the worker's end.
        if self.client.inner.process().has_ended() { Err(Broken::Closed) } else { Ok(()) }
    }

    fn rest(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

/// Does not wait.
struct Once;

impl Patience for Once {
    fn go_on(&mut self) -> Talk<()> {
        Err(Broken::Closed)
    }
}

fn channel<'a>(turn: &'a mut Turn<'_>) -> Talk<&'a mut Channel> {
    turn.channel().ok_or_else(|| Broken::Nonsense("nobody has the turn".to_owned()))
}

pub(super) fn unexpected<T>(reply: &Reply) -> Talk<Result<T>> {
    match reply {
        Reply::NoMemory(size) => Ok(Err(Error::WorkerMemory { size: *size })),
        Reply::Refused(message) => Ok(Err(Error::WorkerRefused { message: message.clone() })),
        other => Err(Broken::Nonsense(format!("an answer to another question: {other:?}"))),
    }
}

pub(super) fn done(reply: &Reply) -> Talk<Result<()>> {
    match reply {
        Reply::Done => Ok(Ok(())),
        other => unexpected(other),
    }
}

fn checked(reply: Reply, _: &mut Parts<'_>) -> Talk<Result<u64>> {
    match reply {
        Reply::Checked { count } => Ok(Ok(count)),
        other => unexpected(&other),
    }
}

pub(super) fn address(reply: Reply, _: &mut Parts<'_>) -> Talk<Result<usize>> {
    match reply {
        Reply::Address(address) => Ok(Ok(address as usize)),
        other => unexpected(&other),
    }
}

#[cfg(test)]
#[path = "hostile.rs"]
mod hostile;
