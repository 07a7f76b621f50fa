//! What the crate says on standard error, which can harm nobody.
//!
//! Standard error may be closed, or a full pipe that nobody reads, where a write waits for ever; and it is shared with
//! others, so it is not ours to make it non-blocking.
//!
//! # What it guarantees
//!
//! - Whoever has something to say is not held up: no task, worker, monitor or thread of the blocking pool writes, and no end
//!   of a runtime waits for a write.
//! - A closed standard error is neither a panic nor a signal.
//! - At most [`CAPACITY`] bytes wait, or one longer message. What comes when they are full, or cannot be written, is dropped
//!   and counted, and the count is said after the next message that could be written.
//! - A message is written in one piece.
//! - No lock is held during a write, not even that of [`std::io::stderr`]: a program that writes there itself, or a child that
//!   is forked meanwhile, does not wait for ours.
//!
//! # Protocol
//!
//! 1. [`write()`] puts the message into the queue, under its lock. If there is no writer, it starts one: a thread that nobody
//!    joins.
//! 2. The writer takes the first message and writes it, without the lock. It ends, under the lock, when there are none left.
//!    So there is no thread while nothing is said.
//! 3. When the process exits, [`flush`] waits for the writer, as long as that gets on: at most [`STUCK`] for one message, and
//!    [`PATIENCE`] in all.
//! 4. A fork holds the lock. The child has no writer, and its queue is emptied: what is in it is the parent's to write. In a
//!    child that is about to be aborted no thread can be relied on ([`say_last`]).
//!
//! The writer holds no waker and runs no foreign code, so the [deadlock detector](crate::scheduler::deadlock) counts it as
//! one that can wake nobody.
//!
//! # Rejected designs
//!
//! - *To ask `poll(2)` first.* A hint: another process may fill the pipe before the write.
//! - *To open `/proc/self/fd/2` anew, without blocking.* Sockets cannot be opened so, another user's terminal neither, and
//!   files would be overwritten from their beginning.
//! - *A job of the blocking pool*, which this was once: with a full pipe it kept its thread for ever, and the drop of the
//!   runtime waited for it.
//! - *A thread that stays.* It saves 30 µs for a message, of which a program that is well has none.
//!
//! # What it does not do
//!
//! Where the C library is not among our dependencies (see [`crate::sync::exit`]), nobody waits when the process exits, and the
//! last messages may be lost; so they are after `abort` and `_exit`, everywhere.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use crate::clock;
use crate::sync::exit::at_exit;
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, thread};

#[cfg(test)]
mod tests;

/// So many bytes wait at most. Half a page of text in each second for an hour.
const CAPACITY: usize = 1 << 20;

/// A message that takes so long is not read by anybody, or not any more.
const STUCK: Duration = Duration::from_millis(100);

/// How long the end of a process waits at most. A busy machine may take a while to start the writer.
const PATIENCE: Duration = Duration::from_secs(2);

static QUEUE: Mutex<Queue> = Mutex::new(Queue::new());

/// The writer has ended.
static WRITTEN: Condvar = Condvar::new();

/// See the module's documentation.
struct Queue {
    messages: VecDeque<Message>,
    /// Of all that wait.
    bytes: usize,
    /// Dropped, and not said to be.
    dropped: u64,
    /// The writer runs, or is about to.
    has_writer: bool,
    /// The message that is being written, since then.
    since: Option<Instant>,
    /// [`flush`] is called at the exit of the process.
    is_flushed: bool,
}

struct Message {
    text: String,
    /// For whoever wants to know whether it still waits, or is being written.
    _on_its_way: Option<Arc<()>>,
}

/// Says a line, with the name of the crate before it.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    write(format!("executor: {line}\n"), None);
}

/// Writes a text as it is.
pub(crate) fn write(text: String, on_its_way: Option<Arc<()>>) {
    let (starts, registers) = {
        let mut queue = QUEUE.lock();
        queue.push(text, on_its_way);
        let starts = !std::mem::replace(&mut queue.has_writer, true);
        (starts, !std::mem::replace(&mut queue.is_flushed, true))
    };
    if registers {
        // Before the writer starts, lest the process ends in between.
        at_exit(flush);
    }
    if starts {
        start_writer();
    }
}

/// Says a line in a process that is about to end, and in which no thread can be started: in a child of a fork. Only if there is
/// room, which another process may take at the same moment; then the child waits for a reader.
pub(crate) fn say_last(line: fmt::Arguments<'_>) {
    descriptor::block_signals();
    if descriptor::has_room() {
        let _ = descriptor::write_all(format!("executor: {line}\n").as_bytes());
    }
}

/// Waits until all is written, as long as there is hope.
pub(crate) extern "C" fn flush() {
    let begin = clock::now();
    let mut queue = QUEUE.lock();
    while queue.has_writer {
        let end = queue.end_of_hope(begin);
        let left = end.saturating_duration_since(clock::now());
        if left.is_zero() {
            return;
        }
        queue = WRITTEN.wait_timeout(queue, left).0;
    }
}

/// The threads of this process that are writers: none or one.
pub(crate) fn num_threads() -> usize {
    usize::from(QUEUE.lock().has_writer)
}

/// The queue, taken for a fork.
pub(crate) struct Held(MutexGuard<'static, Queue>);

pub(crate) fn hold() -> Held {
    Held(QUEUE.lock())
}

/// Step 4, in the child.
pub(crate) fn in_child(held: &mut Held) {
    held.0.forget();
}

fn start_writer() {
    let builder = thread::Builder::new().name("executor-stderr".to_owned());
    if builder.spawn(write_all).is_err() {
        // What waits is tried again with the next message.
        let mut queue = QUEUE.lock();
        queue.end_writer();
        WRITTEN.notify_all();
    }
}

/// The writer.
fn write_all() {
    descriptor::block_signals();
    let mut written = false;
    while let Some(message) = next(written) {
        let result = descriptor::write_all(message.text.as_bytes());
        written = result.is_ok();
        if !written {
            QUEUE.lock().dropped += 1;
        }
    }
}

/// The next message. `written`: the last one could be.
fn next(written: bool) -> Option<Message> {
    let mut queue = QUEUE.lock();
    let message = queue.next(written, clock::now());
    if message.is_none() {
        WRITTEN.notify_all();
    }
    message
}

impl Queue {
    const fn new() -> Queue {
        Queue {
            messages: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            has_writer: false,
            since: None,
            is_flushed: false,
        }
    }

    /// A message that finds no room is the one that is dropped: what was said first says how it began.
    fn push(&mut self, text: String, on_its_way: Option<Arc<()>>) {
        let bytes = self.bytes + text.len();
        if bytes > CAPACITY && !self.messages.is_empty() {
            self.dropped += 1;
            return;
        }
        self.bytes = bytes;
        self.messages.push_back(Message {
            text,
            _on_its_way: on_its_way,
        });
    }

    /// The next message to write. `None`: the writer ends.
    fn next(&mut self, written: bool, now: Instant) -> Option<Message> {
        self.since = Some(now);
        if let Some(message) = self.messages.pop_front() {
            self.bytes -= message.text.len();
            return Some(message);
        }
        if self.dropped == 0 || !written {
            self.end_writer();
            return None;
        }
        let dropped = std::mem::take(&mut self.dropped);
        Some(Message {
            text: format!("executor: {dropped} messages could not be written here\n"),
            _on_its_way: None,
        })
    }

    fn end_writer(&mut self) {
        self.has_writer = false;
        self.since = None;
    }

    /// Until when it is worth waiting for the writer, for who began at `begin`.
    fn end_of_hope(&self, begin: Instant) -> Instant {
        let stuck = self.since.map(|since| since + STUCK);
        stuck
            .into_iter()
            .chain([begin + PATIENCE])
            .min()
            .unwrap_or(begin)
    }

    /// In a child: another process's writer writes all this.
    fn forget(&mut self) {
        self.messages.clear();
        self.bytes = 0;
        self.dropped = 0;
        self.end_writer();
    }
}

#[cfg(unix)]
mod descriptor {
    use std::fs::File;
    use std::io::{ErrorKind, Write};
    use std::mem::ManuallyDrop;
    use std::os::fd::FromRawFd;

    use super::{Duration, io, thread};

    /// Its number, by POSIX.
    const STDERR: i32 = 2;

    /// Somebody else may have made it non-blocking: then it is asked again, each so often.
    const RETRY: Duration = Duration::from_millis(20);

    /// Not by [`io::stderr`], whose lock would be held for as long as it takes.
    pub(super) fn write_all(mut bytes: &[u8]) -> io::Result<()> {
        // SAFETY: the number is that of standard error, which this does not own and, being in `ManuallyDrop`, does not
        // close. If the program has closed it, a write is an error.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(STDERR) });
        while !bytes.is_empty() {
            match (&*file).write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A write to a closed pipe raises `SIGPIPE` for the thread that writes, and ends a program that lets it. Nor shall any
    /// handler of the program run on a thread of which it does not know.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn block_signals() {
        let mut all = std::mem::MaybeUninit::uninit();
        // SAFETY: `all` is valid for writes, and is written before it is read; the mask is that of the calling thread.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
        }
    }

    /// Whether a short write would not wait, at the moment.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn has_room() -> bool {
        let mut asked = libc::pollfd {
            fd: STDERR,
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: one entry, valid for reads and writes; it does not wait.
        let ready = unsafe { libc::poll(&mut asked, 1, 0) };
        ready == 1 && asked.revents & libc::POLLOUT != 0
    }

    /// The standard library has `SIGPIPE` ignored.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn block_signals() {}

    /// Forks are not seen here.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn has_room() -> bool {
        false
    }
}

#[cfg(not(unix))]
mod descriptor {
    use std::io::Write;

    use super::io;

    pub(super) fn write_all(bytes: &[u8]) -> io::Result<()> {
        io::stderr().write_all(bytes)
    }

    pub(super) fn block_signals() {}

    pub(super) fn has_room() -> bool {
        false
    }
}
