//! When something happened, for less than what a clock costs.
//!
//! A stamp is a number of ticks. On x86-64 under Linux a tick is one of the time stamp counter, if
//! the kernel itself goes by that: only then is it known to run at one rate, and together on all
//! CPUs. It takes half the time of [`Instant::now`]. Elsewhere a tick is a nanosecond of that
//! clock.

use std::time::Duration;

use crate::clock::{self, Instant};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, OnceLock};

/// Where ticks and time begin, and how they go together.
#[derive(Debug)]
struct Base {
    source: Source,
    instant: Instant,
    ticks: u64,
    /// Nanoseconds of a tick, times 2^32.
    scale: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Counter,
    Clock,
}

/// [`Base::ticks`], once it is known that the counter is good; zero: it is not, or not known yet.
/// `Relaxed`: whoever does not see it asks the base, which gives the same.
static COUNTS_FROM: AtomicU64 = AtomicU64::new(0);

/// Ticks and time are compared over so long: the two readings at its ends are 50 ns apart at most,
/// a 20,000th of it.
const COMPARED: Duration = Duration::from_millis(1);

static BASE: OnceLock<Base> = OnceLock::new();

/// Held while the base is made, which takes a millisecond: see [`hold`].
static MAKING: Mutex<()> = Mutex::new(());

/// Sees to it that nobody is about to make the base, for a fork: in the child nobody would complete
/// it.
pub(crate) fn hold() -> impl Sized + 'static {
    MAKING.lock()
}

#[inline]
fn base() -> &'static Base {
    BASE.get().unwrap_or_else(|| make_base())
}

#[cold]
fn make_base() -> &'static Base {
    let _making = MAKING.lock();
    BASE.get_or_init(|| match counter::is_reliable() {
        true => Base::counter(),
        false => Base {
            source: Source::Clock,
            instant: clock::now(),
            ticks: 0,
            scale: 1 << 32,
        },
    })
}

impl Base {
    /// Takes a millisecond, once in a process, the first time that stamps are wanted.
    fn counter() -> Base {
        let (instant, ticks) = reading();
        let (later, passed) = loop {
            let (later, passed) = reading();
            if later - instant >= COMPARED {
                break (later, passed.wrapping_sub(ticks).max(1));
            }
        };
        let time = later - instant;
        Base {
            source: Source::Counter,
            instant,
            ticks,
            scale: ((time.as_nanos() << 32) / u128::from(passed)) as u64,
        }
    }
}

/// Clock and counter at the same moment: the closest pair of a few, as the thread may lose its CPU
/// between the two.
fn reading() -> (Instant, u64) {
    let pairs = (0..4).map(|_| {
        let before = counter::read();
        let instant = clock::now();
        (counter::read().wrapping_sub(before), (instant, before))
    });
    let closest = pairs.min_by_key(|(apart, _)| *apart);
    closest.expect("there are four").1
}

/// Prepares for stamps, so that the first one does not take long, and the others need not look
/// whether they are.
pub(crate) fn prepare() {
    if base().source == Source::Counter {
        COUNTS_FROM.store(base().ticks, Ordering::Relaxed);
    }
}

/// Ticks since the first stamp of the process.
#[inline]
pub(crate) fn now() -> u64 {
    match COUNTS_FROM.load(Ordering::Relaxed) {
        0 => ask_base(),
        first => counter::read().wrapping_sub(first),
    }
}

#[cold]
fn ask_base() -> u64 {
    let base = base();
    match base.source {
        Source::Counter => counter::read().wrapping_sub(base.ticks),
        Source::Clock => clock::elapsed(base.instant).as_nanos() as u64,
    }
}

/// So many ticks, in nanoseconds.
#[inline]
pub(crate) fn nanos(ticks: u64) -> u64 {
    ((u128::from(ticks) * u128::from(base().scale)) >> 32) as u64
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod counter {
    pub(super) fn is_reliable() -> bool {
        let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        std::fs::read_to_string(path).is_ok_and(|source| source.trim() == "tsc")
    }

    #[inline]
    pub(super) fn read() -> u64 {
        // SAFETY: every x86-64 CPU has the instruction; Linux lets programs use it, unless one has
        // forbidden it to itself.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod counter {
    pub(super) fn is_reliable() -> bool {
        false
    }

    pub(super) fn read() -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_go_with_the_clock() {
        prepare();
        // The clock is read outside and inside of the stamps: the thread may lose its CPU anywhere.
        let (outer, first, inner) = (Instant::now(), now(), Instant::now());
        while inner.elapsed() < Duration::from_millis(20) {}
        let (inner, last, outer) = (inner.elapsed(), now(), outer.elapsed());
        let (inner, outer) = (inner.as_nanos() as u64, outer.as_nanos() as u64);
        let stamped = nanos(last - first);
        assert!(stamped <= outer + outer / 1000, "{stamped} of {outer} ns");
        assert!(stamped >= inner - inner / 1000, "{stamped} of {inner} ns");
    }
}
