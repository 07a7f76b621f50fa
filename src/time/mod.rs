//! Waiting for time to pass: [`sleep()`], [`timeout()`] and [`interval()`].
//!
//! Instants are `std`'s [`Instant`], durations `std`'s [`Duration`](std::time::Duration).
//!
//! # Guarantees
//!
//! - Nothing here ends early. How late it ends depends on the load. The timers themselves count in
//!   steps of 16 µs, and of 65 µs where several are due at a time.
//! - Deadlines do not overflow: a duration that leads beyond the last instant, such as
//!   `Duration::MAX`, means never.
//! - Dropping a future removes its timer at once; nothing remains.
//! - A timer belongs to the runtime in which it was first waited for. If that runtime ends first,
//!   it wakes the waiting task, and the timer continues in the runtime in which it is polled next
//!   (outside a runtime, in the default one of the process).
//!
//! # What it does not do
//!
//! There is no wall-clock time, no deadline for a group, and no clock that tests can set.

use std::time::Instant;

use crate::clock;

mod interval;
mod sleep;
mod timeout;

pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

/// The current instant, by the runtime's clock.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// executor::block_on(async {
///     let before = executor::time::now();
///     executor::time::sleep(Duration::from_millis(2)).await;
///     assert!(before.elapsed() >= Duration::from_millis(2));
/// });
/// ```
#[must_use]
pub fn now() -> Instant {
    clock::now()
}
