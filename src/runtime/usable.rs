//! Which settings can be used.

use std::io;

use crate::sync::thread;

/// The most processors of a runtime: within the scheduler's counts, and far beyond any machine.
const MAX_WORKERS: usize = 1 << 16;

pub(super) fn default_workers() -> io::Result<usize> {
    const VARIABLE: &str = "EXECUTOR_WORKER_THREADS";
    match std::env::var_os(VARIABLE) {
        None => Ok(thread::available_parallelism().map_or(1, usize::from)),
        Some(value) => match value.to_str().and_then(|value| value.trim().parse().ok()) {
            Some(count) => usable_workers(count, VARIABLE),
            None => Err(unusable(
                VARIABLE,
                &format!("must be a number, not {value:?}"),
            )),
        },
    }
}

pub(super) fn usable_workers(count: usize, name: &str) -> io::Result<usize> {
    match count {
        0 => Err(unusable(name, "must not be zero")),
        1..=MAX_WORKERS => Ok(count),
        _ => Err(unusable(name, &format!("must not exceed {MAX_WORKERS}"))),
    }
}

/// How many processors there may be, for a runtime that begins with so many.
pub(super) fn room(set: Option<usize>, worker_threads: usize) -> io::Result<usize> {
    const NAME: &str = "max_worker_threads";
    match set {
        None => {
            let cpus = thread::available_parallelism().map_or(1, usize::from);
            Ok((4 * cpus).clamp(64, MAX_WORKERS).max(worker_threads))
        }
        Some(count) if count < worker_threads => {
            let reason = format!("must not be less than worker_threads, {worker_threads}");
            Err(unusable(NAME, &reason))
        }
        Some(count) => usable_workers(count, NAME),
    }
}

pub(super) fn unusable(name: &str, reason: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("unusable runtime setting: {name} {reason}"),
    )
}
