//! What these tests share, as over there: a runtime of their own, at whose end no task may be left; and bytes that tell where
//! they belong.

#[path = "../../../libraries/adapters/src/certificates.rs"]
pub mod certificates;

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

/// After this a test counts as hung.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test on a runtime of its own. Afterwards every task must end by itself: nobody may be left behind.
#[track_caller]
pub fn test(body: impl Future<Output = ()>) {
    let runtime = Runtime::new().expect("a runtime");
    let ends = async {
        body.await;
        while runtime.metrics().num_alive_tasks() != 0 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let ended = runtime.block_on(async { timeout(PATIENCE, ends).await });
    assert!(ended.is_ok(), "hung");
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
