//! Jobs for the threads that may block: what files and the standard streams run there.
//!
//! # Protocol
//!
//! 1. A job has a number. While its thread submits it, the thread keeps the number in
//!    [`SUBMITTING`]. The job has the sender of a channel, the submitter its receiver.
//! 2. A thread of the pool runs the job, and sends the output when everything that the closure has
//!    owned is dropped.
//! 3. If the runtime has shut down, or there can be no thread, the pool refuses the job: it is
//!    dropped inside the call of step 1, on that thread. It finds its number there, and takes it
//!    away, which tells the submitter.
//! 4. If the runtime shuts down after the pool has accepted the job, and before a thread has come
//!    to it, the job is dropped on the thread that shuts the runtime down. A mandatory one runs
//!    there, since its submitter has promised to somebody that it would; whoever drops the runtime
//!    waits for that, too. Any other is cancelled, and its channel closes.

mod buf;

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};

use real::sync::oneshot;

use crate::context;
use crate::runtime::NotBegun;

pub(crate) use buf::{Buf, MAX_BUF_SIZE};

std::thread_local! {
    /// The job that this thread is submitting, unless it was refused. A simulated thread needs none
    /// of its own: while it submits, it does not wait.
    static SUBMITTING: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The output of a job, some time. Dropping it does not stop the job.
pub(crate) enum Job<R> {
    Accepted(oneshot::Receiver<R>),
    Refused(Refusal),
}

/// Why a job was not accepted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// The runtime has shut down.
    ShutDown,
    /// The pool has no thread, and the operating system starts none.
    System(io::ErrorKind),
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> io::Error {
        match refusal {
            Refusal::ShutDown => io::Error::other(NotBegun),
            Refusal::System(kind) => io::Error::new(kind, FAILED),
        }
    }
}

const FAILED: &str = "background task failed";

/// Runs `f` on a thread that may block.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub(crate) fn run<F, R>(f: F) -> Job<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    submit(f, false)
}

/// Like [`run`], and `f` runs even if the runtime shuts down before a thread has come to it.
///
/// # Errors
///
/// If the pool refuses it. Then `f` does not run.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub(crate) fn run_mandatory<F, R>(f: F) -> Result<Job<R>, Refusal>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    match submit(f, true) {
        Job::Refused(refusal) => Err(refusal),
        accepted => Ok(accepted),
    }
}

#[track_caller]
fn submit<F, R>(f: F, mandatory: bool) -> Job<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    /// The numbers only have to differ: `Relaxed`.
    static NEXT: AtomicU64 = AtomicU64::new(0);

    let runtime = context::expect_current();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let (sender, receiver) = oneshot::channel();
    let mut work = Work {
        number,
        mandatory,
        closure: Some((f, sender)),
    };
    let outer = SUBMITTING.replace(Some(number));
    let task = (runtime.shared().executor()).spawn_blocking(move || work.run());
    let refused = SUBMITTING.replace(outer).is_none();
    if refused {
        return Job::Refused(refusal(task));
    }
    Job::Accepted(receiver)
}

/// Why this job was refused.
fn refusal<R>(task: executor::JoinHandle<R>) -> Refusal {
    let ended = pin!(task).poll(&mut Context::from_waker(Waker::noop()));
    if let Poll::Ready(Err(error)) = ended {
        if error.source().is_some() {
            return Refusal::System(io::Error::from(error).kind());
        }
    }
    Refusal::ShutDown
}

/// A job, from its submission to its end.
struct Work<F: FnOnce() -> R, R> {
    number: u64,
    mandatory: bool,
    closure: Option<(F, oneshot::Sender<R>)>,
}

impl<F: FnOnce() -> R, R> Work<F, R> {
    /// Step 2.
    fn run(&mut self) {
        if let Some((closure, sender)) = self.closure.take() {
            // Nobody may wait for the output.
            let _ = sender.send(closure());
        }
    }
}

impl<F: FnOnce() -> R, R> Drop for Work<F, R> {
    fn drop(&mut self) {
        if self.closure.is_none() {
            return;
        }
        if SUBMITTING.get() == Some(self.number) {
            // Step 3.
            SUBMITTING.set(None);
        } else if self.mandatory {
            // Step 4.
            self.run();
        }
    }
}

impl<R> Future for Job<R> {
    type Output = io::Result<R>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<R>> {
        match self.get_mut() {
            Job::Accepted(receiver) => {
                let output = ready!(Pin::new(receiver).poll(cx));
                Poll::Ready(output.map_err(|_| io::Error::other(FAILED)))
            }
            Job::Refused(refusal) => Poll::Ready(Err((*refusal).into())),
        }
    }
}

impl<R> fmt::Debug for Job<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Job::Accepted(_) => "Accepted",
            Job::Refused(_) => "Refused",
        })
    }
}
