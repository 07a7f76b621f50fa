//! Which settings can be used.

use std::io;

use crate::machine;

/// The most processors of a runtime: within the scheduler's counts, and far beyond any machine.
const MAX_WORKERS: usize = 1 << 16;

/// The number of processors that the environment sets. `None`: it sets none.
pub(super) fn workers_of_environment() -> io::Result<Option<usize>> {
    const VARIABLE: &str = "EXECUTOR_WORKER_THREADS";
    let Some(value) = std::env::var_os(VARIABLE) else {
        return Ok(None);
    };
    match value.to_str().and_then(|value| value.trim().parse().ok()) {
        Some(count) => usable_workers(count, VARIABLE).map(Some),
        None => Err(unusable(
            VARIABLE,
            &format!("must be a number, not {value:?}"),
        )),
    }
}

pub(super) fn usable_workers(count: usize, name: &str) -> io::Result<usize> {
    match count {
        0 => Err(unusable(name, "must not be zero")),
        1..=MAX_WORKERS => Ok(count),
        _ => Err(unusable(name, &format!("must not exceed {MAX_WORKERS}"))),
    }
}

/// How many processors there may be, for a runtime that may have so many as `worker_threads` says.
pub(super) fn room(set: Option<usize>, worker_threads: usize) -> io::Result<usize> {
    const NAME: &str = "max_worker_threads";
    match set {
        // Without a quota, which may be higher later.
        None => Ok((4 * machine::num_allowed())
            .clamp(64, MAX_WORKERS)
            .max(worker_threads)),
        Some(count) => at_least(worker_threads, usable_workers(count, NAME)?, NAME),
    }
}

/// Why there is but one processor where there are no threads.
pub(super) fn one_thread() -> io::Error {
    let reason =
        "this target has no threads, so a runtime has one processor: `worker_threads` must be 1";
    io::Error::new(io::ErrorKind::Unsupported, reason)
}

/// A limit that must not be below the number of processors.
pub(super) fn at_least(worker_threads: usize, limit: usize, name: &str) -> io::Result<usize> {
    match limit < worker_threads {
        true => {
            let reason = format!("must not be less than worker_threads, {worker_threads}");
            Err(unusable(name, &reason))
        }
        false => Ok(limit),
    }
}

pub(super) fn unusable(name: &str, reason: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("unusable runtime setting: {name} {reason}"),
    )
}
