//! Threads that this crate has pinned to one CPU.
//!
//! A thread knows of itself where it is pinned, so that it is not pinned there again, and which
//! CPUs it had before: its whole mask. With that,
//!
//! * a thread that it starts for this crate begins with the whole mask ([`unpinned`]), which would
//!   else be one CPU, as any thread begins with the mask of the one that starts it;
//! * [`super::allowed`] tells what the process may use, on a pinned thread too.
//!
//! What other code does to the mask of a thread is not noticed.

use std::cell::Cell;

use super::CpuSet;
use super::affinity::{self, Thread};

#[derive(Clone, Copy)]
struct Pinned {
    /// `None`: another thread may have given it the whole mask since.
    cpu: Option<usize>,
    whole: &'static CpuSet,
}

std::thread_local! {
    /// `None`: the thread has its whole mask.
    static PINNED: Cell<Option<Pinned>> = const { Cell::new(None) };
}

/// The calling thread runs on this CPU only. A refusal of the system (the CPU is not there any
/// more, a sandbox) is not tried again until another CPU is asked for.
pub(crate) fn pin(cpu: usize, whole: &'static CpuSet) {
    let pinned = PINNED.get();
    if pinned.is_none_or(|pinned| pinned.cpu != Some(cpu)) {
        let _ = affinity::pin(Thread::Current, &CpuSet::from_iter([cpu]));
        PINNED.set(Some(Pinned {
            cpu: Some(cpu),
            whole,
        }));
    }
}

/// The calling thread has its whole mask.
pub(crate) fn unpin() {
    if let Some(pinned) = PINNED.get() {
        PINNED.set(None);
        let _ = affinity::pin(Thread::Current, pinned.whole);
    }
}

/// Another thread may have given this one its whole mask.
pub(crate) fn doubt() {
    PINNED.set(PINNED.get().map(|pinned| Pinned {
        cpu: None,
        ..pinned
    }));
}

/// The CPUs of this thread beyond the one that it is pinned to. `None`: it is not pinned.
pub(crate) fn whole() -> Option<&'static CpuSet> {
    PINNED.get().map(|pinned| pinned.whole)
}

/// The body of a thread that this thread is about to start: it begins with the whole mask.
pub(crate) fn unpinned<R>(body: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let whole = whole();
    move || {
        if let Some(whole) = whole {
            let _ = affinity::pin(Thread::Current, whole);
        }
        body()
    }
}
