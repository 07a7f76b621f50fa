//! What these tests share: a runtime of their own under a watchdog, at whose end no task may be left; bytes that tell
//! where they belong; and certificates.

pub mod certificates;

use std::future::Future;
use std::io::{self, Write};
use std::panic::Location;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use executor::{Builder, Handle};

/// After this a test counts as hung.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test on a runtime of its own. Afterwards every task must end by itself: nobody may be left behind.
#[track_caller]
pub fn test(body: impl Future<Output = ()>) {
    let runtime = Builder::new().build().unwrap();
    let _watchdog = Watchdog::new(runtime.handle().clone());
    runtime.block_on(body);
    runtime.block_on(until(|| runtime.metrics().num_alive_tasks() == 0));
}

/// Ends the process, with a word, if it still lives after [`PATIENCE`].
struct Watchdog {
    /// Dropped with it, which ends its thread.
    _alive: mpsc::Sender<()>,
}

impl Watchdog {
    #[track_caller]
    fn new(handle: Handle) -> Watchdog {
        let place = Location::caller();
        let (alive, watched) = mpsc::channel();
        thread::spawn(move || {
            if watched.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                // Not by `eprintln`, which a test's threads do not print but keep.
                let _ = writeln!(
                    io::stderr(),
                    "hung: the test at {place}; {}",
                    handle.metrics()
                );
                std::process::exit(101);
            }
        });
        Watchdog { _alive: alive }
    }
}

/// Waits until something is so; looks every millisecond.
pub async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        executor::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How many tasks the current runtime has.
pub fn alive_tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Fails where there is a tokio context.
#[track_caller]
pub fn assert_no_tokio_context() {
    let context = tokio::runtime::Handle::try_current();
    assert!(context.is_err(), "there is a tokio context");
}

/// So many bytes. Each depends on its place and on the seed, so that nothing can be swapped, lost or doubled unseen.
pub fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
