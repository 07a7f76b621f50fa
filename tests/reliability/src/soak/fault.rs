//! Broken rules and panics that nobody planned: counted, and the first ones printed.

use std::panic;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

static BROKEN: AtomicU64 = AtomicU64::new(0);
static UNPLANNED: AtomicU64 = AtomicU64::new(0);
const SHOWN: u64 = 20;

/// The payload of a panic that belongs to the plan.
pub(super) struct Planned;

pub(super) fn planned() -> ! {
    panic::panic_any(Planned)
}

/// Planned panics are silent from now on; others are counted and go on to the hook that was there. That of a simulation
/// prints nothing.
pub(super) fn watch_panics() {
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<Planned>() {
            broken("a panic that nobody planned", &info.to_string());
            UNPLANNED.fetch_add(1, Relaxed);
            others(info);
        }
    }));
}

pub(super) fn unplanned() -> u64 {
    UNPLANNED.load(Relaxed)
}

pub(super) fn broken(rule: &str, detail: &str) {
    if BROKEN.fetch_add(1, Relaxed) < SHOWN {
        eprintln!("BROKEN: {rule}: {detail}");
    }
}

pub(super) fn rules_broken() -> u64 {
    BROKEN.load(Relaxed)
}
