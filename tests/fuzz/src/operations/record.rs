//! What is written down of each future: that it is polled by one thread at a time and not after its end, dropped once, and how
//! it ended.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};

use executor::JoinError;
use executor::task::Id;

use super::world::World;
use super::{check, discard};

/// What programs panic with: the number of the record.
pub(super) struct Marker(pub(super) usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Task,
    Local,
    Job,
    /// The future of a `block_on`.
    Inline,
}

const PENDING: u8 = 0;
const READY: u8 = 1;
const PANICKED: u8 = 2;

#[derive(Debug)]
pub(super) struct Record {
    pub(super) number: usize,
    pub(super) place: Place,
    /// A local one belongs to this thread, and is cancelled at the end of its `block_on`.
    thread: ThreadId,
    block_on_is_over: Option<Arc<AtomicBool>>,
    id: OnceLock<Id>,
    /// Somebody has asked it to stop.
    pub(super) aborted: AtomicBool,
    /// An abort has returned: if it waits, it ends by that.
    abort_returned: AtomicBool,
    /// The number of its set plus one.
    pub(super) set: AtomicU8,
    /// Its destructor throws.
    pub(super) drop_throws: AtomicBool,
    /// Its output's destructor throws.
    pub(super) output_throws: AtomicBool,
    polling: AtomicBool,
    state: AtomicU8,
    dropped: AtomicBool,
    delivered: AtomicBool,
}

impl Record {
    pub(super) fn new(number: usize, place: Place, over: Option<Arc<AtomicBool>>) -> Record {
        Record {
            number,
            place,
            thread: thread::current().id(),
            block_on_is_over: over,
            id: OnceLock::new(),
            aborted: AtomicBool::new(false),
            abort_returned: AtomicBool::new(false),
            set: AtomicU8::new(0),
            drop_throws: AtomicBool::new(false),
            output_throws: AtomicBool::new(false),
            polling: AtomicBool::new(false),
            state: AtomicU8::new(PENDING),
            dropped: AtomicBool::new(false),
            delivered: AtomicBool::new(false),
        }
    }

    pub(super) fn spawned_as(&self, id: Id) {
        let _ = self.id.set(id);
    }

    pub(super) fn id(&self) -> Option<Id> {
        self.id.get().copied()
    }

    /// Its handle, or another, is asked to abort it.
    pub(super) fn abort(&self, abort: impl FnOnce()) {
        self.aborted.store(true, SeqCst);
        abort();
        self.abort_returned.store(true, SeqCst);
    }

    /// It was asked to stop, by an abort or its runtime's end, and neither has ended nor is being polled. Of a local one
    /// nothing can be said: its thread may wait.
    pub(super) fn is_about_to_stop(&self, world: &World) -> bool {
        (self.abort_returned.load(SeqCst) || world.is_shut_down())
            && self.place == Place::Task
            && !self.is_dropped()
            && !self.polling.load(SeqCst)
    }

    pub(super) fn is_dropped(&self) -> bool {
        self.dropped.load(SeqCst)
    }

    fn may_be_cancelled(&self, world: &World) -> bool {
        let over = self.block_on_is_over.as_ref();
        self.aborted.load(SeqCst)
            || world.is_shut_down()
            || over.is_some_and(|over| over.load(SeqCst))
    }

    fn on_its_thread(&self) -> bool {
        !matches!(self.place, Place::Local | Place::Inline) || thread::current().id() == self.thread
    }
}

/// The output of every program.
pub(super) struct Output {
    pub(super) record: Arc<Record>,
    /// Keeps the world open.
    world: Arc<World>,
}

impl Output {
    pub(super) fn new(world: &Arc<World>, record: &Arc<Record>) -> Output {
        Output {
            record: record.clone(),
            world: world.clone(),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.world.count_output();
        if self.record.output_throws.load(SeqCst) && !thread::panicking() {
            panic_any(Marker(self.record.number));
        }
    }
}

pub(super) type Program = Pin<Box<dyn Future<Output = Output> + Send>>;

/// A future that is recorded, or the closure of a job, which is polled once.
pub(super) struct Probe {
    program: Option<Program>,
    record: Arc<Record>,
    world: Arc<World>,
}

impl Probe {
    pub(super) fn new(world: &Arc<World>, record: &Arc<Record>, program: Program) -> Probe {
        Probe {
            program: Some(program),
            record: record.clone(),
            world: world.clone(),
        }
    }

    /// Between the beginning and the end of a poll.
    pub(super) fn run<T>(&mut self, poll: impl FnOnce(&mut Probe) -> Poll<T>) -> Poll<T> {
        let (record, world) = (self.record.clone(), self.world.clone());
        check(
            !record.polling.swap(true, SeqCst),
            "two polls at once",
            &world,
        );
        check(
            record.state.load(SeqCst) == PENDING,
            "polled after its end",
            &world,
        );
        check(!record.is_dropped(), "polled after it was dropped", &world);
        // With other threads about, an abort may come between the runtime's look and this one.
        let stopped = world.is_local && record.abort_returned.load(SeqCst);
        check(!stopped, "polled after it was aborted", &world);
        check(
            record.on_its_thread(),
            "a local future was polled elsewhere",
            &world,
        );
        let result = catch_unwind(AssertUnwindSafe(|| poll(self)));
        match &result {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(_)) => record.state.store(READY, SeqCst),
            Err(_) => record.state.store(PANICKED, SeqCst),
        }
        record.polling.store(false, SeqCst);
        result.unwrap_or_else(|payload| resume_unwind(payload))
    }
}

impl Future for Probe {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        self.run(|probe| match &mut probe.program {
            Some(program) => program.as_mut().poll(cx),
            None => Poll::Pending,
        })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let (record, world) = (&self.record, &self.world);
        check(
            !record.polling.load(SeqCst),
            "dropped while it was polled",
            world,
        );
        check(
            record.on_its_thread(),
            "a local future was dropped elsewhere",
            world,
        );
        self.program = None;
        check(
            !self.record.dropped.swap(true, SeqCst),
            "dropped twice",
            &self.world,
        );
        if self.record.drop_throws.load(SeqCst) && !thread::panicking() {
            panic_any(Marker(self.record.number));
        }
    }
}

/// Looks at how a task ended, as its handle tells it.
pub(super) fn settle(world: &Arc<World>, record: &Arc<Record>, result: Result<Output, JoinError>) {
    check(
        record.is_dropped(),
        "the handle resolved before the future was dropped",
        world,
    );
    check(
        !record.delivered.swap(true, SeqCst),
        "a result was delivered twice",
        world,
    );
    let state = record.state.load(SeqCst);
    let throws = record.drop_throws.load(SeqCst);
    match result {
        Ok(output) => {
            check(
                state == READY,
                "an output of a task that did not return",
                world,
            );
            let own = Arc::ptr_eq(&output.record, record);
            check(own, "the output of another task", world);
            discard(output);
        }
        Err(error) if error.is_panic() => {
            let payload = error.into_panic();
            let number = payload.downcast_ref::<Marker>().map(|marker| marker.0);
            check(
                number == Some(record.number),
                "the panic of another task",
                world,
            );
            check(
                state == PANICKED || throws,
                "the panic of a task that did not",
                world,
            );
        }
        Err(_) => {
            check(state == PENDING, "cancelled, but it had ended", world);
            check(
                record.may_be_cancelled(world),
                "cancelled, but nobody had asked for it",
                world,
            );
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Output").field(&self.record.number).finish()
    }
}
