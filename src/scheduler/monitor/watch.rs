//! When is a poll stuck? What the monitor notes about the poll that each processor is at.
//!
//! A poll **stands still** when the tick of its processor is the same as a round ago. That alone
//! means little: on a machine with more to run than CPUs, a thread may just be waiting for its turn
//! (going by wall time gave 200 to 470 false retakes there, going by the rules below none). So the
//! thread is looked at ([`super::probe`]):
//!
//! * **Blocked** in the kernel, in the same poll for [`BLOCKED`]: what it waits for may take for
//!   ever, and its CPU is free. Two looks at least; a mutex or a page fault is over by then.
//! * **Running** on, for [`RUNNING`] of its own CPU time in the same poll: Go's time slice. Below 5
//!   ms it does not pay, since work that is cut in such pieces is common (5 ms polls: 6 % slower).
//!   Waits that were seen count with it: a poll that looks for something, sleeps for 200 µs, and
//!   looks again is never blocked for long and never uses much CPU.
//! * **Unknown**, where the kernel does not tell: [`RUNNING`] of wall time.
//!
//! # Clocks that go in steps
//!
//! Linux tells to the nanosecond how much CPU time a thread has used. Elsewhere that is known to a
//! step ([`CPU_TIME_STEP`](probe::CPU_TIME_STEP)) only: what a thread uses is added late, or all that
//! lies between two ticks is given to whom a tick finds running. With such a clock ([`by_clock`]):
//!
//! * *No processor is lost too early.* A poll cannot have used more CPU time than wall time has gone by
//!   since it was seen first. So whichever is less counts, however much a step has added at once.
//! * *No poll keeps its processor for ever.* After [`STEPS`] steps of wall time that alone counts. It
//!   takes this only if each tick just misses the thread: otherwise what has been used is added after a
//!   step at the latest.
//! * *A step of more than twice the time that is asked for* says nothing of it, and wall time counts from
//!   the beginning. That is so for polls in somebody's way ([`super::latency`]); and for all where a step
//!   is as long as on FreeBSD.
//!
//! So on such a system a poll that computes loses its processor after 10 ms or one step, whichever is
//! longer, and on a machine with more to run than CPUs, one that waits for a CPU may lose it as well.
//!
//! When the monitor itself has overslept, or was held up within a round, everything may have stood
//! still together (a stopped process, a suspended machine): marks made in wall time begin anew.
//!
//! # Polls, and what else a worker does
//!
//! A worker is not always in a poll: between two of them it fires timers, and wakes what the
//! network has brought; among that may be wakers of other executors, which are foreign code. Then
//! there is no task to name ([`Processor::task`] is zero). And a worker of which nobody wants
//! anything but such wakes (all tasks are another executor's, and use our sockets) begins no poll
//! at all, so its tick tells nothing; how often it has looked for work ([`Processor::looks`]) does.
//! Without that, what took thousands of short looks was added up, and a stall reported of a task
//! that did not exist, or had ended long ago.

use std::ptr;
use std::time::Duration;

use super::probe;
use crate::clock::{self, Instant};
use crate::scheduler::Shared;
use crate::scheduler::monitor::probe::{Probe, State};
use crate::scheduler::observer::Stall;
use crate::scheduler::processor::Processor;
use crate::stacks::BlockedStacks;
use crate::tasks;

/// A look at a thread costs 1.4 µs and waking another 12, so to wait for less would cost more than
/// it gains.
const BLOCKED: Duration = Duration::from_micros(100);

/// Go's `forcePreemptNS`, 10 ms, less a round of the monitor: a poll may have begun that long
/// before it was seen.
pub(crate) const RUNNING: Duration = Duration::from_millis(9);

/// What is blocked for so long loses its processor even if nobody waits for it, so that who comes
/// later finds one: 10 ms, less a round, as above. For as long the monitor looks at what a retake
/// has detached: step 3 of [`crate::scheduler::run_queues::detached`] needs a fraction of it.
pub(crate) const LONG: Duration = Duration::from_millis(9);

/// A round that comes so much too late, or has lasted so long already, saw nothing of what went on.
/// Where time-outs go in steps a round may be late by one: if that counted, every mark would begin anew
/// in each round, and nobody would lose a processor.
pub(crate) const OVERSLEPT: Duration = Duration::from_millis(5).saturating_add(probe::TIMEOUT_STEP);

/// After so many steps of the clock a poll has computed, whatever the clock says.
const STEPS: u32 = 10;

/// What a look gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The processor is idle, or has begun another poll.
    Moving,
    /// The poll stands still; its thread runs, and has not run for long. In `left` it may have.
    Running { left: Duration },
    /// The poll stands still; its thread is blocked, and may be for a moment only.
    Undecided,
    /// The poll is stuck. `for_long`: for [`LONG`], or [`RUNNING`]. One that runs, and not for
    /// long, is in the way of somebody: see [`super::latency`].
    Stuck { for_long: bool },
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Watch {
    poll: Option<Poll>,
    probe: Probe,
    /// For how long a poll may run on: [`RUNNING`], or less while it is in somebody's way.
    patience: Duration,
}

/// A poll that has been seen, or what a worker does between two polls.
#[derive(Clone, Debug)]
pub(crate) struct Poll {
    processor: &'static Processor,
    doing: Doing,
    /// Seen first, and since when wall time counts.
    since: Instant,
    wall: Instant,
    /// CPU time of the thread by then. The poll may have begun a round earlier.
    cpu: Option<Duration>,
    /// Seen blocked at each look since.
    blocked: Option<Instant>,
    /// The last look, and the time between looks that found it blocked and those before them.
    last: Instant,
    waited: Duration,
    /// How long it has kept its thread, as of then.
    kept: Duration,
    reported: bool,
}

/// Two looks at the same poll find the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Doing {
    thread: u64,
    tick: u64,
    /// The task's [`Meta::tag`](crate::tasks::Meta::tag); zero between two polls.
    task: u64,
    looks: u64,
}

impl Doing {
    fn of(processor: &Processor, thread: u64) -> Doing {
        Doing {
            thread,
            tick: processor.tick.get(),
            task: processor.task(),
            looks: processor.looks.get(),
        }
    }
}

impl Watch {
    pub(crate) fn new() -> Watch {
        Watch {
            poll: None,
            probe: Probe::default(),
            patience: RUNNING,
        }
    }

    /// From the next look on.
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Looks at the processor, in a round that began at `round`. `eager`: also at the thread of a
    /// poll that is seen for the first time.
    pub(crate) fn look(
        &mut self,
        processor: &'static Processor,
        round: Instant,
        eager: bool,
    ) -> Verdict {
        let Some(thread) = processor.ownership.holder() else {
            self.poll = None;
            return Verdict::Moving;
        };
        let doing = Doing::of(processor, thread);
        match &mut self.poll {
            Some(poll) if poll.is(processor, doing) => {
                poll.look(self.probe.state(thread), round, self.patience)
            }
            poll => {
                let now = clock::now();
                let poll = poll.insert(Poll {
                    processor,
                    doing,
                    since: now,
                    wall: now,
                    cpu: probe::cpu_time(thread),
                    blocked: None,
                    last: now,
                    waited: Duration::ZERO,
                    kept: Duration::ZERO,
                    reported: false,
                });
                if eager && self.probe.state(thread) == State::Blocked {
                    poll.blocked = Some(clock::now());
                    return Verdict::Undecided;
                }
                Verdict::Moving
            }
        }
    }

    /// The instance that is stuck, if nothing has changed since the last look.
    pub(crate) fn stuck(&self) -> Option<&'static Processor> {
        let poll = self.poll.as_ref()?;
        poll.goes_on().then_some(poll.processor)
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.poll
            .as_ref()
            .is_some_and(|poll| poll.blocked.is_some())
    }

    /// How long the poll has kept its thread, as of the last look.
    pub(super) fn kept(&self) -> Duration {
        (self.poll.as_ref()).map_or(Duration::ZERO, |poll| poll.kept)
    }

    /// The tick of the poll.
    pub(super) fn tick(&self) -> Option<u64> {
        self.poll.as_ref().map(|poll| poll.doing.tick)
    }

    /// What is to be reported, once per poll: it has kept its thread for so long.
    pub(crate) fn report(&mut self, shared: &'static Shared, threshold: Duration) -> Option<Stall> {
        let poll = self.poll.as_mut()?;
        let due = poll.kept >= seen_of(threshold) && !poll.reported;
        due.then(|| poll.stall(shared, threshold, &mut BlockedStacks::default()))
    }

    /// The processor was retaken: the poll goes on without it.
    pub(crate) fn take_poll(&mut self) -> Option<Poll> {
        self.poll.take()
    }

    /// The monitor has overslept.
    pub(crate) fn reset_marks(&mut self, now: Instant) {
        if let Some(poll) = &mut self.poll {
            poll.reset_marks(now);
        }
    }
}

/// How much of so long a time is seen. A poll may have begun a round of the monitor before it was
/// seen first.
fn seen_of(threshold: Duration) -> Duration {
    const ROUND: Duration = Duration::from_millis(1);
    threshold - ROUND.min(threshold / 10)
}

/// How long a poll that was seen first `wall` ago has kept its thread, when it is asked whether that is
/// `asked`: `busy`, as far as a clock of such a step is to be trusted. See the module's documentation.
fn by_clock(busy: Duration, wall: Duration, asked: Duration, step: Duration) -> Duration {
    if step.is_zero() {
        busy
    } else if step > 2 * asked || wall >= STEPS * step {
        wall
    } else {
        busy.min(wall)
    }
}

impl Poll {
    fn is(&self, processor: &Processor, doing: Doing) -> bool {
        ptr::eq(self.processor, processor) && self.doing == doing
    }

    /// What the poll's processor was, or is.
    pub(crate) fn processor(&self) -> &'static Processor {
        self.processor
    }

    /// Its tick, and when it was seen first.
    pub(crate) fn begin(&self) -> (u64, Instant) {
        (self.doing.tick, self.since)
    }

    pub(crate) fn reset_marks(&mut self, now: Instant) {
        self.wall = now;
        self.last = now;
        self.blocked = self.blocked.map(|_| now);
    }

    fn look(&mut self, state: State, round: Instant, patience: Duration) -> Verdict {
        // After the state was read, so that not a moment counts that was not seen.
        let now = clock::now();
        if now - round > OVERSLEPT {
            self.reset_marks(now);
        }
        let is_blocked = state == State::Blocked;
        let busy = self.note(state, now, true);
        if is_blocked && self.blocked.is_some_and(|since| now - since >= BLOCKED) {
            let for_long = self.kept >= LONG;
            return Verdict::Stuck { for_long };
        }
        // Where CPU time is not known, or not asked for, only the longer time is safe.
        let patience = match state {
            State::Running => patience,
            State::Blocked | State::Unknown => RUNNING,
        };
        let used = |asked| by_clock(busy, now - self.wall, asked, probe::CPU_TIME_STEP);
        match patience.checked_sub(used(patience)) {
            Some(left) if !left.is_zero() && is_blocked => Verdict::Undecided,
            Some(left) if !left.is_zero() => Verdict::Running { left },
            _ => Verdict::Stuck {
                for_long: used(RUNNING) >= RUNNING,
            },
        }
    }

    /// Takes note of a look; gives how long the thread was busy. `looks_often`: what it is doing it
    /// has done since the last look.
    fn note(&mut self, state: State, now: Instant, looks_often: bool) -> Duration {
        let since_last = now - std::mem::replace(&mut self.last, now);
        if state == State::Blocked {
            if looks_often || self.blocked.is_some() {
                self.waited += since_last;
            }
            self.blocked.get_or_insert(now);
        } else {
            self.blocked = None;
        }
        let busy = self.busy(state, now);
        let blocked = self.blocked.map_or(Duration::ZERO, |since| now - since);
        self.kept = busy.max(blocked);
        busy
    }

    /// How long the poll has kept its thread, without the time it waited for a CPU.
    fn busy(&self, state: State, now: Instant) -> Duration {
        match probe::cpu_time(self.doing.thread).zip(self.cpu) {
            Some((cpu, then)) if state != State::Unknown => {
                let busy = cpu.saturating_sub(then) + self.waited;
                match probe::CPU_TIME_STEP.is_zero() {
                    true => busy,
                    false => busy.min(now - self.wall),
                }
            }
            _ => now - self.wall,
        }
    }

    /// Whether its thread is in it still, entitled to the processor or not.
    pub(crate) fn goes_on(&self) -> bool {
        let held_by = self.processor.ownership.held_by();
        held_by.is_some_and(|(thread, _)| Doing::of(self.processor, thread) == self.doing)
    }

    /// Of a poll that goes on without its processor: how long it is until it is to be reported, as
    /// far as one can see now. `None`: never, it has been, or is over. Where there are many such
    /// polls, a look at each in each round would be too much.
    pub(crate) fn report_in(&mut self, threshold: Duration, probe: &mut Probe) -> Option<Duration> {
        if self.reported || !self.goes_on() {
            return None;
        }
        self.note(probe.state(self.doing.thread), clock::now(), false);
        Some(seen_of(threshold).saturating_sub(self.kept))
    }

    /// It is reported, and never again. All is asked now: a task that has ended has no name, and a
    /// poll that has lost its processor may soon wait for another one.
    pub(crate) fn stall(
        &mut self,
        shared: &'static Shared,
        threshold: Duration,
        stacks: &mut BlockedStacks,
    ) -> Stall {
        self.reported = true;
        let Doing { thread, task, .. } = self.doing;
        let task = (task != 0).then(|| tasks::describe(task));
        let is_blocked = self.blocked.is_some();
        let (mut blocked_in, mut stack) = (None, None);
        if is_blocked && shared.observer().wants_place_of(task.as_ref()) {
            blocked_in = probe::blocked_in(thread);
            stack = stacks.read(probe::number(thread));
            // After both were read: the thread of a poll that has ended may be blocked in something
            // else.
            if !self.goes_on() {
                (blocked_in, stack) = (None, None);
            }
        }
        Stall {
            task,
            // What was seen of it, which may be less than what is known by the CPU time.
            duration: clock::elapsed(self.since).max(threshold),
            is_blocked,
            blocked_in,
            stack,
            is_retaken: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn an_exact_clock_is_believed() {
        for busy in [Duration::ZERO, 5 * MILLI, RUNNING] {
            let used = by_clock(busy, 500 * MILLI, MILLI / 5, Duration::ZERO);
            assert_eq!(used, busy);
        }
    }

    /// 15.6 ms as on Windows, 10 ms as on macOS.
    #[test]
    fn what_a_step_adds_at_once_takes_no_processor_from_a_short_poll() {
        for step in [10 * MILLI, Duration::from_micros(15_625)] {
            assert_eq!(by_clock(step, 2 * MILLI, RUNNING, step), 2 * MILLI);
            assert!(by_clock(step, RUNNING, RUNNING, step) >= RUNNING);
            let waits_for_a_cpu = by_clock(Duration::ZERO, 9 * step, RUNNING, step);
            assert_eq!(waits_for_a_cpu, Duration::ZERO);
        }
    }

    #[test]
    fn a_clock_that_stands_for_ever_lets_no_poll_keep_its_processor() {
        for step in [10 * MILLI, Duration::from_micros(15_625)] {
            assert!(by_clock(Duration::ZERO, STEPS * step, RUNNING, step) >= RUNNING);
        }
    }

    /// 0.1 s as on FreeBSD, and of a poll that is in the way of somebody.
    #[test]
    fn a_step_that_is_longer_than_what_is_asked_for_is_not_waited_for() {
        let slice = 100 * MILLI;
        assert_eq!(by_clock(Duration::ZERO, RUNNING, RUNNING, slice), RUNNING);
        let patience = MILLI / 5;
        for step in [10 * MILLI, Duration::from_micros(15_625), slice] {
            assert_eq!(by_clock(Duration::ZERO, patience, patience, step), patience);
        }
    }
}
