//! Foreign code that throws. What is thrown is a [`Payload`] whose destructor throws again.

use std::future::Future;
use std::panic::panic_any;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::thread;

use executor::JoinError;

use super::keep;

/// What was dropped or called, each once per value.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) futures: AtomicUsize,
    pub(crate) outputs: AtomicUsize,
    pub(crate) payloads: AtomicUsize,
    pub(crate) wakes: AtomicUsize,
}

/// Waits until the count is reached, and finds that it is exact.
pub(crate) fn await_count(count: &AtomicUsize, expected: usize) {
    while count.load(SeqCst) < expected {
        thread::yield_now();
    }
    assert_eq!(count.load(SeqCst), expected);
}

/// Its destructor throws another one; that one's throws a string.
pub(crate) struct Payload {
    tally: Arc<Tally>,
    last: bool,
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.tally.payloads.fetch_add(1, SeqCst);
        if self.last {
            panic!("the payload's payload");
        }
        throw(&self.tally, true);
    }
}

pub(crate) fn throw(tally: &Arc<Tally>, last: bool) -> ! {
    let tally = tally.clone();
    panic_any(Payload { tally, last })
}

/// The handle's error carries the payload.
pub(crate) fn assert_thrown<T>(result: Result<T, JoinError>) {
    let payload = result.err().unwrap().into_panic();
    let payload = payload.downcast::<Payload>().unwrap_or_else(|_| panic!());
    assert!(!payload.last);
    keep(payload);
}

/// Where a task throws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Hazard {
    /// In a poll.
    Poll,
    /// In the destructor of the future, which waits.
    Drop,
    /// There, after it has completed.
    DropAtEnd,
    /// In the destructor of the output.
    Output,
}

/// Dropped payloads of one that nobody takes: it throws another one. Of a value whose destructor throws the first, the
/// boundary drops no more than that, and forgets what comes out of it.
pub(crate) fn unclaimed(hazard: Hazard) -> usize {
    if hazard == Hazard::Output { 1 } else { 2 }
}

pub(crate) const ALL: [Hazard; 4] = [
    Hazard::Poll,
    Hazard::Drop,
    Hazard::DropAtEnd,
    Hazard::Output,
];

/// A future that throws. Its first poll waits for a wake, which it gives itself.
pub(crate) struct Thrower {
    hazard: Hazard,
    polled: bool,
    tally: Arc<Tally>,
}

pub(crate) struct Output {
    pub(crate) throws: bool,
    pub(crate) tally: Arc<Tally>,
}

impl Thrower {
    pub(crate) fn new(hazard: Hazard, tally: &Arc<Tally>) -> Thrower {
        Thrower {
            hazard,
            polled: false,
            tally: tally.clone(),
        }
    }
}

impl Future for Thrower {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        if !self.polled {
            self.polled = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.hazard {
            Hazard::Poll => throw(&self.tally, false),
            Hazard::Drop => Poll::Pending,
            Hazard::DropAtEnd | Hazard::Output => Poll::Ready(Output {
                throws: self.hazard == Hazard::Output,
                tally: self.tally.clone(),
            }),
        }
    }
}

impl Drop for Thrower {
    fn drop(&mut self) {
        self.tally.futures.fetch_add(1, SeqCst);
        if matches!(self.hazard, Hazard::Drop | Hazard::DropAtEnd) {
            throw(&self.tally, false);
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.tally.outputs.fetch_add(1, SeqCst);
        if self.throws {
            throw(&self.tally, false);
        }
    }
}
