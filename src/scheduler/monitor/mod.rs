//! The monitor thread: the one that looks when nobody else does (Go's sysmon).
//!
//! It runs no tasks and holds no processor, and no worker waits for it. It only guarantees that
//! progress does not hang on a worker that is in a long poll:
//!
//! * the network is looked at and due timers are fired if no worker has done so since its last
//!   round; wakers that may be anybody's code are called elsewhere ([`super::foreign_wakers`]);
//! * work that is hidden while a processor is idle gets a worker: a next slot that stays full under
//!   an unmoved tick (a push into an empty slot wakes nobody), or a queue whose submission relied
//!   on a searcher that could not start;
//! * a worker that is stuck in a poll loses its processor while work waits and none is idle
//!   ([`super::monitor::watch`] says what stuck is, [`super::acquire`] how it goes); if it is
//!   blocked for long, in any case, so that what comes later finds an idle processor without the
//!   monitor's help;
//! * who is stuck for long is told to the [`observer`](super::observer) ([`stalls`]);
//! * while a task of class `Interactive` waits, others lose their processors sooner ([`latency`]);
//! * each [`ASK`], busy workers are asked to look at the global queue and the network, and to let
//!   the next slot wait for once: the 61st poll is fair only if polls are short (of 5 ms each: 300
//!   ms);
//! * the worker with the driver is told of timers that it does not wait for;
//! * a queued blocking job gets its thread;
//! * the observer is called in each round. If it wants the next one at a certain time, nothing
//!   below lasts longer.
//!
//! # When it sleeps
//!
//! A round each [`PERIOD`] while anything is busy; each [`EAGER_PERIOD`] while a blocked poll is
//! being decided on, and for [`EAGER_TIME`] after a retake, as blocking calls seldom come alone.
//! When all processors are idle and a worker holds the driver, nothing can be overdue. Then it
//! dozes for [`DOZE`] and, if all is still quiet, sleeps until work begins. So a program that ticks
//! every millisecond neither wakes it each time (12 µs) nor has a thousand rounds a second. A
//! dozing monitor is woken when the last idle processor gets to work: from then on, a stuck poll
//! keeps others waiting. So is one when an `Interactive` poll pushes another task of its class and
//! leaves it to its own worker ([`super::classes`]): if that poll lasts, the idle ones have to hear of
//! it. If either happens it does not doze again for [`AWAKE_TIME`].
//!
//! 1. The monitor publishes its `sleep_state`, fences, and looks once more: for dozing, that some
//!    processor is idle, and that no `Interactive` task waits; for sleeping, that all is quiet. Only
//!    then it parks.
//! 2. A processor is taken from the idle ones (`Idle::taken`, a read-modify-write on the
//!    counts, by its worker or by whoever hands it to that worker). Then the worker acquires it
//!    (`Shared::acquire`), fences, reads `sleep_state`, and if it is [`DOZING`], the counts.
//!
//! So either the worker sees that the monitor rests and wakes it, or the monitor sees the worker's
//! core gone.
//!
//! When the scheduler closes, this thread is the shutdown thread; see
//! [`super::lifecycle::shutdown`].

use std::time::Duration;

use self::detached_polls::{DetachedPolls, Reason};
use self::stalls::Stalls;
use self::watch::{OVERSLEPT, Verdict, Watch};
use super::Shared;
use super::observer::Stall;
use crate::clock::{self, Instant};
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, step};

mod detached_polls;
mod latency;
#[cfg_attr(target_family = "wasm", allow(dead_code))]
pub(crate) mod probe;
mod sleep;
mod stalls;
pub(crate) mod watch;

/// How late an event can be while every worker is in a long poll. A round costs about 5 µs: half a
/// percent of a CPU.
const PERIOD: Duration = Duration::from_millis(1);

/// As good as the timers of the kernel allow (their slack is 50 µs).
const EAGER_PERIOD: Duration = Duration::from_micros(100);
const EAGER_TIME: Duration = Duration::from_millis(10);

/// Go's time slice: how long the next slot, or the local queue, may keep others waiting.
const ASK: Duration = Duration::from_millis(10);

/// With the round that confirms what it has seen, work that a poll hides from all others waits for
/// 10 ms at most.
const DOZE: Duration = Duration::from_millis(9);

/// What a wake costs (12 µs) is as much as a few rounds; at most so often it is paid.
const AWAKE_TIME: Duration = Duration::from_millis(20);

/// What a round fires of many timers that are due at once, beside the workers: some 0.1 ms.
const TIMER_PIECES: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Monitor {
    /// [`AWAKE`], [`DOZING`] or [`ASLEEP`]. Set by the monitor, reset by it and by whoever wakes
    /// it. See the protocol above.
    sleep_state: AtomicU32,
    /// The monitor's thread, or the shutdown thread's.
    thread: Mutex<Option<Thread>>,
    /// Somebody called the shutdown thread. Set by callers, cleared by the shutdown thread as it
    /// begins a round.
    called: AtomicBool,
    /// Counts shutdown threads; the last one is current. Written under the lock of `thread`.
    epoch: AtomicU64,
    /// When somebody called for an `Interactive` task last: see [`latency`]. Zero: never. `NO_CALLS`:
    /// nobody is to call.
    called_for_latency: AtomicU64,
}

const AWAKE: u32 = 0;
const DOZING: u32 = 1;
const ASLEEP: u32 = 2;

impl Shared {
    /// Step 2.
    #[inline]
    pub(super) fn end_monitor_sleep(&self) {
        fence(Ordering::SeqCst);
        match self.workers.monitor.sleep_state.load(Ordering::Relaxed) {
            AWAKE => {}
            DOZING if self.workers.idle.num_idle() > 0 => {}
            _ => self.workers.monitor.wake(),
        }
    }
}

impl Monitor {
    /// Whether it dozes or sleeps. While it is up, it may be in the middle of anything.
    pub(super) fn is_sleeping(&self) -> bool {
        // Acquire pairs with the release in `doze` and `sleep`: who sees it at rest sees what it
        // did before.
        self.sleep_state.load(Ordering::Acquire) != AWAKE
    }

    /// This thread has pushed something that another processor, which is idle, could take, and wakes
    /// nobody for it. Between the push and this call lies the fence of `Shared::place_by_class`, and
    /// between the monitor's store of `sleep_state` and its look at the queue that of `Rounds::doze`: so
    /// either this thread sees the monitor doze, or the monitor sees what this thread has pushed.
    pub(super) fn end_doze(&self) {
        if self.sleep_state.load(Ordering::Relaxed) == DOZING {
            self.wake();
        }
    }

    /// Another round is to come soon.
    #[cold]
    pub(super) fn wake(&self) {
        if self.sleep_state.swap(AWAKE, Ordering::AcqRel) != AWAKE {
            if let Some(thread) = &*self.thread.lock() {
                thread.unpark();
            }
        }
    }

    /// The scheduler is closed and there may be something to clean up: ends the monitor's wait in
    /// any state. A monitor that has not begun yet, or has ended, needs no call.
    #[cold]
    pub(super) fn notify_shutdown(&self) {
        // A swap, so that it comes after each `clear_notification` that has not seen it. Two plain
        // stores of different threads have no order of their own.
        self.called.swap(true, Ordering::AcqRel);
        self.sleep_state.store(AWAKE, Ordering::Release);
        if let Some(thread) = &*self.thread.lock() {
            thread.unpark();
        }
    }

    /// The calling thread is the shutdown thread from now on; gives its epoch.
    pub(super) fn begin_epoch(&self) -> u64 {
        let mut thread = self.thread.lock();
        *thread = Some(thread::current());
        // Under the lock: who is current and whom calls reach change together.
        self.epoch.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(super) fn is_current_epoch(&self, epoch: u64) -> bool {
        self.epoch.load(Ordering::Acquire) == epoch
    }

    /// False: somebody else has taken over meanwhile.
    pub(super) fn end_epoch(&self, epoch: u64) -> bool {
        let mut thread = self.thread.lock();
        let is_current = self.is_current_epoch(epoch);
        if is_current {
            *thread = None;
        }
        is_current
    }

    /// A round begins: what was called for before is seen by it. True: something was.
    pub(super) fn clear_notification(&self) -> bool {
        self.called.swap(false, Ordering::AcqRel)
    }

    /// Sleeps until there is a call that no round has answered, or for `time`. A flag and not the
    /// thread's token alone: a destructor that parks may have taken the token.
    pub(super) fn wait_for_notification(&self, epoch: u64, time: Duration) {
        let end = clock::now() + time;
        while self.is_current_epoch(epoch) && !self.called.load(Ordering::Acquire) {
            let left = end.saturating_duration_since(clock::now());
            if left.is_zero() {
                break;
            }
            thread::park_timeout(left);
        }
    }
}

/// What the monitor remembers from one round to the next.
struct Rounds {
    shared: &'static Shared,
    retakes: bool,
    polls: u64,
    ticks: Vec<u64>,
    watches: Vec<Watch>,
    /// The places that were marked in the last round: those whose watch may know of a poll.
    watched: Vec<u64>,
    /// Polls that go on although their processor was retaken, until they have been reported.
    stalls: Stalls,
    detached: DetachedPolls,
    /// Rounds come quickly until then.
    eager_until: Instant,
    /// No dozing until then.
    awake_until: Instant,
    asked: Instant,
    /// How often each timer wheel had been looked at.
    timer_looks: Vec<u64>,
    /// Rounds in which there were wakers that nobody has called.
    foreign_rounds: u32,
    /// For so many runnables a processor may be retaken early in this round: see [`latency`].
    urgent: usize,
    /// `Background` polls are looked at often until then: see [`latency`].
    attentive_until: Instant,
    /// The beginning of the last round, and how long after it the next was to come.
    last: Instant,
    period: Duration,
}

/// The body of the monitor thread.
pub(super) fn run(shared: &'static Shared) {
    *shared.workers.monitor.thread.lock() = Some(thread::current());
    probe::be_punctual();
    let mut rounds = Rounds::new(shared);
    let mut quiet = false;
    while !shared.is_closed() {
        if !quiet {
            rounds.pause();
        } else if !rounds.doze() && rounds.all_is_quiet() {
            rounds.sleep();
        }
        if shared.is_closed() {
            break;
        }
        shared.workers.hold.wait();
        rounds.look();
        quiet = rounds.last >= rounds.awake_until && rounds.all_is_quiet();
    }
    shared.shut_down();
}

impl Rounds {
    fn new(shared: &'static Shared) -> Rounds {
        let now = clock::now();
        let settings = shared.settings().ok();
        let threshold = settings
            .as_ref()
            .map_or(Duration::MAX, |settings| settings.stall_threshold);
        let retakes = settings.is_some_and(|settings| settings.retakes);
        shared.workers.monitor.take_calls_for_latency(retakes);
        Rounds {
            shared,
            retakes,
            polls: 0,
            ticks: Vec::new(),
            watches: Vec::new(),
            watched: Vec::new(),
            stalls: Stalls::new(threshold),
            detached: DetachedPolls::new(),
            eager_until: now,
            awake_until: now,
            asked: now,
            timer_looks: Vec::new(),
            foreign_rounds: 0,
            urgent: 0,
            attentive_until: now,
            last: now,
            period: PERIOD,
        }
    }

    fn pause(&mut self) {
        let expected = self.last + self.period + OVERSLEPT;
        probe::park_briefly(self.period);
        self.last = clock::now();
        if self.last > expected {
            self.reset_marks();
        }
    }

    fn look(&mut self) {
        let shared = self.shared;
        let mut wakers = Vec::new();
        if std::mem::replace(&mut self.polls, shared.network_polls()) == shared.network_polls() {
            if let Some(netpoll) = shared.netpoll() {
                if let Some(mut driver) = netpoll.try_driver() {
                    shared.count_network_poll(driver.poll(Some(Duration::ZERO), &mut wakers));
                    self.polls = shared.network_polls();
                }
            }
        }
        for _ in 0..TIMER_PIECES {
            shared
                .services
                .timers
                .fire_overdue(&mut self.timer_looks, &mut wakers);
            if wakers.is_empty() {
                break;
            }
            shared.call_or_defer_wakers(&mut wakers);
        }
        shared.services.timers.unmark_empty();
        step();
        shared.check_foreign_wakers(&mut self.foreign_rounds);
        if !shared.services.timers.are_watched() {
            // Somebody parked waits for the next deadline, or somebody who did is gone: let the
            // driver see to it.
            shared.wake_driver();
        }
        step();
        self.check_all_detached();
        self.look_at_processors();
        step();
        self.wake_for_hidden_work();
        self.ask();
        if let Some(pool) = shared.blocking() {
            pool.tick();
        }
        shared.observer().round(shared, self.last);
    }

    /// Nobody has been woken for it, or whoever was could not come.
    fn wake_for_hidden_work(&mut self) {
        let has_idle = self.shared.workers.idle.num_idle() > 0;
        if has_idle && (self.work_is_hidden() || self.lacks_driver()) {
            self.shared.wake_one();
        }
    }

    /// Who stands still, and what follows from it.
    fn look_at_processors(&mut self) {
        let shared = self.shared;
        // With somebody waiting, not a round is lost on a poll that is seen for the first time.
        let eager = shared.workers.idle.num_idle() == 0 && shared.queues.has_visible_work();
        self.period = PERIOD;
        self.count_urgent();
        let mut waiting = None;
        // Others are idle, and were so a round ago.
        let mut watched = std::mem::take(&mut self.watched);
        for slot in shared.queues.marked_lately(&mut watched) {
            let (index, processor) = (slot.index(), slot.current());
            let known = self.watches.len().max(index + 1);
            self.watches.resize_with(known, Watch::new);
            let patience = self.patience(processor);
            self.watches[index].set_patience(patience);
            match self.watches[index].look(processor, self.last, eager) {
                Verdict::Moving if processor.is_held() => {
                    self.look_again_in(patience);
                    (self.detached).went_by(shared, processor.task(), processor.class());
                }
                Verdict::Moving => {}
                Verdict::Running { left } => {
                    self.look_again_in(left);
                    self.attend(processor, index);
                }
                Verdict::Undecided => self.look_again_in(EAGER_PERIOD),
                Verdict::Stuck { for_long } => {
                    self.attend(processor, index);
                    let waiting = waiting.get_or_insert_with(|| shared.queues.num_visible());
                    *waiting += usize::from(!processor.next.is_empty());
                    self.stuck(index, for_long, waiting);
                }
            }
            if let Some(stall) = self.watches[index].report(shared, self.stalls.threshold()) {
                shared.tell_stall(stall);
            }
        }
        self.watched = watched;
        if self.last < self.eager_until {
            self.look_again_in(EAGER_PERIOD);
        }
    }

    fn look_again_in(&mut self, time: Duration) {
        self.period = self.period.min(time.max(EAGER_PERIOD));
    }

    /// This processor's poll is stuck, and so many runnables wait.
    fn stuck(&mut self, index: usize, for_long: bool, waiting: &mut usize) {
        let has_no_idle = self.shared.workers.idle.num_idle() == 0;
        let is_held_back = self.held_back_needs_processors();
        let watch = &mut self.watches[index];
        let is_to_retire = index >= self.shared.workers.idle.num_wanted();
        let is_early = !for_long && !watch.is_blocked();
        // Asked for each of them: what was retaken in this round counts.
        let is_limit_reached = self.shared.queues.compute_limit.is_reached();
        if is_early && (is_to_retire || is_limit_reached || !self.shared.can_replace_worker()) {
            return;
        }
        let needed =
            *waiting > 0 && has_no_idle || !watch.is_blocked() && is_held_back || is_to_retire;
        if needed || for_long && watch.is_blocked() {
            let stuck = watch.stuck().filter(|_| self.retakes);
            // Nobody replaces who holds a processor that is to retire.
            if stuck.is_some() && !is_to_retire && !self.shared.can_replace_worker() {
                return self.shared.tell_no_more_threads();
            }
            if let Some(stuck) = stuck {
                // Before the retake: it may be what the poll waits for, and a task that has ended
                // has no name.
                let stall = watch.report(self.shared, self.stalls.threshold());
                if watch.stuck().is_none() {
                    // To read the stack takes a while, in which the poll on `stuck` has ended.
                    if let Some(stall) = stall {
                        self.shared.tell_stall(stall);
                    }
                    return;
                }
                let reason = match watch.is_blocked() {
                    true => Reason::Blocks,
                    false if is_early => Reason::IsInTheWay,
                    false => Reason::Computes,
                };
                let is_watched = self.detached.begin(self.shared, stuck, reason);
                step();
                let is_retaken = self.shared.retake(index, stuck);
                if let Some(stall) = stall {
                    self.shared.tell_stall(Stall {
                        is_retaken,
                        ..stall
                    });
                }
                if is_retaken {
                    *waiting = waiting.saturating_sub(1);
                    self.urgent = self.urgent.saturating_sub(usize::from(is_early));
                    self.eager_until = self.last + EAGER_TIME;
                    if reason == Reason::Blocks || !is_watched {
                        self.shared.end_permit(stuck, watch.tick());
                    }
                    if let Some(poll) = watch.take_poll() {
                        let (tick, since) = poll.begin();
                        (self.shared.workers.off_processor).retaken(stuck, tick, since);
                        self.stalls.push(poll, self.last);
                    }
                } else {
                    self.detached.undo(self.shared, stuck);
                }
            }
        }
    }

    /// Whether a processor should be taken from a poll that computes, so that one which is held
    /// back may begin.
    fn held_back_needs_processors(&self) -> bool {
        let wanted = 2.min(self.shared.queues.num_processors());
        let is_due = self.shared.queues.compute_limit.is_held_back_due();
        is_due && self.shared.workers.idle.num_idle() < wanted
    }

    /// Polls whose processor was retaken: their detached processors, and their report.
    fn check_all_detached(&mut self) {
        let shared = self.shared;
        let mut found = false;
        self.stalls.look(shared, self.last, |detached| {
            found |= shared.queues.check_detached(detached);
        });
        found |= shared.queues.sweep_detached();
        if found {
            shared.wake_for_shared_queue();
        }
    }

    fn reset_marks(&mut self) {
        let now = self.last;
        self.watches
            .iter_mut()
            .for_each(|watch| watch.reset_marks(now));
        self.stalls.reset_marks(now);
    }

    /// What a time slice is to Go: see the module's documentation.
    fn ask(&mut self) {
        if self.last.saturating_duration_since(self.asked) < ASK {
            return;
        }
        self.asked = self.last;
        self.detached.look(self.shared);
        // What is held is marked.
        for slot in self.shared.queues.marked() {
            slot.current().ownership.request_yield();
        }
    }
}
