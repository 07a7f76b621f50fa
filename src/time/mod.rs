//! Waiting for time to pass: [`sleep()`], [`timeout()`] and [`interval()`].
//!
//! Instants are `std`'s [`Instant`], durations `std`'s [`Duration`](std::time::Duration).
//!
//! # Guarantees
//!
//! - Nothing here ends early. How late it ends depends on the load; the timers themselves count in steps of 16 µs, and of
//!   65 µs where several are due at a time.
//! - Deadlines do not overflow: a duration that leads beyond the last instant, such as `Duration::MAX`, means
//!   never.
//! - Dropping a future takes its timer away at once; nothing is left behind.
//! - A timer belongs to the runtime in which it was first waited for. If that ends first, the waiting task is woken,
//!   and the timer goes on in whichever runtime it is polled next (outside any, the process-wide default one).
//!
//! # What it does not do
//!
//! There is no wall-clock time, no deadline shared by a group, and no clock that tests can set.

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
