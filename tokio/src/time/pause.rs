//! The clock of the runtime that a thread is in: what it says, and how a program stops and moves it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::clock::{Clock, EVER_PAUSED, NOT_PAUSABLE, NOT_PAUSED, OUTSIDE};
use crate::context::{self, DESTROYED, TryCurrentError};
use crate::task::yield_now::yield_now;

/// The present by the clock of the runtime that this thread is in.
#[inline]
pub(super) fn now() -> Instant {
    if !EVER_PAUSED.load(Ordering::Relaxed) {
        return executor::time::now();
    }
    let handle = context::current().ok();
    match handle
        .as_ref()
        .and_then(|handle| handle.shared().clock.as_ref())
    {
        Some(clock) => clock.lock().now(),
        None => executor::time::now(),
    }
}

/// Stops the clock of the runtime that this thread is in. From now on only [`advance`] moves it,
/// and the runtime itself, to the next deadline, when it has nothing else to do.
///
/// # Panics
///
/// If it is stopped already, outside a runtime, and in one for many threads.
#[track_caller]
pub fn pause() {
    let done = with_clock(|clock| match clock {
        Some(clock) => clock.pause(),
        None => Err(NOT_PAUSABLE),
    });
    if let Err(message) = done {
        panic!("{message}");
    }
}

/// Lets the clock go on, from where it stands.
///
/// # Panics
///
/// If it is not stopped, and outside a runtime.
#[track_caller]
pub fn resume() {
    let done = with_clock(|clock| match clock {
        Some(clock) => clock.resume(),
        None => Err(NOT_PAUSED),
    });
    if let Err(message) = done {
        panic!("{message}");
    }
}

/// Moves a stopped clock forward by `duration`, in one step, and gives way to other tasks.
///
/// # Panics
///
/// If the clock is not stopped, or cannot express the result, and outside a runtime.
pub async fn advance(duration: Duration) {
    let done = with_clock(|clock| match clock {
        Some(clock) => clock.advance(duration),
        None => Err(NOT_PAUSED),
    });
    if let Err(message) = done {
        panic!("{message}");
    }
    yield_now().await;
}

fn with_clock(
    f: impl FnOnce(Option<&Clock>) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    match context::current() {
        Ok(handle) => f(handle.shared().clock.as_deref()),
        Err(error) if TryCurrentError::is_missing_context(&error) => Err(OUTSIDE),
        Err(_) => Err(DESTROYED),
    }
}
