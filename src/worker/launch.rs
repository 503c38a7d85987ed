//! Starting the worker's process.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::channel::{Channel, nameless_file, out_of_the_way, sockets};
use super::shared::Shared;
use crate::{Error, Result};

/// How a worker is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// `pythy-worker`, by its absolute path.
    pub worker: PathBuf,
    /// Under what.
    pub checker: Checker,
}

/// Under what a worker runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checker {
    /// Memcheck.
    Memcheck {
        /// The Valgrind to run.
        valgrind: PathBuf,
        /// Further options, such as `--suppressions=FILE`.
        options: Vec<String>,
    },
    /// Nothing.
    None,
}

/// How many frames Valgrind keeps of a stack.
pub const NUM_CALLERS: usize = 40;

/// The leaks that count.
pub const LEAK_KINDS: [&str; 2] =
    ["--show-leak-kinds=definite,possible", "--errors-for-leak-kinds=definite,possible"];

/// `DEBUGINFOD_URLS` as the program is to see it: Valgrind would ask there for minutes.
pub const DEBUGINFOD_URLS: [&str; 2] = ["DEBUGINFOD_URLS", "PYTHY_DEBUGINFOD_URLS"];

/// A worker's process, and what leads there.
#[derive(Debug)]
pub struct Launched {
    /// The process.
    pub child: Child,
    /// For the worker's main thread.
    pub main: Channel,
    /// For all its other threads.
    pub others: Channel,
    /// What the worker's life hangs on: it ends when nobody holds this any more.
    pub lifeline: OwnedFd,
    /// Where Valgrind writes its records.
    pub xml: File,
    /// Where Valgrind writes all else.
    pub log: File,
}

impl Launched {
    /// All descriptors that lead to it and stay open as long as it lives.
    pub fn descriptors(&self) -> Vec<RawFd> {
        let [main, main_file] = self.main.descriptors();
        let [others, others_file] = self.others.descriptors();
        let [lifeline, log] = [self.lifeline.as_raw_fd(), self.log.as_raw_fd()];
        vec![main, main_file, others, others_file, lifeline, log]
    }
}

impl Launch {
    /// The leak kinds that are shown.
    pub fn leak_kinds(&self) -> &str {
        let options: &[String] = match &self.checker {
            Checker::Memcheck { options, .. } => options,
            Checker::None => &[],
        };
        let words = [LEAK_KINDS[0]].into_iter().chain(options.iter().map(String::as_str));
        words.filter_map(|word| word.strip_prefix("--show-leak-kinds=")).next_back().unwrap_or_default()
    }

    /// Starts the process; whether it is any good shows when it answers.
    pub fn spawn(&self) -> Result<Launched> {
        let failed = |message: String| Error::WorkerStart { path: self.worker.clone(), message };
        // Under Valgrind, starting what is not there looks like a program that ended.
        if !self.worker.is_file() {
            return Err(failed("it does not exist; reinstall pythy".to_owned()));
        }
        self.try_spawn().map_err(|error| failed(error.to_string()))
    }

    fn try_spawn(&self) -> io::Result<Launched> {
        let (main, main_there) = sockets()?;
        let (others, others_there) = sockets()?;
        let (lifeline_there, lifeline) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let (lifeline_there, lifeline) = (out_of_the_way(lifeline_there)?, out_of_the_way(lifeline)?);
        let files = ["pythy-main", "pythy-others", "pythy-xml", "pythy-log"].map(nameless_file);
        let [main_file, others_file, xml, log] = files;
        let (main_file, others_file, xml, log) = (main_file?, others_file?, xml?, log?);
        let descriptors = [
            main_there.as_raw_fd(),
            main_file.as_raw_fd(),
            others_there.as_raw_fd(),
            others_file.as_raw_fd(),
            lifeline_there.as_raw_fd(),
        ];
        let mut inherited = descriptors.to_vec();
        let mut command = match &self.checker {
            Checker::None => Command::new(&self.worker),
            Checker::Memcheck { valgrind, options } => {
                inherited.extend([xml.as_raw_fd(), log.as_raw_fd()]);
                let mut command = Command::new(valgrind);
                command.args(memcheck(&xml, &log)).args(options).arg(&self.worker);
                command
            }
        };
        if is_closed(libc::STDIN_FILENO) {
            command.stdin(Stdio::null());
        }
        if is_closed(libc::STDOUT_FILENO) {
            command.stdout(Stdio::null());
        }
        if is_closed(libc::STDERR_FILENO) {
            command.stderr(Stdio::null());
        }
        command.arg("serve").args(descriptors.map(|descriptor| descriptor.to_string()));
        if let Some(urls) = std::env::var_os(DEBUGINFOD_URLS[0]) {
            command.env_remove(DEBUGINFOD_URLS[0]).env(DEBUGINFOD_URLS[1], urls);
        }
        let watched = self.checker != Checker::None;
        // SAFETY: between fork and exec only system calls are made.
        unsafe { command.pre_exec(move || prepare(&inherited, watched)) };
        let child = command.spawn()?;
        let (main, others) = (
            Channel::new(main, Shared::by_calls(main_file)),
            Channel::new(others, Shared::by_calls(others_file)),
        );
        main.wait_in_slices()?;
        others.wait_in_slices()?;
        Ok(Launched { child, main, others, lifeline, xml, log })
    }
}

/// Valgrind's options.
fn memcheck(xml: &File, log: &File) -> Vec<String> {
    let fixed = [
        "--tool=memcheck",
        "-q",
        "--xml=yes",
        LEAK_KINDS[0],
        LEAK_KINDS[1],
        "--leak-resolution=high",
        // An overflow into the next block's header would be the end of Valgrind itself.
        "--redzone-size=1024",
        "--child-silent-after-fork=yes",
        "--trace-children=no",
        "--error-limit=no",
        // Given to it later, those of them that can match: see `Defaults`.
        "--default-suppressions=no",
        "--vgdb=no",
        // Its other lock is a pipe: six of fourteen system calls for each call.
        "--fair-sched=try",
    ];
    let made = [
        format!("--xml-fd={}", xml.as_raw_fd()),
        format!("--log-fd={}", log.as_raw_fd()),
        format!("--num-callers={NUM_CALLERS}"),
    ];
    fixed.map(str::to_owned).into_iter().chain(made).collect()
}

/// Whether the program has closed one of its streams. What the worker opens would take its number, and get what C prints.
fn is_closed(stream: RawFd) -> bool {
    // SAFETY: asks for a flag.
    unsafe { libc::fcntl(stream, libc::F_GETFD) < 0 }
}

/// Makes the new process ready: in it, before the worker's program begins.
fn prepare(inherited: &[RawFd], watched: bool) -> io::Result<()> {
    for descriptor in inherited {
        // SAFETY: changes a flag of a descriptor that this process has.
        if unsafe { libc::fcntl(*descriptor, libc::F_SETFD, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // Ctrl-C is Python's: it ends the worker if it wants to.
    // SAFETY: sets how this process takes a signal.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
    if watched {
        // Valgrind would leave a vgcore.PID behind in the working directory.
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: reads and writes the structure, which lives throughout.
        unsafe {
            libc::getrlimit(libc::RLIMIT_CORE, &mut limit);
            limit.rlim_cur = 0;
            libc::setrlimit(libc::RLIMIT_CORE, &limit);
        }
    }
    Ok(())
}
