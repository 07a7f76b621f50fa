//! Captures where a task waits: the call stacks at which its futures clone the waker.
//!
//! A future that returns `Pending` has cloned the waker that it was polled with, or keeps a clone of
//! it. So the task is polled once more, with a waker that is another one for `will_wake`, and whose
//! `clone` notes the call stack: that is the chain of awaits, down to the leaf. What `clone` returns
//! is a clone of the task's real waker. So the leaf keeps what it would have kept anyway, and
//! nothing that waits is lost.
//!
//! # Protocol
//!
//! 1. [`ask`] notes the task as asked, then sets
//!    [`STACK_WANTED`](registration::STACK_WANTED) in its metadata, then wakes it. The wake makes
//!    the flag visible to the poll that follows, also if the task lies in a queue already. A task
//!    that is being polled is not asked, since the wake would make it run once more for nothing.
//! 2. A poll that begins with the flag calls [`begin`], and polls the future with the recording
//!    waker. So does each poll while [`leaves`](super::leaves) are recorded: then what `clone`
//!    returns stands for the real waker, and says later what has become of it.
//! 3. The future is not ready: its poll calls [`end`], which clears the flag and hands the stacks
//!    to the collector. The future is ready, has panicked, or was cancelled: `leave` sees the flag,
//!    and calls [`end`], too. So each task that was asked answers once.
//! 4. The asker waits until few answers are outstanding before it asks the next tasks
//!    ([`Collector::wait`]), so that the queues stay short for others. At its deadline it takes the
//!    collector out of the registry. A flag that remains is cleared by the next poll, which then has
//!    nobody to answer, unless the next asker has come meanwhile. The next asker may call
//!    `want_stack` during that poll, and [`end`] clears that flag, too. So a poll that was captured
//!    answers whoever asks when it ends; after one that was not, the flag is set again, for the poll
//!    that the asker's wake causes.
//!
//! The flag is one of those that a poll tests together, so a task that is not asked pays nothing.
//! A poll that is recorded has the flag, too, and only looks whether there is a collector at all
//! ([`Registry::collector`](super::registry::Registry)): setting the flag releases that there is one,
//! and whoever clears or takes it acquires that. A poll that has not seen it, since the asker has yet
//! to wake the task, goes without; its end finds it.
//!
//! # What it cannot see
//!
//! Futures that the task does not poll when it is woken for nothing: the children of a
//! `FuturesUnordered`, and of other executors within a task.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::collector::{Answer, Collector};
use super::future_name::unwrapped;
use super::leaves::{self, Leaves, Polled};
use super::registry::{Member, thread_number};
use super::{Meta, Purpose, Runnable, current, registration, wakers};
use crate::stacks::{TaskStack, walk, walk_often};
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::{Arc, Mutex};

/// Stacks kept of one task. One that waits for more futures at once has the others counted.
const MOST_STACKS: usize = 32;

/// One poll that is captured, and what its waker notes. In a box, which [`take_recording`] frees.
struct Recording {
    key: u64,
    /// The stacks are for a dump.
    collector: Option<Arc<Collector>>,
    /// The clones are kept in view: see [`leaves`](super::leaves).
    leaves: Option<&'static Leaves>,
    /// What is cloned: the waker that the task was polled with, or one that stands for it. It
    /// outlives the part of the poll that uses it. Written by the thread that polls; a thread that
    /// was lent the recording waker reads it. Relaxed: lending the recording waker orders
    /// `poll_with`'s swap before the borrower's load in `clone`.
    real: AtomicPtr<Waker>,
    /// An address in the frame that polls the task: stacks are read up to there.
    boundary: usize,
    /// Another thread, to which the future has lent its waker, has another stack.
    thread: u64,
    noted: Mutex<Noted>,
    /// The recording waker. Its data is this recording.
    waker: Waker,
    /// The one that this poll is in the middle of.
    outer: *mut Recording,
}

#[derive(Default)]
struct Noted {
    answer: Answer,
    leaves: Polled,
}

std::thread_local! {
    /// The innermost poll of this thread that is captured; null: none.
    static RECORDING: Cell<*mut Recording> = const { Cell::new(ptr::null_mut()) };

    /// The tag of the task that this thread wakes to ask it; 0: none.
    static ASKING: Cell<u64> = const { Cell::new(0) };

    /// The tag of the task that this thread polls to keep its clones in view; 0: none.
    static RECORDED: Cell<u64> = const { Cell::new(0) };
}

/// What this module keeps for a thread that is simulated, while another one runs.
#[cfg(feature = "sim")]
pub(crate) struct Kept {
    recording: *mut Recording,
    asking: u64,
    recorded: u64,
}

#[cfg(feature = "sim")]
impl Kept {
    pub(crate) const fn new() -> Kept {
        Kept {
            recording: ptr::null_mut(),
            asking: 0,
            recorded: 0,
        }
    }

    pub(crate) fn exchange(&mut self) {
        self.recording = RECORDING.replace(self.recording);
        self.asking = ASKING.replace(self.asking);
        self.recorded = RECORDED.replace(self.recorded);
    }
}

/// Step 1. Gives back a task that is being polled.
pub(crate) fn ask(collector: &Collector, member: Member) -> Option<Member> {
    if member.is_polled() {
        return Some(member);
    }
    collector.expect(member.tag());
    if member.want_stack() {
        ASKING.set(member.tag());
        member.wake();
        ASKING.set(0);
    } else {
        collector.has_ended(member.tag());
    }
    None
}

/// Whether this thread wakes that task to ask it, so that the push it tells is for a dump.
pub(crate) fn is_asking(tag: u64) -> bool {
    ASKING.get() == tag
}

/// Polls a task, which keeps its clones in view: see [`leaves`](super::leaves).
pub(crate) fn poll_recorded(runnable: Runnable, purpose: Purpose) -> current::Polled {
    if purpose != Purpose::Run {
        return purpose.poll(runnable);
    }
    let meta = runnable.metadata();
    // Relaxed: the poll that follows is on this thread.
    meta.registration
        .fetch_or(registration::STACK_WANTED, Ordering::Relaxed);
    let outer = RECORDED.replace(meta.tag());
    let polled = purpose.poll(runnable);
    RECORDED.set(outer);
    polled
}

/// Step 2, with the waker of the poll. Gives a waker for the future, which is there until [`end`].
pub(super) fn begin<'a>(meta: &Meta, waker: &'a Waker, future: &'static str) -> &'a Waker {
    let registry = meta.registry();
    let collector = registry.collector();
    let leaves = match RECORDED.get() == meta.tag() {
        true => registry.leaves(),
        false => None,
    };
    if collector.is_none() && leaves.is_none() {
        return waker;
    }
    if leaves.is_some() {
        // Before the first of its leaves asks.
        wakers::note_own(waker);
    }
    begin_as(collector, leaves, meta.tag(), waker, future)
}

/// [`begin`] for what this key stands for. The waker is there until [`take_recording`]. The one that
/// it stands for lies in the frame of who polls, in which stacks end.
fn begin_as<'a>(
    collector: Option<Arc<Collector>>,
    leaves: Option<&'static Leaves>,
    key: u64,
    real: &'a Waker,
    future: &'static str,
) -> &'a Waker {
    let answer = Answer {
        future: unwrapped(future),
        ..Answer::default()
    };
    let recording = Box::into_raw(Box::new(Recording {
        key,
        collector,
        leaves,
        real: AtomicPtr::new(ptr::from_ref(real).cast_mut()),
        boundary: ptr::from_ref(real).addr(),
        thread: thread_number(),
        noted: Mutex::new(Noted {
            answer,
            leaves: Polled::default(),
        }),
        // Until the recording has an address.
        waker: Waker::noop().clone(),
        outer: RECORDING.get(),
    }));
    // SAFETY: nobody else has the box yet. The functions of `RECORDING_WAKER` demand a `Recording`
    // that lives: this one does until it is taken, which is when the poll is over. Who polls uses the
    // waker for that alone, and what it gives as a clone has another table. Until then the recording
    // has only shared references.
    let waker = unsafe {
        (*recording).waker = Waker::new(recording.cast_const().cast(), &RECORDING_WAKER);
        &(*recording).waker
    };
    RECORDING.set(recording);
    waker
}

/// A recording that is over.
#[derive(Default)]
struct Recorded {
    collector: Option<Arc<Collector>>,
    leaves: Option<&'static Leaves>,
    noted: Noted,
}

/// Ends the innermost recording of this thread, if it is of this key. Its poll is over.
fn take_recording(key: u64) -> Option<Recorded> {
    let innermost = RECORDING.get();
    // SAFETY: it is null, or a box that `begin_as` has made and nobody has freed. Shared, as the
    // poll may be an outer one, whose waker is in use.
    if unsafe { innermost.as_ref() }?.key != key {
        return None;
    }
    // SAFETY: `begin_as` has made the box, it is freed once, as `RECORDING` leaves it here, and the
    // poll that used it is over: it has returned, or has unwound.
    let recording = unsafe { Box::from_raw(innermost) };
    RECORDING.set(recording.outer);
    let noted = std::mem::take(&mut *recording.noted.lock());
    Some(Recorded {
        collector: recording.collector,
        leaves: recording.leaves,
        noted,
    })
}

/// Steps 2 and 3 for a future that is no task: a poll that is captured.
pub(crate) struct Capturing<'a> {
    /// Of the recording. No reference: `end` and `drop` free what it points to while they have this
    /// value.
    waker: *const Waker,
    /// What that one stands for.
    real: PhantomData<&'a Waker>,
    key: u64,
    is_pending: bool,
}

impl Capturing<'_> {
    /// `real`: the waker that the future is polled with otherwise. It lies in the frame of the
    /// caller, in which stacks end.
    pub(crate) fn begin<'a>(
        (collector, key): (Arc<Collector>, u64),
        future: &'static str,
        real: &'a Waker,
    ) -> Capturing<'a> {
        Capturing {
            waker: begin_as(Some(collector), None, key, real, future),
            real: PhantomData,
            key,
            is_pending: false,
        }
    }

    /// The waker to poll the future with.
    pub(crate) fn waker(&self) -> &Waker {
        // SAFETY: the recording lives until this value is dropped.
        unsafe { &*self.waker }
    }

    /// The poll is over.
    pub(crate) fn end(mut self, is_pending: bool) {
        self.is_pending = is_pending;
    }
}

/// Answers also if the poll panics. The waker is gone with this value.
impl Drop for Capturing<'_> {
    fn drop(&mut self) {
        if let Some(recorded) = take_recording(self.key) {
            let mut answer = recorded.noted.answer;
            answer.has_ended = !self.is_pending;
            if let Some(collector) = recorded.collector {
                collector.answer(self.key, answer);
            }
        }
    }
}

/// Step 3: a poll of this task that saw the flag, or another one that ended the task, is over.
/// `waker`: the real one, of a task that waits; `None`: it has ended.
pub(super) fn end(meta: &Meta, waker: Option<&Waker>) {
    let has_ended = waker.is_none();
    let Recorded {
        collector: was_asked,
        leaves,
        noted,
    } = take_recording(meta.tag()).unwrap_or_default();
    if !has_ended {
        // Acquire: pairs with the release of `Member::want_stack`. If this clears its flag, all that
        // the asker did before is seen below: the collector, and that it expects this task. If this
        // comes first, the flag remains, for the next poll.
        meta.registration
            .fetch_and(!registration::STACK_WANTED, Ordering::Acquire);
    }
    let collector = meta.registry().collector();
    match (was_asked, collector) {
        (Some(was_asked), collector) => {
            let mut answer = noted.answer;
            answer.has_ended = has_ended;
            // Who asks may be another one than when the poll began.
            let is_answered = collector.unwrap_or(was_asked).answer(meta.tag(), answer);
            // While clones are kept in view, each poll during a dump comes here.
            if is_answered || leaves.is_none() {
                meta.registry().count_captured();
            }
        }
        // It was ended without a poll, or in one that nobody had asked for.
        (None, Some(collector)) if has_ended => {
            collector.has_ended(meta.tag());
        }
        // There was nobody to answer when the poll began.
        (None, Some(collector)) if collector.awaits(meta.tag()) => {
            // Relaxed: as in `Member::want_stack`, whose caller wakes the task after this poll began.
            meta.registration
                .fetch_or(registration::STACK_WANTED, Ordering::Relaxed);
        }
        (None, _) => {}
    }
    if let (Some(leaves), Some(waker)) = (leaves, waker) {
        if leaves.pending(meta.tag(), noted.leaves) {
            waker.wake_by_ref();
        }
    }
}

/// The recording that a waker is of, if it is of one.
#[cfg(feature = "tracing")]
fn recording_of(waker: &Waker) -> Option<&Recording> {
    let is_recording = ptr::eq(waker.vtable(), &RECORDING_WAKER);
    // SAFETY: a waker with that table has a `Recording` as its data, which lives as long.
    is_recording.then(|| unsafe { &*waker.data().cast::<Recording>() })
}

/// The waker that this one stands for: itself, unless it records.
#[cfg(feature = "tracing")]
pub(super) fn behind(waker: &Waker) -> &Waker {
    match recording_of(waker) {
        // SAFETY: see `Recording::real`.
        Some(recording) => unsafe { &*recording.real.load(Ordering::Relaxed) },
        None => waker,
    }
}

/// Polls with `real` in place of `given`. If that one records, it goes on, and stands for `real`.
#[cfg(feature = "tracing")]
pub(super) fn poll_with<R>(given: &Waker, real: &Waker, poll: impl FnOnce(&Waker) -> R) -> R {
    let Some(recording) = recording_of(given) else {
        return poll(real);
    };
    let real = ptr::from_ref(real).cast_mut();
    let before = recording.real.swap(real, Ordering::Relaxed);
    // If it panics, nobody uses the waker any more: the poll is over.
    let result = poll(given);
    recording.real.store(before, Ordering::Relaxed);
    result
}

impl Recording {
    /// Notes where the waker is cloned. Gives the clone, if it is kept in view.
    #[inline(never)]
    fn note(&self, real: &Waker) -> Option<Waker> {
        if thread_number() != self.thread {
            self.noted.lock().leaves.is_incomplete = true;
            return None;
        }
        let (is_asked, leaves) = {
            let is_asked = self.collector.is_some();
            let mut noted = self.noted.lock();
            let has_room = noted.answer.stacks.len() < MOST_STACKS;
            noted.answer.omitted += usize::from(is_asked && !has_room);
            let leaves = self.leaves.filter(|leaves| leaves.is_due());
            let keeps = leaves.is_some() && noted.leaves.notes.len() < MOST_STACKS;
            noted.leaves.is_incomplete |= leaves.is_some() && !keeps;
            (is_asked && has_room, leaves.filter(|_| keeps))
        };
        if !is_asked && leaves.is_none() {
            return None;
        }
        let stack = match leaves {
            Some(_) => walk_often(self.boundary),
            None => walk(self.boundary),
        };
        if stack.is_empty() {
            self.noted.lock().leaves.is_incomplete |= leaves.is_some();
            return None;
        }
        let stack = TaskStack::new(stack.into());
        let asked = is_asked.then(|| stack.clone());
        // Before the lock: it clones the real waker.
        let (waker, note) = leaves.map(|_| leaves::keep(real, stack)).unzip();
        let mut noted = self.noted.lock();
        noted.answer.stacks.extend(asked);
        noted.leaves.notes.extend(note);
        waker
    }
}

/// A waker whose clones are those of the real one, or stand for it. Its data is a `Recording` that
/// lives as long as the waker.
static RECORDING_WAKER: RawWakerVTable =
    RawWakerVTable::new(clone, wake_by_ref, wake_by_ref, |_| ());

unsafe fn clone(recording: *const ()) -> RawWaker {
    // SAFETY: see `RECORDING_WAKER`.
    let recording = unsafe { &*recording.cast::<Recording>() };
    // SAFETY: the real waker outlives its use here, see `Recording::real`.
    let real = unsafe { &*recording.real.load(Ordering::Relaxed) };
    let clone = recording.note(real).unwrap_or_else(|| real.clone());
    let clone = ManuallyDrop::new(clone);
    RawWaker::new(clone.data(), clone.vtable())
}

unsafe fn wake_by_ref(recording: *const ()) {
    // SAFETY: as in `clone`, twice.
    let real = unsafe {
        &*(*recording.cast::<Recording>())
            .real
            .load(Ordering::Relaxed)
    };
    real.wake_by_ref();
}
