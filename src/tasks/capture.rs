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
//! 1. [`Collector::ask`] notes the task as asked, then sets
//!    [`STACK_WANTED`](registration::STACK_WANTED) in its metadata, then wakes it. The wake makes
//!    the flag visible to the poll that follows, also if the task lies in a queue already. A task
//!    that is being polled is not asked, since the wake would make it run once more for nothing.
//! 2. A poll that begins with the flag calls [`begin`], and polls the future with the recording
//!    waker.
//! 3. The future is not ready: its poll calls [`end`], which clears the flag and hands the stacks
//!    to the collector. The future is ready, has panicked, or was cancelled: `leave` sees the flag,
//!    and calls [`end`], too. So each task that was asked answers once.
//! 4. The asker waits until few answers are outstanding before it asks the next tasks
//!    ([`Collector::wait`]), so that the queues stay short for others. At its deadline it takes the
//!    collector out of the registry. A flag that remains is cleared by the next poll, which then has
//!    nobody to answer, unless the next asker has come meanwhile. That one may have asked the task
//!    during the poll, and [`end`] clears its flag, too. So a poll that was captured answers whoever
//!    asks when it ends; after one that was not, the flag is set again, for the poll that the asker's
//!    wake causes.
//!
//! The flag is one of those that a poll tests together, so a task that is not asked pays nothing.
//!
//! # What it cannot see
//!
//! Futures that the task does not poll when it is woken for nothing: the children of a
//! `FuturesUnordered`, and of other executors within a task.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::mem::ManuallyDrop;
use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};
use std::time::Instant;

use super::future_name::unwrapped;
use super::registry::{Member, thread_number};
use super::{Meta, registration};
use crate::clock;
use crate::stacks::{TaskStack, walk};
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::{Arc, Condvar, Mutex};

/// Stacks kept of one task. One that waits for more futures at once has the others counted.
const MOST_STACKS: usize = 32;

/// Different stacks kept of all tasks together: some 20 MB.
const MOST_DIFFERENT: usize = 1 << 16;

/// Answers kept in one piece of memory.
const PIECE: usize = 1024;

/// What a poll has found out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// The type of the task's first future. Where it was inlined, no symbol has its name.
    pub(crate) future: &'static str,
    pub(crate) stacks: Vec<TaskStack>,
    /// Clones of the waker beyond those.
    pub(crate) omitted: usize,
    pub(crate) has_ended: bool,
}

/// Where the stacks of a dump come together.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    state: Mutex<Collected>,
    /// Told when no more answers are outstanding than the asker waits for.
    answered: Condvar,
}

#[derive(Debug, Default)]
struct Collected {
    /// Tags of the tasks that have not answered yet.
    asked: HashSet<u64>,
    /// In pieces, by tag: what grows by copying would keep those who answer waiting for the lock,
    /// for a million tasks for longer than a stall is.
    answers: Vec<Vec<(u64, Answer)>>,
    /// Each stack once.
    different: HashSet<TaskStack>,
    /// The asker waits until no more than so many answers are outstanding.
    awaited: Option<usize>,
}

impl Collector {
    /// Step 1. Gives back a task that is being polled.
    pub(crate) fn ask(&self, member: Member) -> Option<Member> {
        if member.is_polled() {
            return Some(member);
        }
        self.state.lock().asked.insert(member.tag());
        if member.want_stack() {
            ASKING.set(member.tag());
            member.wake();
            ASKING.set(0);
        } else {
            self.answer(member.tag(), Answer::ended());
        }
        None
    }

    /// Step 1 for a future that is no task. `ask` makes its thread poll it by [`Capturing`], or gives
    /// `false`. The key is one that no tag is.
    pub(crate) fn ask_future(&self, key: u64, ask: impl FnOnce() -> bool) {
        self.state.lock().asked.insert(key);
        if !ask() {
            self.state.lock().asked.remove(&key);
        }
    }

    /// A future that was asked has ended without another poll.
    pub(crate) fn has_ended(&self, key: u64) {
        self.answer(key, Answer::ended());
    }

    /// Waits until at most `outstanding` answers are. `false`: it is later than the deadline.
    pub(crate) fn wait(&self, outstanding: usize, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        while state.asked.len() > outstanding {
            state.awaited = Some(outstanding);
            match deadline {
                None => state = self.answered.wait(state),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(clock::now());
                    if left.is_zero() {
                        state.awaited = None;
                        return false;
                    }
                    state = self.answered.wait_timeout(state, left).0;
                }
            }
        }
        state.awaited = None;
        true
    }

    /// Step 3.
    fn answer(&self, tag: u64, mut answer: Answer) {
        let mut state = self.state.lock();
        if !state.asked.remove(&tag) {
            // The flag was left by another dump.
            return;
        }
        for stack in &mut answer.stacks {
            match state.different.get(stack) {
                Some(known) => *stack = known.clone(),
                None if state.different.len() < MOST_DIFFERENT => {
                    state.different.insert(stack.clone());
                }
                None => {}
            }
        }
        match state.answers.last_mut() {
            Some(piece) if piece.len() < PIECE => piece.push((tag, answer)),
            _ => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push((tag, answer));
                state.answers.push(piece);
            }
        }
        if state
            .awaited
            .is_some_and(|awaited| state.asked.len() <= awaited)
        {
            self.answered.notify_one();
        }
    }

    /// The answers so far, by tag.
    pub(crate) fn take(&self) -> HashMap<u64, Answer> {
        let answers = std::mem::take(&mut self.state.lock().answers);
        answers.into_iter().flatten().collect()
    }

    /// Whether this task was asked and has not answered.
    pub(crate) fn awaits(&self, tag: u64) -> bool {
        self.state.lock().asked.contains(&tag)
    }
}

impl Answer {
    fn ended() -> Answer {
        Answer {
            has_ended: true,
            ..Answer::default()
        }
    }
}

/// What the recording waker of one poll notes.
struct Recorder {
    /// What is cloned: the waker that the task was polled with, or one that stands for it. It
    /// outlives the part of the poll that uses it. Written by the thread that polls; a thread that
    /// was lent the waker reads it later. Relaxed: the lending orders the two.
    real: AtomicPtr<Waker>,
    /// An address in the frame that polls the task: stacks are read up to there.
    boundary: usize,
    /// Another thread, to which the future has lent its waker, has another stack.
    thread: u64,
    answer: Mutex<Answer>,
}

/// One poll that is captured. The pointers are of boxes, which [`take_recording`] frees.
struct Recording {
    key: u64,
    collector: Arc<Collector>,
    recorder: *mut Recorder,
    /// Its data is the recorder.
    waker: *mut Waker,
    /// The one that this poll is in the middle of.
    outer: *mut Recording,
}

std::thread_local! {
    /// The innermost poll of this thread that is captured; null: none.
    static RECORDING: Cell<*mut Recording> = const { Cell::new(ptr::null_mut()) };

    /// The tag of the task that this thread wakes to ask it; 0: none.
    static ASKING: Cell<u64> = const { Cell::new(0) };
}

/// Whether this thread wakes that task to ask it, so that the push it tells is for a dump.
pub(crate) fn is_asking(tag: u64) -> bool {
    ASKING.get() == tag
}

/// Step 2, with the waker of the poll. Gives a waker for the future, which is there until [`end`].
pub(super) fn begin<'a>(meta: &Meta, waker: &'a Waker, future: &'static str) -> &'a Waker {
    match meta.registry().collector() {
        Some(collector) => begin_as(collector, meta.tag(), waker, future),
        None => waker,
    }
}

/// [`begin`] for what this key stands for. The waker is there until [`take_recording`]. The one that
/// it stands for lies in the frame of who polls, in which stacks end.
fn begin_as<'a>(
    collector: Arc<Collector>,
    key: u64,
    real: &'a Waker,
    future: &'static str,
) -> &'a Waker {
    let recorder = Box::into_raw(Box::new(Recorder {
        real: AtomicPtr::new(ptr::from_ref(real).cast_mut()),
        boundary: ptr::from_ref(real).addr(),
        thread: thread_number(),
        answer: Mutex::new(Answer {
            future: unwrapped(future),
            ..Answer::default()
        }),
    }));
    // SAFETY: the functions of `RECORDING_WAKER` demand a `Recorder` that lives, which is so until
    // the recording is taken. No clone of this waker exists, and the waker itself is forgotten.
    let waker = unsafe { Waker::new(recorder.cast_const().cast(), &RECORDING_WAKER) };
    let waker = Box::into_raw(Box::new(waker));
    RECORDING.set(Box::into_raw(Box::new(Recording {
        key,
        collector,
        recorder,
        waker,
        outer: RECORDING.get(),
    })));
    // SAFETY: the waker lives until the recording is taken, which is when the poll is over. Who
    // polls uses it for that alone.
    unsafe { &*waker }
}

/// A recording that is over.
struct Recorded {
    collector: Arc<Collector>,
    key: u64,
    answer: Answer,
}

impl Recorded {
    fn answer(mut self, has_ended: bool) {
        self.answer.has_ended = has_ended;
        self.collector.answer(self.key, self.answer);
    }
}

/// Ends the innermost recording of this thread, if it is of this key. Its poll is over.
fn take_recording(key: u64) -> Option<Recorded> {
    let innermost = RECORDING.get();
    // SAFETY: it is null, or a box that `begin_as` has made and nobody has freed.
    let innermost = unsafe { innermost.as_mut() }.filter(|innermost| innermost.key == key)?;
    // SAFETY: `begin_as` has made the boxes, each is freed once, as `RECORDING` leaves them here, and
    // the poll that used them is over: it has returned, or has unwound.
    let (recording, recorder) = unsafe {
        let recording = Box::from_raw(ptr::from_mut(innermost));
        std::mem::forget(*Box::from_raw(recording.waker));
        let recorder = Box::from_raw(recording.recorder);
        (recording, recorder)
    };
    RECORDING.set(recording.outer);
    let answer = std::mem::take(&mut *recorder.answer.lock());
    Some(Recorded {
        collector: recording.collector,
        key,
        answer,
    })
}

/// Steps 2 and 3 for a future that is no task: a poll that is captured.
pub(crate) struct Capturing<'a> {
    waker: &'a Waker,
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
            waker: begin_as(collector, key, real, future),
            key,
            is_pending: false,
        }
    }

    /// The waker to poll the future with.
    pub(crate) fn waker(&self) -> &Waker {
        self.waker
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
            recorded.answer(!self.is_pending);
        }
    }
}

/// Step 3: a poll of this task that saw the flag, or another one that ended the task, is over.
pub(super) fn end(meta: &Meta, has_ended: bool) {
    if !has_ended {
        // Relaxed: who has set it waits for the answer, which a lock hands over.
        meta.registration
            .fetch_and(!registration::STACK_WANTED, Ordering::Relaxed);
    }
    let collector = meta.registry().collector();
    match (take_recording(meta.tag()), collector) {
        (Some(mut recorded), collector) => {
            meta.registry().count_captured();
            // Who asks may be another one than when the poll began.
            recorded.collector = collector.unwrap_or(recorded.collector);
            recorded.answer(has_ended);
        }
        // It was ended without a poll.
        (None, Some(collector)) if has_ended => collector.answer(meta.tag(), Answer::ended()),
        // There was nobody to answer when the poll began.
        (None, Some(collector)) if collector.awaits(meta.tag()) => {
            // Relaxed: as in `Member::want_stack`, whose caller wakes the task after this poll began.
            meta.registration
                .fetch_or(registration::STACK_WANTED, Ordering::Relaxed);
        }
        (None, _) => {}
    }
}

/// The recorder behind a waker, if it has one.
#[cfg(feature = "tracing")]
fn recorder_of(waker: &Waker) -> Option<&Recorder> {
    let is_recording = ptr::eq(waker.vtable(), &RECORDING_WAKER);
    // SAFETY: a waker with that table has a `Recorder` as its data, which lives as long.
    is_recording.then(|| unsafe { &*waker.data().cast::<Recorder>() })
}

/// The waker that this one stands for: itself, unless it records.
#[cfg(feature = "tracing")]
pub(super) fn behind(waker: &Waker) -> &Waker {
    match recorder_of(waker) {
        // SAFETY: see `Recorder::real`.
        Some(recorder) => unsafe { &*recorder.real.load(Ordering::Relaxed) },
        None => waker,
    }
}

/// Polls with `real` in place of `given`. If that one records, it goes on, and stands for `real`.
#[cfg(feature = "tracing")]
pub(super) fn poll_with<R>(given: &Waker, real: &Waker, poll: impl FnOnce(&Waker) -> R) -> R {
    let Some(recorder) = recorder_of(given) else {
        return poll(real);
    };
    let real = ptr::from_ref(real).cast_mut();
    let before = recorder.real.swap(real, Ordering::Relaxed);
    // If it panics, nobody uses the waker any more: the poll is over.
    let result = poll(given);
    recorder.real.store(before, Ordering::Relaxed);
    result
}

impl Recorder {
    #[inline(never)]
    fn note(&self) {
        if thread_number() != self.thread {
            return;
        }
        if self.answer.lock().stacks.len() == MOST_STACKS {
            self.answer.lock().omitted += 1;
            return;
        }
        let stack = walk(self.boundary);
        if !stack.is_empty() {
            let stack = TaskStack::new(stack.into());
            self.answer.lock().stacks.push(stack);
        }
    }
}

/// A waker whose clones are those of the real one. Its data is a `Recorder` that lives as long as
/// the waker.
static RECORDING_WAKER: RawWakerVTable =
    RawWakerVTable::new(clone, wake_by_ref, wake_by_ref, |_| ());

unsafe fn clone(recorder: *const ()) -> RawWaker {
    // SAFETY: see `RECORDING_WAKER`.
    let recorder = unsafe { &*recorder.cast::<Recorder>() };
    recorder.note();
    // SAFETY: the real waker outlives its use here, see `Recorder::real`.
    let real = unsafe { &*recorder.real.load(Ordering::Relaxed) };
    let real = ManuallyDrop::new(real.clone());
    RawWaker::new(real.data(), real.vtable())
}

unsafe fn wake_by_ref(recorder: *const ()) {
    // SAFETY: as in `clone`, twice.
    let real = unsafe { &*(*recorder.cast::<Recorder>()).real.load(Ordering::Relaxed) };
    real.wake_by_ref();
}
