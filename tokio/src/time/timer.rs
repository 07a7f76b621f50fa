//! [`Timer`]: what `Sleep` and `Interval` wait with.
//!
//! It belongs to the runtime that was entered when it was made, and names that by its number: a
//! count of references would be one more that all processors change. A poll finds the runtime
//! entered, nearly always, or else looks it up.
//!
//! # A runtime that shuts down
//!
//! 1. Its owner marks it closed, ends its tasks, and wakes whoever waits for its timers.
//! 2. A poll that finds it closed panics, as in the real tokio.
//! 3. But not in a task of that runtime itself: it is about to be cancelled, and its program would
//!    see a panic at every exit. There the executor's timer wakes the task once and arms nothing.
//! 4. A runtime that cannot be looked up any more has no handle left, so it has shut down.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use real::task::coop::poll_proceed;

use super::Instant;
#[cfg(feature = "test-util")]
use super::clock::{Entry, Waits};
use crate::context;
use crate::runtime::{Handle, Id, ShutDown};

const DISABLED: &str = "A Tokio 1.x context was found, but timers are disabled. Call `enable_time` \
                        on the runtime builder to enable timers.";

pub(super) struct Timer {
    deadline: Instant,
    runtime: Id,
    /// Whether it was polled or reset since it was made or restarted.
    begun: bool,
    /// By the executor's clock.
    wait: executor::time::Sleep,
    /// On a runtime whose clock can be paused.
    #[cfg(feature = "test-util")]
    entry: Option<Entry>,
}

impl Timer {
    /// # Panics
    ///
    /// Outside a runtime, and in one without timers.
    #[track_caller]
    pub(super) fn new(deadline: Instant) -> Timer {
        let handle = context::expect_current();
        let shared = handle.shared();
        assert!(shared.time, "{DISABLED}");
        Timer {
            deadline,
            runtime: shared.id,
            begun: false,
            wait: executor::time::sleep_until(deadline.into_std()),
            #[cfg(feature = "test-util")]
            entry: shared.clock.clone().map(Entry::new),
        }
    }

    #[inline]
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn is_elapsed(&self) -> bool {
        #[cfg(feature = "test-util")]
        if let Some(entry) = &self.entry {
            return self.begun && entry.is_due(self.deadline.into_std());
        }
        self.begun && executor::time::now() >= self.deadline.into_std()
    }

    /// Another deadline, for the waker of the last poll.
    pub(super) fn reset(&mut self, deadline: Instant) {
        self.deadline = deadline;
        self.begun = true;
        let at = deadline.into_std();
        #[cfg(feature = "test-util")]
        if let Some(entry) = &mut self.entry {
            if let Some(at) = entry.reset(at) {
                Pin::new(&mut self.wait).reset(at);
            }
            return;
        }
        Pin::new(&mut self.wait).reset(at);
    }

    /// Another deadline, for the waker of the next poll.
    pub(super) fn restart(&mut self, deadline: Instant) {
        self.deadline = deadline;
        self.begun = false;
        self.wait = executor::time::sleep_until(deadline.into_std());
        #[cfg(feature = "test-util")]
        if let Some(entry) = &mut self.entry {
            entry.leave();
        }
    }

    /// # Panics
    ///
    /// If the runtime has shut down.
    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let progress = ready!(poll_proceed(cx));
        self.begun = true;
        match context::current() {
            Ok(handle) if handle.id() == self.runtime => {
                let is_closed = handle.shared().is_closed();
                if is_closed && executor::task::try_id().is_none() {
                    panic!("{ShutDown}");
                }
                ready!(self.poll_here(cx));
            }
            _ => ready!(self.poll_elsewhere(cx)),
        }
        progress.made_progress();
        Poll::Ready(())
    }

    #[cold]
    fn poll_elsewhere(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match Handle::find(self.runtime) {
            Some(handle) if !handle.shared().is_closed() => {
                let _entered = handle.enter();
                self.poll_here(cx)
            }
            _ => panic!("{ShutDown}"),
        }
    }

    /// The runtime is entered.
    #[inline]
    fn poll_here(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        #[cfg(feature = "test-util")]
        if let Some(entry) = &mut self.entry {
            let deadline = self.deadline.into_std();
            match entry.poll(deadline, cx.waker()) {
                Waits::Due => return Poll::Ready(()),
                Waits::Paused => {
                    // Disarms a timer that was armed before the pause.
                    self.wait = executor::time::sleep_until(deadline);
                    return Poll::Pending;
                }
                Waits::Never => panic!("{ShutDown}"),
                Waits::Until(at) => {
                    if self.wait.deadline() != at {
                        Pin::new(&mut self.wait).reset(at);
                    }
                    ready!(self.poll_wait(cx));
                    entry_left(&mut self.entry);
                    return Poll::Ready(());
                }
            }
        }
        self.poll_wait(cx)
    }

    #[inline]
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.wait).poll(cx)
    }
}

#[cfg(feature = "test-util")]
fn entry_left(entry: &mut Option<Entry>) {
    if let Some(entry) = entry {
        entry.leave();
    }
}
