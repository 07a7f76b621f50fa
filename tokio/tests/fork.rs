//! Signals in a child made by `fork` without `exec`.

#![cfg(feature = "full")]

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

fn hear_own_signal() {
    let rt = Builder::new_current_thread().enable_all().build().unwrap();
    rt.block_on(async {
        let mut signal = signal(SignalKind::user_defined1()).unwrap();
        // SAFETY: the signal is caught.
        unsafe { libc::raise(libc::SIGUSR1) };
        signal.recv().await.unwrap();
    });
}

#[test]
fn child_has_a_reader_of_its_own() {
    hear_own_signal();
    // SAFETY: the other threads of this process wait, that of the test harness and the reader of
    // signals. So nobody holds a lock.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: the call ends this process after a while.
        unsafe { libc::alarm(20) };
        hear_own_signal();
        // SAFETY: the call ends this process.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: the pointer is to a variable of this function's.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    hear_own_signal();
}
