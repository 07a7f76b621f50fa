//! How long a processor was held by a thread.
//!
//! # What it guarantees
//!
//! What readers are told never goes back.
//!
//! # Protocol
//!
//! 1. Its holder writes one word, when it acquires the processor and when it lets go: whether it
//!    holds it, and with that how long it was held before, or a moment: the one since which it
//!    would have been held had it been held all that time without a break. With a word for each, a
//!    reader between the two stores would count a time of holding twice, or not at all.
//! 2. A reader takes the word and its own time. That may be later than the one at which the holder,
//!    who is about to write, has let go: then this reader was told too much by as much, and the
//!    next ones are told the same until it is true.

use crate::clock::{self, Instant};
use crate::sync::atomic::{AtomicU64, Ordering};

/// See the module's documentation. All is `Relaxed`: a time and no order is wanted.
#[derive(Debug, Default)]
pub(crate) struct BusyTime {
    /// Nanoseconds times two, plus [`HELD`].
    word: AtomicU64,
    /// The most that readers were told.
    told: AtomicU64,
}

const HELD: u64 = 1;

/// The time in a word. Modulo 2^63, which is more than [`clock::nanos`] has; so it may be negative.
fn time(word: u64) -> i64 {
    word as i64 >> 1
}

fn word(time: i64, held: u64) -> u64 {
    (time as u64) << 1 | held
}

impl BusyTime {
    /// The holder has acquired the processor.
    pub(crate) fn begin(&self, now: Instant) {
        let before = self.at(now);
        let since = clock::nanos(now) as i64 - before;
        self.word.store(word(since, HELD), Ordering::Relaxed);
    }

    /// It is about to let go.
    pub(crate) fn end(&self, now: Instant) {
        self.word.store(word(self.at(now), 0), Ordering::Relaxed);
    }

    fn at(&self, now: Instant) -> i64 {
        let word = self.word.load(Ordering::Relaxed);
        match word & HELD {
            0 => time(word),
            // Who acquired it may have done so later than now.
            _ => (clock::nanos(now) as i64 - time(word)).max(0),
        }
    }

    /// Nanoseconds.
    pub(crate) fn get(&self, now: Instant) -> u64 {
        let busy = self.at(now) as u64;
        let told = self.told.fetch_max(busy, Ordering::Relaxed);
        busy.max(told)
    }

    /// Nobody holds the processor.
    pub(crate) fn reset(&self) {
        self.word.store(0, Ordering::Relaxed);
        self.told.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sync::atomic::AtomicBool;
    use crate::sync::thread;

    /// The time in so many nanoseconds.
    fn moments() -> impl Fn(u64) -> Instant {
        // Before the first reading all is zero.
        clock::nanos(Instant::now());
        let start = Instant::now();
        move |nanos| start + Duration::from_nanos(nanos)
    }

    #[test]
    fn times_of_being_held_add_up() {
        let (busy, at) = (BusyTime::default(), moments());
        busy.begin(at(10));
        assert_eq!(busy.get(at(15)), 5);
        busy.end(at(20));
        assert_eq!(busy.get(at(100)), 10);
        busy.begin(at(110));
        assert_eq!(busy.get(at(110)), 10);
        assert_eq!(busy.get(at(113)), 13);
        busy.end(at(120));
        assert_eq!(busy.get(at(1000)), 20);
        busy.reset();
        assert_eq!(busy.get(at(1000)), 0);
    }

    #[test]
    fn a_reader_with_another_clock_than_the_holder_s_is_not_told_less_than_before() {
        let (busy, at) = (BusyTime::default(), moments());
        busy.begin(at(10));
        // The holder has looked at the clock and not yet written.
        assert_eq!(busy.get(at(25)), 15);
        busy.end(at(20));
        assert_eq!(busy.get(at(26)), 15);
        // The reader has looked at the clock, and is late.
        busy.begin(at(50));
        assert_eq!(busy.get(at(40)), 15);
        assert_eq!(busy.get(at(70)), 30);
    }

    #[test]
    fn busy_time_never_goes_back_beside_a_holder() {
        let (busy, is_done) = (BusyTime::default(), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    busy.begin(Instant::now());
                    busy.end(Instant::now());
                }
                is_done.store(true, Ordering::Relaxed);
            });
            let (start, mut last) = (Instant::now(), 0);
            while !is_done.load(Ordering::Relaxed) {
                let told = busy.get(Instant::now());
                assert!(told >= last, "{told} after {last}");
                assert!(u128::from(told) <= start.elapsed().as_nanos() + 1_000_000_000);
                last = told;
            }
        });
    }
}
