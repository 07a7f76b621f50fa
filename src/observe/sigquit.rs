//! `EXECUTOR_DEBUG=sigquit=1`: SIGQUIT (Ctrl-\, `kill -QUIT`) prints the tasks of all runtimes on
//! standard error. Go does the same, but then ends the process; here it goes on.
//!
//! # What it guarantees
//!
//! - Without the switch the signal does what it did.
//! - A handler that the program had set for it is still called, and so is each that is registered
//!   by the crate `signal-hook-registry` (as `signal-hook` and `tokio` do), before or after. One
//!   that the program sets later by the C library takes the place of ours.
//! - After each signal a list is printed that was begun after it. Signals that come while one is
//!   printed may share the next one.
//! - A list is written whole, however long it is.
//! - The child of a fork answers for its own runtimes, once it builds one with the switch on. Until
//!   then the signal does nothing there. In no case does its parent print because of it.
//!
//! # Protocol
//!
//! 1. [`start`], with the first runtime of a process: makes a pair of sockets, starts a thread, and
//!    registers the handler.
//! 2. The handler runs on any thread, in the middle of anything. It compares two numbers and sends
//!    a byte, without waiting; if there is no room for that byte, others wait to be read.
//! 3. The thread takes all bytes there are, makes the text, and waits until
//!    [`stderr`] has written it.
//!
//! A task that keeps all processors, or holds any lock of the program, does not keep the thread
//! from printing.
//!
//! # What it does not do
//!
//! The process exits without waiting for a list that is not ready, and waits for one that is being
//! written for two seconds at most.

pub(crate) use imp::{hold, num_threads, start};

/// Whether this build can.
pub(crate) const IS_AVAILABLE: bool = cfg!(all(unix, feature = "stacks"));

#[cfg(all(unix, feature = "stacks"))]
mod imp {
    use std::fmt::Write as _;
    use std::io::{self, ErrorKind, Read, Write as _};
    use std::os::unix::net::UnixStream;
    use std::process;

    use crate::machine::pinned;
    use crate::observe::each;
    use crate::observe::stack_dump::{WITHIN, dump_stacks};
    use crate::observe::task_info::Counted;
    use crate::stderr;
    use crate::sync::atomic::{AtomicBool, Ordering};
    use crate::sync::{Mutex, MutexGuard, thread};

    /// By POSIX, which also lets `kill -3` send it.
    const SIGQUIT: i32 = 3;

    /// The process whose thread waits for the signal, by its number. The number, and not a `Birth`:
    /// it is right also in the first moments of a child, and in one that no handler of `fork` has
    /// seen.
    static STARTED: Mutex<Option<u32>> = Mutex::new(None);

    /// The thread asks the runtimes. `Relaxed`: for the deadlock detector, which looks twice.
    static IS_ASKING: AtomicBool = AtomicBool::new(false);

    /// Takes the lock, for a fork.
    pub(crate) fn hold() -> MutexGuard<'static, Option<u32>> {
        STARTED.lock()
    }

    /// From now on the signal prints. Later calls do nothing.
    pub(crate) fn start() {
        // Held to the end: a process has one thread.
        let mut started = STARTED.lock();
        if *started == Some(process::id()) {
            return;
        }
        match begin() {
            Ok(()) => *started = Some(process::id()),
            Err(error) => stderr::say(format_args!(
                "EXECUTOR_DEBUG: sigquit=1 has no effect: {error}"
            )),
        }
    }

    fn begin() -> io::Result<()> {
        let (sender, receiver) = UnixStream::pair()?;
        sender.set_nonblocking(true)?;
        let builder = thread::Builder::new().name("executor-sigquit".to_owned());
        thread::spawn_on_system(builder, pinned::unpinned(move || answer(&receiver)))?;
        let process = process::id();
        let send = move || {
            // A child has its parent's handler and socket.
            if process::id() == process {
                // If there is no room the thread has something to read.
                let _ = (&sender).write(&[0]);
            }
        };
        // If this fails the sender is dropped, and the thread ends.
        // SAFETY: `send` does what a handler may do: `getpid`, and one `write` (or `send`) that does
        // not wait, of a byte on its stack. It takes no lock, allocates nothing and does not unwind;
        // the error it drops is a number. The registry restores `errno`, and never drops `send`.
        unsafe { signal_hook_registry::register(SIGQUIT, send) }?;
        Ok(())
    }

    /// The thread. It ends only if it was started in vain, and then [`STARTED`] does not speak of it.
    fn answer(mut receiver: &UnixStream) {
        stderr::block_signals();
        let mut bytes = [0; 64];
        loop {
            match receiver.read(&mut bytes) {
                Ok(1..) => print(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
    }

    /// The tasks of all runtimes of this process.
    fn print() {
        let mut text = String::new();
        IS_ASKING.store(true, Ordering::Relaxed);
        each(|shared, _| {
            // Else it has ended.
            if let Some(name) = shared.name() {
                let processors = Counted(shared.num_processors() as u64, "processor");
                let tasks = dump_stacks(shared, WITHIN);
                let _ = write!(
                    text,
                    "executor: SIGQUIT: runtime {name:?} ({processors}):\n{tasks}"
                );
            }
        });
        IS_ASKING.store(false, Ordering::Relaxed);
        if text.is_empty() {
            text.push_str("executor: SIGQUIT: there is no runtime\n");
        }
        stderr::write_and_wait(text);
    }

    /// Number of threads that wait for the signal, or for standard error, and can wake no task
    /// meanwhile: 0 or 1.
    pub(crate) fn num_threads() -> usize {
        let is_started = *STARTED.lock() == Some(process::id());
        usize::from(is_started && !IS_ASKING.load(Ordering::Relaxed))
    }
}

#[cfg(not(all(unix, feature = "stacks")))]
mod imp {
    pub(crate) fn hold() {}

    /// Not called: [`super::IS_AVAILABLE`].
    pub(crate) fn start() {}

    pub(crate) fn num_threads() -> usize {
        0
    }
}
