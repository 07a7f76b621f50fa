//! How tasks and runtimes end: at a shutdown, by a panic, while foreign threads hold their handles and wakers.
//!
//! A program of its own because memory changes hands nowhere else in as many ways: the sanitizers run it for each change, and
//! the others at night. Its tests run beside each other, as those of `tests/it/` do, and by the same rules.

#[path = "../common/mod.rs"]
mod common;

/// Panics of foreign code.
mod panics {
    mod contained;
    #[cfg(any(feature = "time", feature = "net"))]
    mod wakers;
}

/// The end of a runtime.
mod shutdown {
    mod circles;
    mod drops;
    mod lifetimes;
    mod report;
}
