//! Time: see tokio's documentation of the module of this name.
//!
//! A [`Sleep`] is a timer of the executor, on the runtime that was entered when it was made. On
//! runtimes for one thread, with the feature `test-util`, it goes by the runtime's clock, which can
//! be paused.

#[cfg(feature = "test-util")]
pub(crate) mod clock;
pub mod error;
mod instant;
mod interval;
#[cfg(feature = "test-util")]
mod pause;
mod sleep;
mod timeout;
mod timer;

pub use instant::Instant;
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
#[cfg(feature = "test-util")]
pub use pause::{advance, pause, resume};
pub use sleep::{Sleep, sleep, sleep_until};
pub use std::time::Duration;
pub use timeout::{Timeout, timeout, timeout_at};

/// Some 30 years, which every platform's clock can express: what is longer counts as this.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// When `duration` will have passed.
fn after(duration: Duration) -> Instant {
    Instant::now() + duration.min(FAR_FUTURE)
}
