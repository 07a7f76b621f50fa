//! Writes the crate's messages to standard error, without harm to any other thread.
//!
//! Standard error may be closed, or a full pipe that no process reads, where a write waits for
//! ever. Other processes may share it, so this module must not make it non-blocking.
//!
//! # What it guarantees
//!
//! - A caller with a message does not wait: no task, worker, monitor or thread of the blocking pool
//!   writes, and the end of a runtime waits for no write. One that has nothing else to do may ask to
//!   wait ([`write_and_wait`]); its text is not dropped, however long it is.
//! - A closed standard error causes neither a panic nor a signal.
//! - At most [`CAPACITY`] bytes wait, or one longer message. A message that comes when they are
//!   full, or cannot be written, is dropped and counted. The count is written after the next
//!   message that could be written.
//! - No other message of this crate comes within a message; one longer than [`PIECE`] takes several
//!   writes.
//! - No lock is held during a write, not even that of [`std::io::stderr`]. So a program that writes
//!   there itself, or a child forked meanwhile, does not wait for this module's write.
//!
//! # Protocol
//!
//! 1. [`write()`] puts the message into the queue, under its lock. If there is no writer, it starts
//!    one: a thread that nothing joins.
//! 2. The writer (`write_all`) takes the first message and writes it, without the lock. When no
//!    message is left, it ends, under the lock. So there is no thread while there is nothing to
//!    write.
//! 3. When the process exits, [`flush`] waits for the writer while it makes progress: at most
//!    [`STUCK`] for [`PIECE`] bytes of a message, and [`PATIENCE`] in all.
//! 4. A fork holds the lock ([`hold`]). The child has no writer, and [`in_child`] empties its
//!    queue, whose messages the parent writes. In a child that is about to be aborted no thread can
//!    be relied on ([`say_last`]).
//!
//! The writer holds no waker. Of foreign code it runs only the look-up of symbols, which wakes nobody.
//! So the [deadlock detector](crate::observe::deadlock) counts it among the threads that can wake no
//! task.
//!
//! # Rejected designs
//!
//! - *Asking `poll(2)` first.* The answer is a hint: another process may fill the pipe before the
//!   write.
//! - *Opening `/proc/self/fd/2` anew, without blocking.* Sockets and another user's terminal cannot
//!   be opened this way, and files would be overwritten from their beginning.
//! - *A job of the blocking pool*, the former design. With a full pipe it occupied its thread for
//!   ever, and the drop of the runtime waited for it.
//! - *A thread that stays.* It saves 30 µs per message, and a healthy program has no messages.
//!
//! # What it does not do
//!
//! Where there are no threads, whoever has a message writes it.
//!
//! On systems where the crate does not depend on the C library (see [`crate::sync::exit`]), nothing
//! waits when the process exits, and the last messages may be lost. After `abort` and `_exit` they
//! may be lost everywhere.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::clock::{self, Instant};
use crate::machine::pinned;
use crate::sync::exit::at_exit;
use crate::sync::{Arc, Condvar, HAS_THREADS, Mutex, MutexGuard, thread};

#[cfg(test)]
mod tests;

/// The most bytes that may wait: half a page of text per second for an hour.
const CAPACITY: usize = 1 << 20;

/// So much of a message is written in one call. A pipe takes as much at once.
const PIECE: usize = 1 << 16;

/// If a write takes this long, nothing reads standard error, or not any more.
const STUCK: Duration = Duration::from_millis(100);

/// How long the exit of the process waits at most. A busy machine may take a while to start the
/// writer.
const PATIENCE: Duration = Duration::from_secs(2);

static QUEUE: Mutex<Queue> = Mutex::new(Queue::new());

/// Notified when the writer has ended.
static WRITTEN: Condvar = Condvar::new();

/// See the module's documentation.
struct Queue {
    messages: VecDeque<Message>,
    /// Bytes of all messages that wait.
    bytes: usize,
    /// Messages that were dropped and not yet reported.
    dropped: u64,
    /// The writer runs, or is about to.
    has_writer: bool,
    /// When the writer took its present message, or came to the next piece of it.
    since: Option<Instant>,
    /// [`flush`] is registered with the exit of the process.
    is_flushed: bool,
}

struct Message {
    text: Text,
    /// Its count tells the caller of [`write()`] whether the message still waits or is being
    /// written.
    _on_its_way: Option<Arc<()>>,
}

enum Text {
    Ready(String),
    /// The writer makes it.
    Later(Box<dyn FnOnce() -> String + Send>),
}

impl Text {
    /// What counts against [`CAPACITY`].
    fn bytes(&self) -> usize {
        const LINE: usize = 256;
        match self {
            Text::Ready(text) => text.len(),
            Text::Later(_) => LINE,
        }
    }

    /// On the thread of this queue's writer, without the lock. It may take long, which is no sign
    /// that nobody reads standard error. If it panics, the writer goes on: nobody else would write
    /// what comes after.
    fn make(self, queue: &Mutex<Queue>) -> String {
        match self {
            Text::Ready(text) => text,
            Text::Later(make) => {
                queue.lock().since = None;
                let text = catch_unwind(AssertUnwindSafe(make));
                queue.lock().since = Some(clock::now());
                text.unwrap_or_else(|_| "executor: a message could not be made\n".to_owned())
            }
        }
    }
}

/// Writes a line after the name of the crate.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    write(format!("executor: {line}\n"), None);
}

/// [`say`] with a line that is made by the writer, for who must not look up symbols. The line is
/// made by this crate alone, and takes no lock that is held during a call of this module.
pub(crate) fn say_later(line: impl FnOnce() -> String + Send + 'static) {
    let make = move || format!("executor: {}\n", line());
    push(QUEUE.lock(), Text::Later(Box::new(make)), None);
}

/// Writes a text as it is. The queue keeps `on_its_way` until the text is written or dropped.
pub(crate) fn write(text: String, on_its_way: Option<Arc<()>>) {
    push(QUEUE.lock(), Text::Ready(text), on_its_way);
}

/// Writes a text as it is, of any length, and waits until it is written or cannot be. The calling
/// thread waits for whoever reads standard error, perhaps for ever.
#[cfg(all(unix, feature = "stacks"))]
pub(crate) fn write_and_wait(text: String) {
    // In an empty queue there is room for any text.
    push(wait_for_writer(), Text::Ready(text), None);
    drop(wait_for_writer());
}

#[cfg(all(unix, feature = "stacks"))]
fn wait_for_writer() -> MutexGuard<'static, Queue> {
    let mut queue = QUEUE.lock();
    while queue.has_writer {
        queue = WRITTEN.wait(queue);
    }
    queue
}

fn push(mut queue: MutexGuard<'static, Queue>, text: Text, on_its_way: Option<Arc<()>>) {
    let (starts, registers) = {
        queue.push(text, on_its_way);
        let starts = !std::mem::replace(&mut queue.has_writer, true);
        (starts, !std::mem::replace(&mut queue.is_flushed, true))
    };
    drop(queue);
    if registers {
        // Before the writer starts, so that the process cannot exit in between.
        at_exit(flush);
    }
    if starts {
        start_writer();
    }
}

/// Writes a line in a process that is about to end and cannot start a thread: the child of a fork.
/// Writes only if there is room. If another process takes that room at the same moment, the child
/// waits for a reader.
pub(crate) fn say_last(line: fmt::Arguments<'_>) {
    descriptor::block_signals();
    if descriptor::has_room() {
        let _ = descriptor::write_all(format!("executor: {line}\n").as_bytes());
    }
}

/// Waits until all messages are written, while the writer makes progress.
pub(crate) extern "C" fn flush() {
    let begin = clock::now();
    let mut queue = QUEUE.lock();
    while queue.has_writer {
        let end = queue.end_of_hope(begin);
        let left = end.saturating_duration_since(clock::now());
        if left.is_zero() {
            return;
        }
        queue = WRITTEN.wait_timeout(queue, left);
    }
}

/// Number of threads of this process that are writers: 0 or 1.
pub(crate) fn num_threads() -> usize {
    usize::from(QUEUE.lock().has_writer)
}

#[cfg(all(unix, feature = "stacks"))]
pub(crate) use descriptor::block_signals;

/// The lock of the queue, held for a fork.
pub(crate) struct Held(MutexGuard<'static, Queue>);

pub(crate) fn hold() -> Held {
    Held(QUEUE.lock())
}

/// Step 4, in the child.
pub(crate) fn in_child(held: &mut Held) {
    held.0.forget();
}

fn start_writer() {
    if !HAS_THREADS {
        // Nobody else would write it.
        return write_all();
    }
    let builder = thread::Builder::new().name("executor-stderr".to_owned());
    if thread::spawn_on_system(builder, pinned::unpinned(write_all)).is_err() {
        // The next message tries to start a writer again.
        let mut queue = QUEUE.lock();
        queue.end_writer();
        WRITTEN.notify_all();
    }
}

/// The writer's thread.
fn write_all() {
    descriptor::block_signals();
    let mut written = false;
    while let Some(message) = next(written) {
        written = write_pieces(message.text.make(&QUEUE).as_bytes()).is_ok();
        if !written {
            QUEUE.lock().dropped += 1;
        }
    }
}

fn write_pieces(text: &[u8]) -> io::Result<()> {
    for (index, piece) in text.chunks(PIECE).enumerate() {
        if index > 0 {
            QUEUE.lock().since = Some(clock::now());
        }
        descriptor::write_all(piece)?;
    }
    Ok(())
}

/// The next message. `written`: whether the last one could be written.
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

    /// Adds a message. If there is no room, drops this one: the earlier ones tell how the trouble
    /// began.
    fn push(&mut self, text: Text, on_its_way: Option<Arc<()>>) {
        let bytes = self.bytes + text.bytes();
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
            self.bytes -= message.text.bytes();
            return Some(message);
        }
        if self.dropped == 0 || !written {
            self.end_writer();
            return None;
        }
        let dropped = std::mem::take(&mut self.dropped);
        Some(Message {
            text: Text::Ready(format!(
                "executor: {dropped} messages could not be written here\n"
            )),
            _on_its_way: None,
        })
    }

    fn end_writer(&mut self) {
        self.has_writer = false;
        self.since = None;
    }

    /// When to stop waiting for the writer, for a caller that began to wait at `begin`.
    fn end_of_hope(&self, begin: Instant) -> Instant {
        let stuck = self.since.map(|since| since + STUCK);
        stuck
            .into_iter()
            .chain([begin + PATIENCE])
            .min()
            .unwrap_or(begin)
    }

    /// In a child: empties the queue, which the parent's writer writes.
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

    /// How often a write is repeated if another process has made standard error non-blocking.
    const RETRY: Duration = Duration::from_millis(20);

    /// Does not use [`io::stderr`], whose lock would be held during the write.
    pub(super) fn write_all(mut bytes: &[u8]) -> io::Result<()> {
        // SAFETY: the number is that of standard error. `file` does not own it, and does not close
        // it, since it is in `ManuallyDrop`. If the program has closed standard error, the write
        // returns an error.
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

    /// Blocks all signals for this thread. A write to a closed pipe raises `SIGPIPE` for the
    /// writing thread, and ends a program that does not ignore it. Nor may a handler of the program
    /// run on a thread that the program does not know.
    pub(crate) fn block_signals() {
        let mut all = std::mem::MaybeUninit::uninit();
        // SAFETY: `all` is valid for writes, and is written before it is read. The mask changes for
        // the calling thread only.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
        }
    }

    /// Whether a short write would return without waiting at this moment.
    pub(super) fn has_room() -> bool {
        let mut asked = libc::pollfd {
            fd: STDERR,
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: there is one entry, valid for reads and writes. The call does not wait.
        let ready = unsafe { libc::poll(&mut asked, 1, 0) };
        ready == 1 && asked.revents & libc::POLLOUT != 0
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
