//! One simulation: its threads, its clock, its choices; who runs next.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use self::unwinding::Unwinding;
use super::choices::{Choices, Kind, List, Source};
use super::order::{Chooser, Order};
use super::thread::{Activity, Slot, State, Thread};
use super::{COUNT, Locals, WORLD};
use crate::rng::Rng;

mod cost;
mod events;
mod turns;
mod unwinding;

pub(crate) use self::events::Event;
use self::events::Events;
use self::turns::Candidates;

/// When a run is over at the latest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) time: Duration,
    pub(crate) steps: u64,
}

/// At the end of a run its threads are looked at after this time, then after twice as long, up to
/// the longest: that costs a few steps, whatever they do.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// The clock goes no further, in ns: 73 years. The scheduler reckons with more bits than that.
const LATEST: u64 = 1 << 61;

/// What a call of the program takes at least, in ns.
const SHORTEST_CALL: u64 = 1_000;

/// Why a run is over, though its root was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// No thread can run, and none waits for a time.
    AllAsleep,
    TimeLimit,
    StepLimit,
    /// This event, counted from 0, was another one in the run that this one repeats.
    Differs(usize),
    /// Somebody else has found a reason.
    Stopped,
}

/// Unwinds the waits of user code when the run is over.
pub(crate) struct Ended;

/// What a run came to.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) steps: u64,
    pub(crate) time: Duration,
    /// Of all events.
    pub(crate) hash: u64,
    pub(crate) unusual: List,
    pub(crate) num_events: usize,
    /// Of those before the run was over.
    pub(crate) last_event: Option<Event>,
    /// Kept if that was wanted.
    pub(crate) events: Vec<Event>,
}

pub(crate) struct World {
    threads: RefCell<Vec<Rc<Slot>>>,
    /// Those that have not ended, in the order of their indices.
    alive: RefCell<Vec<Rc<Slot>>>,
    running: Cell<usize>,
    /// Who runs next, if whoever gave way has chosen.
    chosen: Cell<Option<usize>>,
    /// Reused by each choice.
    candidates: RefCell<Candidates>,
    /// In ns.
    now: Cell<u64>,
    limits: Limits,
    /// Read by who watches from outside, too. Relaxed: only whether it changes counts.
    steps: Arc<AtomicU64>,
    choices: RefCell<Choices>,
    chooser: RefCell<Chooser>,
    /// One poll of this many keeps its thread for a while. Zero: none does.
    slow_polls: Cell<u32>,
    over: Cell<Option<Over>>,
    /// When it was over: steps and time.
    over_at: Cell<(u64, u64)>,
    /// Done by a thread when it is over, before the waits of user code end.
    final_dump: RefCell<Option<Box<dyn FnOnce() + Send>>>,
    /// That thread.
    dump_thread: Cell<Option<usize>>,
    /// The waits of user code end: since this step.
    closing_since: Cell<Option<u64>>,
    make_locals: fn(usize) -> Box<dyn Locals>,
    events: Events,
    #[cfg(feature = "net")]
    network: RefCell<super::net::Network>,
    /// What another crate keeps for the simulation, one value of each type.
    kept: RefCell<Vec<Rc<dyn Any>>>,
    unwinding: Unwinding,
    /// Whether a panic has ended a task, a blocking job or a thread.
    has_panicked: Cell<bool>,
}

impl World {
    /// Step 1. `None`: the thread is in a simulation already.
    pub(crate) fn enter(
        source: &Source,
        order: Order,
        limits: Limits,
        make_locals: fn(usize) -> Box<dyn Locals>,
    ) -> Option<Rc<World>> {
        let (seed, order) = match source {
            Source::Seed(seed) => (*seed, order),
            // Not asked: the answers are in the list.
            Source::Replay(_) => (0, Order::OneIn(0)),
        };
        let root = Slot::root(make_locals(0));
        let world = Rc::new(World {
            threads: RefCell::new(vec![root.clone()]),
            alive: RefCell::new(vec![root]),
            running: Cell::new(0),
            chosen: Cell::new(None),
            candidates: RefCell::default(),
            now: Cell::new(0),
            limits,
            steps: Arc::default(),
            choices: RefCell::new(Choices::new(source)),
            chooser: RefCell::new(Chooser::new(order, seed)),
            slow_polls: Cell::new(cost::slow_polls(seed)),
            over: Cell::new(None),
            over_at: Cell::new((0, 0)),
            final_dump: RefCell::new(None),
            dump_thread: Cell::new(None),
            closing_since: Cell::new(None),
            make_locals,
            events: Events::default(),
            #[cfg(feature = "net")]
            network: RefCell::new(super::net::Network::new()),
            kept: RefCell::new(Vec::new()),
            unwinding: Unwinding::default(),
            has_panicked: Cell::new(false),
        });
        WORLD.with(|place| {
            let mut place = place.borrow_mut();
            if place.is_some() {
                return None;
            }
            *place = Some(world.clone());
            COUNT.fetch_add(1, Ordering::Relaxed);
            world.slot(0).exchange_locals();
            Some(world.clone())
        })
    }

    /// The root is that no more. Threads that have not ended are abandoned; false: there were such.
    pub(crate) fn leave(&self) -> bool {
        drop(self.kept.take());
        self.slot(0).exchange_locals();
        WORLD.with(|place| place.borrow_mut().take());
        COUNT.fetch_sub(1, Ordering::Relaxed);
        self.threads.take();
        let left = self.alive.take();
        // The first is the root.
        left.iter().skip(1).inspect(|slot| slot.abandon()).count() == 0
    }

    /// What is kept of this type, made when it is wanted first.
    pub(crate) fn kept<T: 'static>(&self, make: impl FnOnce() -> T) -> Rc<T> {
        let find = |kept: &Rc<dyn Any>| kept.clone().downcast().ok();
        let found = self.kept.borrow().iter().find_map(find);
        found.unwrap_or_else(|| {
            let new = Rc::new(make());
            self.kept.borrow_mut().push(new.clone());
            new
        })
    }

    /// No poll keeps its thread.
    pub(crate) fn polls_are_short(&self) {
        self.slow_polls.set(0);
    }

    /// Keeps all events, for a run that repeats this one.
    pub(crate) fn keep_events(&self) {
        self.events.keep();
    }

    /// The run is over when it does something else than that one did.
    pub(crate) fn expect(&self, events: Vec<Event>) {
        self.events.expect(events);
    }

    /// The run is over at this event, counted from 0.
    pub(crate) fn stop_at(&self, event: usize) {
        self.events.stop_at(event);
    }

    pub(crate) fn report(&self) -> Report {
        let (steps, time) = match self.over.get() {
            Some(_) => self.over_at.get(),
            None => (self.num_steps(), self.now.get()),
        };
        Report {
            steps,
            time: Duration::from_nanos(time),
            hash: self.events.hash(),
            unusual: self.choices.borrow_mut().take_unusual(),
            num_events: self.events.count(),
            last_event: self.events.last(),
            events: self.events.take_kept(),
        }
    }

    /// A panic has ended a task, a blocking job or a thread.
    pub(crate) fn note_panic(&self) {
        self.has_panicked.set(true);
    }

    pub(crate) fn has_panicked(&self) -> bool {
        self.has_panicked.get()
    }

    pub(crate) fn over(&self) -> Option<Over> {
        self.over.get()
    }

    /// The run is over: user code waits no more. The first reason counts.
    pub(crate) fn stop(&self, why: Over) {
        if self.over.get().is_none() {
            self.over.set(Some(why));
            self.choices.borrow_mut().forget_those_to_come();
            self.over_at.set((self.num_steps(), self.now.get()));
        }
    }

    /// Done by a thread when the run is over, before the waits of user code end.
    pub(crate) fn set_final_dump(&self, dump: Option<Box<dyn FnOnce() + Send>>) {
        let before = self.final_dump.replace(dump);
        drop(before);
    }

    /// The run is over: waits until that has been done.
    pub(crate) fn wait_for_dump(&self) {
        while !self.is_closing() {
            // It may be left of an earlier wait, which this one is not to end with.
            self.current().take_token();
            self.wait(State::Parked {
                until: None,
                in_user_code: true,
            });
        }
    }

    /// Waits for threads that are about to end, as those of a runtime that shuts down in the
    /// background. A thread that never ends is given up after the longest pause.
    pub(crate) fn wait_for_threads(&self) {
        let mut pause = SHORTEST_PAUSE;
        while pause <= LONGEST_PAUSE
            && self.now() + pause < self.limits.time
            && self.alive.borrow().len() > 1
        {
            self.sleep(pause, false);
            pause *= 2;
        }
    }

    /// Waits until the thread of the final dump has ended, if it was started.
    pub(crate) fn join_dump_thread(&self) {
        if let Some(index) = self.dump_thread.get() {
            let thread = self.slot(index).thread.clone();
            thread.join(self);
        }
    }

    /// The number of steps, for another thread.
    pub(crate) fn steps(&self) -> Arc<AtomicU64> {
        self.steps.clone()
    }

    fn num_steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    pub(crate) fn now(&self) -> Duration {
        Duration::from_nanos(self.now.get())
    }

    /// Differs from that of all other simulations of the process.
    pub(crate) fn id(&self) -> u64 {
        self.slot(0).thread.id()
    }

    pub(crate) fn current(&self) -> Thread {
        self.slot(self.running.get()).thread.clone()
    }

    /// What a thread does, and for how long it has computed. `None`: it has ended.
    pub(crate) fn activity(&self, index: usize) -> Option<(Activity, Duration)> {
        let slot = self.threads.borrow().get(index)?.clone();
        let computed = slot.computed.get();
        let (activity, computed) = match slot.state.get() {
            State::Ended => return None,
            State::Asleep {
                since,
                computes: true,
                ..
            } => (Activity::Running, computed + (self.now.get() - since)),
            State::Ready => (Activity::Running, computed),
            State::Parked { .. } | State::Settling | State::Asleep { .. } => {
                (Activity::Blocked, computed)
            }
        };
        Some((activity, Duration::from_nanos(computed)))
    }

    /// See [`super::choose`].
    pub(crate) fn choose(&self, kind: Kind, n: u32, rarity: u32) -> u32 {
        let draw = |random: &Rng| match rarity > 1 && random.below(rarity) != 0 {
            true => 0,
            false if rarity > 1 && n > 1 => 1 + random.below(n - 1),
            false => random.below(n.max(1)),
        };
        self.ask(kind, n, draw)
    }

    /// The answer to a question, which is part of what the run was like.
    fn ask(&self, kind: Kind, n: u32, draw: impl FnOnce(&Rng) -> u32) -> u32 {
        let answer = self.choices.borrow_mut().choose(kind, n, draw);
        if self.over.get().is_none() {
            self.events.mix(u64::from(answer) << 8 | kind as u64);
        }
        answer
    }

    /// The network. Nothing else of the world may be changed meanwhile, but choices may be made.
    #[cfg(feature = "net")]
    pub(super) fn with_network<R>(&self, op: impl FnOnce(&mut super::net::Network) -> R) -> R {
        op(&mut self.network.borrow_mut())
    }

    /// Starts a thread, whose stack has this many bytes, or else as many as one of `std`. `body` does
    /// not unwind.
    pub(crate) fn start(
        &self,
        body: Box<dyn FnOnce() + Send>,
        stack_size: Option<usize>,
    ) -> io::Result<Thread> {
        let index = self.threads.borrow().len();
        let slot = Slot::new(index, (self.make_locals)(index), body, stack_size)?;
        let thread = slot.thread.clone();
        self.threads.borrow_mut().push(slot.clone());
        self.alive.borrow_mut().push(slot);
        Ok(thread)
    }

    /// Waits for a token, or for as long.
    pub(crate) fn park(&self, timeout: Option<Duration>, in_user_code: bool) {
        let thread = self.current();
        let now = self.now.get();
        let until = timeout.map(|timeout| later(now, nanos(timeout)));
        // A wait that unwinding has come to cannot be ended by unwinding.
        let in_user_code = in_user_code && !self.unwinds();
        if in_user_code {
            self.end_user_code();
        }
        if !thread.take_token() {
            self.wait(State::Parked {
                until,
                in_user_code,
            });
            thread.take_token();
        }
        if in_user_code {
            self.end_user_code();
        }
    }

    /// The thread is kept for so long. At the end of the run it is not.
    pub(crate) fn sleep(&self, time: Duration, computes: bool) {
        let since = self.now.get();
        let until = later(since, nanos(time));
        if self.is_closing() || until == since {
            return;
        }
        if self.unwinds() {
            self.now.set(until);
        } else {
            self.sleep_until(since, until, computes);
        }
    }

    fn sleep_until(&self, since: u64, until: u64, computes: bool) {
        self.wait(State::Asleep {
            since,
            until,
            computes,
        });
        if computes {
            let slot = self.slot(self.running.get());
            slot.computed
                .set(slot.computed.get() + (self.now.get() - since));
        }
    }

    /// [`sleep`](World::sleep), where the program asks for it: when the run is over, this unwinds. It
    /// takes its time however short, and in a destructor, too: a program may do it in a loop.
    pub(crate) fn sleep_in_user_code(&self, time: Duration, computes: bool) {
        self.end_user_code();
        let since = self.now.get();
        let time = nanos(time).max(SHORTEST_CALL);
        self.sleep_until(since, later(since, time), computes);
        self.end_user_code();
    }

    /// Waits until no other thread can run before the clock jumps.
    pub(crate) fn settle(&self) {
        self.wait(State::Settling);
    }

    /// [`settle`](World::settle), and none is in the middle of something that takes its time.
    pub(crate) fn settle_busy(&self) {
        self.settle();
        while self.is_any_busy() && self.jump() {
            self.settle();
        }
    }

    fn is_any_busy(&self) -> bool {
        let is_busy = |slot: &Rc<Slot>| matches!(slot.state.get(), State::Asleep { .. });
        self.alive.borrow().iter().any(is_busy)
    }

    /// Another thread may run here.
    pub(crate) fn point(&self) {
        // While it unwinds, others would take its panic for theirs.
        if !self.unwinds() {
            self.wait(State::Ready);
        }
    }

    pub(crate) fn point_in_user_code(&self) {
        self.point();
        self.end_user_code();
    }

    fn is_closing(&self) -> bool {
        self.closing_since.get().is_some()
    }

    fn slot(&self, index: usize) -> Rc<Slot> {
        self.threads.borrow()[index].clone()
    }

    fn end_user_code(&self) {
        if self.is_closing() && !self.unwinds() {
            self.unwind();
        }
    }
}

/// At most the end of time.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).map_or(LATEST, |nanos| nanos.min(LATEST))
}

fn later(now: u64, time: u64) -> u64 {
    (now + time).min(LATEST)
}
