//! Where a task of `async-task` keeps what this crate reads from outside: its metadata and its state.
//!
//! `async-task` gives no access to either by a waker. Its version is fixed, and what is relied on is
//! learned and asserted when the program runs.

use std::future::Future;
use std::mem::MaybeUninit;
use std::pin::pin;
use std::ptr;
use std::task::{Context, Waker};

use super::{Id, Meta};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, ForeignAtomicUsize, ForeignOrdering};

/// The bits of a task's state in `async-task`, whose version is fixed; [`learn`] checks what it can.
pub(super) const SCHEDULED: usize = 1 << 0;
pub(super) const RUNNING: usize = 1 << 1;
/// One waker, or the runnable.
pub(super) const REFERENCE: usize = 1 << 8;

/// Offset of a task's metadata from the task's beginning. Zero until `learn` has run.
///
/// `async-task` does not promise that the offset is the same for all tasks, so two functions assert
/// it: [`learn`] for some unlike tasks, before the first registry is given out, and
/// [`assert_offset`] for each task that registers.
///
/// [`learn`] writes it, with release, and reads it first, with acquire: a thread for which it has
/// nothing to do sees both offsets. [`assert_offset`] and [`meta_of`] read it. `Relaxed`: their
/// thread got its registry or its task from a thread that has called `learn`, through the lock of
/// a list at least (`registry::FREE`, if it is a registry that was given back). `learn` writes it only
/// if it reads zero, so that the cache line stays shared among the readers.
static META_OFFSET: AtomicUsize = AtomicUsize::new(0);

/// Offset of a task's state from the task's beginning. [`learn`] writes it before [`META_OFFSET`], whose
/// release makes it visible; [`state_of`] reads it. `Relaxed`, as there.
static STATE_OFFSET: AtomicUsize = AtomicUsize::new(0);

/// Learns the offsets, once per process. Asserts that tasks with unlike futures, outputs and
/// schedule functions have their metadata at the same offset.
pub(super) fn learn() {
    // Acquire: pairs with the store below, so that both offsets are visible.
    if META_OFFSET.load(Ordering::Acquire) != 0 {
        return;
    }
    #[repr(align(64))]
    struct Wide;

    let (small, queue) = (Box::new(7_u8), Arc::new(()));
    let offsets = [
        offset_in(async {}, |_| ()),
        offset_in(async move { *small }, |_| ()),
        offset_in(std::future::ready([0_u64; 100]), |_| ()),
        offset_in(std::future::ready(Wide), |_| ()),
        offset_in(async {}, move |_| drop(queue.clone())),
    ];
    assert!(
        offsets.iter().all(|offset| *offset == offsets[0]),
        "this version of async-task lays its tasks out in different ways: {offsets:?}"
    );
    STATE_OFFSET.store(state_offset(offsets[0]), Ordering::Relaxed);
    // Release: pairs with the load above.
    META_OFFSET.store(offsets[0], Ordering::Release);
}

/// Finds the state: the only word before the metadata that changes when a task is referred to, and
/// by as much as is known. The words have the size and the alignment of a pointer.
pub(super) fn state_offset(meta_offset: usize) -> usize {
    const WORD: usize = size_of::<usize>();
    let meta = Meta::new(Id::from_number(1), 0, 0);
    let (runnable, task) =
        (async_task::Builder::new().metadata(meta)).spawn(|_| std::future::pending::<()>(), drop);
    // So that the header has no word that is not initialised: somebody awaits the task.
    let mut task = pin!(task);
    let _ = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let waker = runnable.waker();
    let words = || -> Vec<usize> {
        let word = |offset: usize| {
            // SAFETY: the words before the metadata lie in the task's header, where no byte is
            // padding, as all fields there are as wide as a word or two and aligned to one. This
            // thread alone has the task.
            let word = unsafe {
                waker
                    .data()
                    .byte_add(offset)
                    .cast::<MaybeUninit<*const ()>>()
                    .read()
                    .assume_init()
            };
            word.addr()
        };
        (0..meta_offset / WORD * WORD)
            .step_by(WORD)
            .map(word)
            .collect()
    };
    let before = words();
    let references = [(); 3].map(|()| waker.clone());
    let after = words();
    drop(references);
    let changed: Vec<usize> = (0..before.len())
        .filter(|&word| before[word] != after[word])
        .collect();
    let is_known = matches!(changed[..], [state]
        if after[state] - before[state] == 3 * REFERENCE
            && before[state] & (SCHEDULED | RUNNING) == SCHEDULED
            && before[state] / REFERENCE == 2);
    assert!(
        is_known,
        "this version of async-task counts references in another way"
    );
    changed[0] * WORD
}

fn offset_in<F, S>(future: F, schedule: S) -> usize
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    S: Fn(async_task::Runnable<Meta>) + Send + Sync + 'static,
{
    // Not a fresh id: the first task of a program has number 1.
    let meta = Meta::new(Id::from_number(1), 0, 0);
    let (runnable, task) = async_task::Builder::new()
        .metadata(meta)
        .spawn(move |_| future, schedule);
    task.detach();
    offset_of(&runnable.waker(), runnable.metadata())
}

/// `waker` must be the task's own waker, and `meta` the task's metadata.
fn offset_of(waker: &Waker, meta: &Meta) -> usize {
    ptr::from_ref(meta).addr() - waker.data().addr()
}

/// Asserts for a task that registers what [`learn`] found.
pub(super) fn assert_offset(waker: &Waker, meta: &Meta) {
    let known = META_OFFSET.load(Ordering::Relaxed);
    assert_eq!(known, offset_of(waker, meta), "tasks have unlike headers");
}

/// The tag of the task that a waker in a registry belongs to.
pub(super) fn tag_of(waker: &Waker) -> u64 {
    meta_of(waker).tag()
}

/// The metadata of the task that a waker in a registry belongs to.
pub(super) fn meta_of(waker: &Waker) -> &Meta {
    let offset = META_OFFSET.load(Ordering::Relaxed);
    // SAFETY: the waker belongs to a task of this crate, as `Registry::insert` requires. That task
    // has registered, so `assert_offset` has checked that its metadata is at `offset` from the
    // task's beginning. The waker points to that beginning and keeps the task's memory.
    unsafe { &*waker.data().byte_add(offset).cast::<Meta>() }
}

/// The state of the task that a waker in a registry belongs to, as of now or a moment ago. Changed by
/// `async-task`. Relaxed: it orders nothing else.
pub(super) fn state_of(waker: &Waker) -> usize {
    let offset = STATE_OFFSET.load(Ordering::Relaxed);
    // SAFETY: as in `meta_of`; all tasks with the same type of metadata have the same type of
    // header, in which `state_offset` has found the state. It is an atomic integer, to which
    // shared access is always allowed.
    let state = unsafe { &*waker.data().byte_add(offset).cast::<ForeignAtomicUsize>() };
    state.load(ForeignOrdering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_that_lies_elsewhere_is_found_out_in_every_build() {
        learn();
        let task = || {
            let meta = Meta::new(Id::next(), 0, 0);
            let builder = async_task::Builder::new().metadata(meta);
            builder.spawn(|_| async {}, |_: async_task::Runnable<Meta>| ())
        };
        let ((one, _task), (other, _other_task)) = (task(), task());
        assert_offset(&one.waker(), one.metadata());
        let unlike = std::panic::catch_unwind(|| {
            assert_offset(&one.waker(), other.metadata());
        });
        assert!(unlike.is_err());
    }

    #[test]
    fn a_state_says_queued_polled_and_how_many_wakers_there_are() {
        learn();
        let meta = Meta::new(Id::next(), 0, 0);
        let seen = Arc::new(AtomicUsize::new(0));
        let see = seen.clone();
        let (runnable, _task) = (async_task::Builder::new().metadata(meta)).spawn(
            move |_| {
                std::future::poll_fn(move |cx| {
                    see.store(state_of(cx.waker()), Ordering::Relaxed);
                    std::task::Poll::<()>::Pending
                })
            },
            |runnable: async_task::Runnable<Meta>| drop(runnable),
        );
        let waker = runnable.waker();
        let queued = state_of(&waker);
        assert_eq!(queued & (RUNNING | SCHEDULED), SCHEDULED);
        assert_eq!(queued / REFERENCE, 2, "the runnable and a waker");
        runnable.run();
        let polled = seen.load(Ordering::Relaxed);
        assert_eq!(polled & (RUNNING | SCHEDULED), RUNNING);
        let waits = state_of(&waker);
        assert_eq!(waits & (RUNNING | SCHEDULED), 0);
        assert_eq!(waits / REFERENCE, 1, "the waker alone");
    }
}
