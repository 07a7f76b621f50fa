//! Reads the clock. No other module does, as the layering test checks.
//!
//! A reading costs about 23 ns, so each thread keeps its last one until the next poll begins.
//! [`recent`] returns it to checks that an old value only makes more cautious ("is this deadline
//! past?").

use std::cell::Cell;
use std::time::Duration;
#[cfg(not(all(target_family = "wasm", target_os = "unknown", not(feature = "time"))))]
pub(crate) use std::time::Instant;

use crate::sync::OnceLock;

#[cfg(all(target_family = "wasm", target_os = "unknown", not(feature = "time")))]
pub(crate) use absent::Instant;

/// Whether time passes. Where the target has no clock, it is always the same instant, and feature
/// `time` does not compile.
pub(crate) const HAS_CLOCK: bool = !cfg!(all(
    target_family = "wasm",
    target_os = "unknown",
    not(feature = "time")
));

/// The last reading of a thread.
#[derive(Clone, Copy)]
enum Recent {
    /// The thread polls no task, so no reading is kept: nothing would discard it.
    Off,
    Unread,
    At(Instant),
}

std::thread_local! {
    static RECENT: Cell<Recent> = const { Cell::new(Recent::Off) };
}

/// What this module keeps for a thread that is simulated, while another one runs.
#[cfg(feature = "sim")]
pub(crate) struct Kept(Recent);

#[cfg(feature = "sim")]
impl Kept {
    pub(crate) const fn new() -> Kept {
        Kept(Recent::Off)
    }

    pub(crate) fn exchange(&mut self) {
        self.0 = RECENT.replace(self.0);
    }
}

/// Reads the clock, and keeps the reading during a poll.
#[inline]
pub(crate) fn now() -> Instant {
    #[cfg(feature = "sim")]
    if let Some(since) = crate::simulated::now() {
        return start() + SIMULATION + since;
    }
    let now = Instant::now();
    if !matches!(RECENT.get(), Recent::Off) {
        RECENT.set(Recent::At(now));
    }
    now
}

/// The time since `since`.
pub(crate) fn elapsed(since: Instant) -> Duration {
    now().saturating_duration_since(since)
}

/// Lets so much time pass, too little to sleep.
pub(crate) fn spin(time: Duration) {
    #[cfg(feature = "sim")]
    if crate::simulated::is_here() {
        return crate::sync::thread::sleep(time);
    }
    if !HAS_CLOCK {
        return;
    }
    let begin = now();
    while elapsed(begin) < time {
        std::hint::spin_loop();
    }
}

/// The last reading in this poll, or a fresh one if there was none. Never later than the present.
#[inline]
pub(crate) fn recent() -> Instant {
    match RECENT.get() {
        Recent::At(instant) => instant,
        Recent::Off | Recent::Unread => now(),
    }
}

/// Discards the reading, since a poll begins.
#[inline]
pub(crate) fn forget() {
    RECENT.set(Recent::Unread);
}

/// Keeps no reading any more: the thread polls no task.
pub(crate) fn keep_none() {
    RECENT.set(Recent::Off);
}

/// A simulation begins so long after the start: at the beginning of a tick, whenever that is.
#[cfg(feature = "sim")]
const SIMULATION: Duration = Duration::from_nanos(1 << (TICK_SHIFT + 16));

/// Ticks of the timer wheels have 2^14 ns, 16.384 µs.
const TICK_SHIFT: u32 = 14;

/// Tick 0 of every wheel.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Fixes tick 0 before a fork. If another thread were fixing it during the fork, nothing would
/// complete that in the child.
pub(crate) fn prepare() {
    start();
}

/// The last tick that has begun by `instant`.
pub(crate) fn tick_at(instant: Instant) -> u64 {
    nanos(instant) >> TICK_SHIFT
}

/// The first tick that begins at `deadline` or later: a timer that fires at it is never early.
pub(crate) fn tick_after(deadline: Instant) -> u64 {
    (nanos(deadline) + ((1 << TICK_SHIFT) - 1)) >> TICK_SHIFT
}

/// When a tick begins; `None` if the clock cannot express that.
pub(crate) fn instant_of(tick: u64) -> Option<Instant> {
    let nanos = tick.checked_mul(1 << TICK_SHIFT)?;
    start().checked_add(Duration::from_nanos(nanos))
}

/// Nanoseconds since the start, at most half of the range of `u64` (292 years).
pub(crate) fn nanos(instant: Instant) -> u64 {
    let nanos = instant.saturating_duration_since(start()).as_nanos();
    u64::try_from(nanos).unwrap_or(u64::MAX).min(u64::MAX / 2)
}

/// Where `std`'s clock panics.
#[cfg(all(target_family = "wasm", target_os = "unknown", not(feature = "time")))]
mod absent {
    use std::ops::{Add, Sub};
    use std::time::Duration;

    /// So much later than the only reading that there is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub(crate) struct Instant(Duration);

    impl Instant {
        pub(crate) fn now() -> Instant {
            Instant(Duration::ZERO)
        }

        pub(crate) fn checked_add(&self, time: Duration) -> Option<Instant> {
            self.0.checked_add(time).map(Instant)
        }

        pub(crate) fn saturating_duration_since(&self, earlier: Instant) -> Duration {
            self.0.saturating_sub(earlier.0)
        }
    }

    impl Add<Duration> for Instant {
        type Output = Instant;

        fn add(self, time: Duration) -> Instant {
            Instant(self.0 + time)
        }
    }

    impl Sub for Instant {
        type Output = Duration;

        fn sub(self, earlier: Instant) -> Duration {
            self.saturating_duration_since(earlier)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_after_a_deadline_never_begins_before_it() {
        let base = start();
        for nanos in [0, 1, 16_383, 16_384, 16_385, 1_000_000_007] {
            let deadline = base + Duration::from_nanos(nanos);
            assert!(instant_of(tick_after(deadline)).unwrap() >= deadline);
            assert!(instant_of(tick_at(deadline)).unwrap() <= deadline);
        }
    }
}
