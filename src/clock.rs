//! The one door to the clock: nobody else reads it (the layering test).
//!
//! Reading costs about 23 ns, so what was read is kept until the next poll begins: [`recent`] serves checks for which an
//! old value is merely cautious ("is this deadline past?").

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::sync::OnceLock;

/// What a thread remembers of its last reading.
#[derive(Clone, Copy)]
enum Recent {
    /// Not in a poll of ours: nothing is kept, since nothing would end its life.
    Off,
    Unread,
    At(Instant),
}

std::thread_local! {
    static RECENT: Cell<Recent> = const { Cell::new(Recent::Off) };
}

/// The time now.
#[inline]
pub(crate) fn now() -> Instant {
    let now = Instant::now();
    if !matches!(RECENT.get(), Recent::Off) {
        RECENT.set(Recent::At(now));
    }
    now
}

/// How long ago that was.
pub(crate) fn elapsed(since: Instant) -> Duration {
    now().saturating_duration_since(since)
}

/// The last reading in this poll, a fresh one if there was none. Never later than now.
#[inline]
pub(crate) fn recent() -> Instant {
    match RECENT.get() {
        Recent::At(instant) => instant,
        Recent::Off | Recent::Unread => now(),
    }
}

/// A poll begins.
#[inline]
pub(crate) fn forget() {
    RECENT.set(Recent::Unread);
}

/// A tick of the timer wheels is 2^14 ns, 16.384 µs.
const TICK_SHIFT: u32 = 14;

/// Tick 0 of every wheel.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Sees to it that nobody is about to choose tick 0, for a fork: in the child nobody would complete that.
pub(crate) fn prepare() {
    start();
}

/// The last tick that has begun by `instant`.
pub(crate) fn tick_at(instant: Instant) -> u64 {
    nanos(instant) >> TICK_SHIFT
}

/// The first tick that begins at `deadline` or after it: what fires there is never early.
pub(crate) fn tick_after(deadline: Instant) -> u64 {
    (nanos(deadline) + ((1 << TICK_SHIFT) - 1)) >> TICK_SHIFT
}

/// When a tick begins; `None` when that is beyond what the clock can express.
pub(crate) fn instant_of(tick: u64) -> Option<Instant> {
    let nanos = tick.checked_mul(1 << TICK_SHIFT)?;
    start().checked_add(Duration::from_nanos(nanos))
}

/// Nanoseconds since the start, at most half of what a `u64` holds (292 years).
pub(crate) fn nanos(instant: Instant) -> u64 {
    let nanos = instant.saturating_duration_since(start()).as_nanos();
    u64::try_from(nanos).unwrap_or(u64::MAX).min(u64::MAX / 2)
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
