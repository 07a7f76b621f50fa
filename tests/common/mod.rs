//! What several test files share.

// Each file uses a part of this.
#![allow(dead_code)]

use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use executor::Runtime;
use executor::runtime::Builder;

/// After this something counts as hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the body of a test; a hang becomes a failure.
#[track_caller]
pub(crate) fn within_patience<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, finished) = mpsc::channel();
    let thread = thread::spawn(move || {
        let output = body();
        let _ = done.send(());
        output
    });
    match finished.recv_timeout(PATIENCE) {
        Err(RecvTimeoutError::Timeout) => panic!("hung"),
        _ => thread
            .join()
            .unwrap_or_else(|payload| resume_unwind(payload)),
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "not within patience: {what}");
        thread::yield_now();
    }
}

/// A runtime with so many processors.
pub(crate) fn processors(count: usize) -> Runtime {
    Builder::new().worker_threads(count).build().unwrap()
}
