//! What these tests share: where they run, how long they may take, and what they send.

mod recipes;

use std::future::Future;
use std::net::Ipv4Addr;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use executor::net::{TcpListener, TcpStream};
use executor::runtime::Builder;

/// After this a test counts as hung.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Any free port of this machine.
pub const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// Runs a test, and fails if it hangs.
#[track_caller]
pub fn within_patience(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match finished.recv_timeout(PATIENCE) {
        Err(RecvTimeoutError::Timeout) => panic!("hung: not done after {PATIENCE:?}"),
        _ => thread
            .join()
            .unwrap_or_else(|payload| resume_unwind(payload)),
    }
}

/// Runs a test in a `block_on` of the default runtime, then as a task of a runtime with one processor and of one with four,
/// which end with it.
#[track_caller]
pub fn everywhere<F>(test: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    within_patience(move || {
        executor::block_on(test());
        for processors in [1, 4] {
            let runtime = Builder::new().worker_threads(processors).build().unwrap();
            let task = runtime.spawn(test());
            if let Err(error) = runtime.block_on(task) {
                resume_unwind(error.into_panic());
            }
        }
    });
}

/// Two ends of a connection.
pub async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    (client, listener.accept().await.unwrap().0)
}

/// So many bytes, in which a piece that is missing, doubled or out of place shows. Different seeds give different ones.
pub fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    let mut state = seed;
    while bytes.len() < len {
        // The additive sequence and the first mix of SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bytes.extend_from_slice(&mixed.to_be_bytes());
    }
    bytes.truncate(len);
    bytes
}
