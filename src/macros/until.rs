//! A test with a time limit, on a thread of its own: when it has ended, and that it shall.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Condvar, Mutex, OnceLock};

/// What came of it, or with what it has panicked.
type Result = std::result::Result<ExitCode, Box<dyn Any + Send>>;

/// What both threads have.
#[derive(Debug, Default)]
pub(super) struct Ended {
    result: Mutex<Option<Result>>,
    told: Condvar,
    /// Written by the thread that waits, before it wakes the other one.
    is_given_up: AtomicBool,
    /// Of the `block_on`. It has one for all polls, but lends another one to those of a dump, which
    /// the first is not.
    waker: OnceLock<Waker>,
}

impl Ended {
    /// The test is over.
    pub(super) fn tell(&self, result: Result) {
        *self.result.lock() = Some(result);
        self.told.notify_all();
    }

    /// Waits for that. `None`: it was not within the limit.
    pub(super) fn wait(&self, limit: Duration) -> Option<Result> {
        let begin = clock::now();
        let mut result = self.result.lock();
        loop {
            let left = limit.saturating_sub(clock::elapsed(begin));
            if result.is_some() || left.is_zero() {
                return result.take();
            }
            result = self.told.wait_timeout(result, left);
        }
    }

    /// Lets the function be dropped, if its poll returns.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::SeqCst);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

/// The future of the test. `None`: it was given up.
pub(super) struct Until<F> {
    // Boxed, and so no unsafe code pins it.
    future: Pin<Box<F>>,
    ended: Arc<Ended>,
}

impl<F> Until<F> {
    pub(super) fn new(future: F, ended: Arc<Ended>) -> Until<F> {
        let future = Box::pin(future);
        Until { future, ended }
    }
}

impl<F: Future> Future for Until<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        self.ended.waker.get_or_init(|| cx.waker().clone());
        if self.ended.is_given_up.load(Ordering::SeqCst) {
            return Poll::Ready(None);
        }
        self.future.as_mut().poll(cx).map(Some)
    }
}
