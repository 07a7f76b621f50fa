//! When is a poll stuck? What the monitor notes about the poll that each processor is at.
//!
//! A poll **stands still** when the tick of its processor is the same as a round ago. That alone means little: on a
//! machine with more to run than CPUs, a thread may just be waiting for its turn (going by wall time gave 200 to 470
//! false retakes there, going by the rules below none). So the thread is looked at ([`super::probe`]):
//!
//! * **Blocked** in the kernel, in the same poll for [`BLOCKED`]: what it waits for may take for ever, and its CPU is free.
//!   Two looks at least; a mutex or a page fault is over by then.
//! * **Running** on, for [`RUNNING`] of its own CPU time in the same poll: Go's time slice. Below 5 ms it does not pay,
//!   since work that is cut in such pieces is common (5 ms polls: 6 % slower). Waits that were seen count with it: a poll
//!   that looks for something, sleeps for 200 µs, and looks again is never blocked for long and never uses much CPU.
//! * **Unknown**, where the kernel does not tell: [`RUNNING`] of wall time.
//!
//! When the monitor itself has overslept, or was held up within a round, everything may have stood still together (a stopped
//! process, a suspended machine): marks made in wall time begin anew.

use std::ptr;
use std::time::{Duration, Instant};

use super::probe::{self, Probe, State};
use super::processor::Processor;
use super::stall::{STALL, Stall};

/// A look at a thread costs 1.4 µs and waking another 12, so to wait for less would cost more than it gains.
const BLOCKED: Duration = Duration::from_micros(100);

/// Go's `forcePreemptNS`, 10 ms, less a round of the monitor: a poll may have begun that long before it was seen.
pub(super) const RUNNING: Duration = Duration::from_millis(9);

/// A round that comes so much too late, or has lasted so long already, saw nothing of what went on.
pub(super) const OVERSLEPT: Duration = Duration::from_millis(5);

/// What a look gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The processor lies idle, or has begun another poll.
    Moving,
    /// The poll stands still; its thread runs, and has not run for long. In `left` it may have.
    Running { left: Duration },
    /// The poll stands still; its thread is blocked, and may be for a moment only.
    Undecided,
    /// The poll is stuck. `for_long`: for [`STALL`].
    Stuck { for_long: bool },
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Watch {
    poll: Option<Poll>,
    probe: Probe,
}

/// A poll that has been seen.
#[derive(Debug)]
struct Poll {
    at: &'static Processor,
    tick: u64,
    thread: u64,
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
    reported: bool,
}

impl Watch {
    pub(super) fn new() -> Watch {
        Watch {
            poll: None,
            probe: Probe::default(),
        }
    }

    /// Looks at the processor, in a round that began at `round`. `eager`: also at the thread of a poll that is seen for the
    /// first time.
    pub(super) fn look(&mut self, at: &'static Processor, round: Instant, eager: bool) -> Verdict {
        let tick = at.tick.get();
        let Some(thread) = at.tenure.holder() else {
            self.poll = None;
            return Verdict::Moving;
        };
        match &mut self.poll {
            Some(poll) if poll.is(at, tick, thread) => poll.look(self.probe.state(thread), round),
            poll => {
                let now = Instant::now();
                let poll = poll.insert(Poll {
                    at,
                    tick,
                    thread,
                    since: now,
                    wall: now,
                    cpu: probe::cpu_time(thread),
                    blocked: None,
                    last: now,
                    waited: Duration::ZERO,
                    reported: false,
                });
                if eager && self.probe.state(thread) == State::Blocked {
                    poll.blocked = Some(Instant::now());
                    return Verdict::Undecided;
                }
                Verdict::Moving
            }
        }
    }

    /// The incarnation that is stuck, if nothing has changed since the last look.
    pub(super) fn stuck(&self) -> Option<&'static Processor> {
        let poll = self.poll.as_ref()?;
        (poll.at.tick.get() == poll.tick).then_some(poll.at)
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.poll
            .as_ref()
            .is_some_and(|poll| poll.blocked.is_some())
    }

    /// The processor was retaken: what there is to know about the stuck poll.
    pub(super) fn take_stall(&mut self) -> Option<(&'static Processor, Stall)> {
        let poll = self.poll.take()?;
        Some((poll.at, poll.stall()))
    }

    /// The stall to report, once per poll.
    pub(super) fn report(&mut self) -> Option<Stall> {
        let poll = self.poll.as_mut()?;
        (!std::mem::replace(&mut poll.reported, true)).then(|| poll.stall())
    }

    /// The monitor has overslept.
    pub(super) fn begin_anew(&mut self, now: Instant) {
        if let Some(poll) = &mut self.poll {
            poll.begin_anew(now);
        }
    }
}

impl Poll {
    fn is(&self, at: &Processor, tick: u64, thread: u64) -> bool {
        ptr::eq(self.at, at) && (self.tick, self.thread) == (tick, thread)
    }

    fn begin_anew(&mut self, now: Instant) {
        self.wall = now;
        self.last = now;
        self.blocked = self.blocked.map(|_| now);
    }

    fn look(&mut self, state: State, round: Instant) -> Verdict {
        // After the state was read, so that not a moment counts that was not seen.
        let now = Instant::now();
        if now - round > OVERSLEPT {
            self.begin_anew(now);
        }
        let since_last = now - std::mem::replace(&mut self.last, now);
        let is_blocked = state == State::Blocked;
        if is_blocked {
            self.waited += since_last;
            let blocked = now - *self.blocked.get_or_insert(now);
            if blocked >= BLOCKED {
                let for_long = blocked >= STALL;
                return Verdict::Stuck { for_long };
            }
        } else {
            self.blocked = None;
        }
        match RUNNING.checked_sub(self.busy(state, now)) {
            Some(left) if !left.is_zero() && is_blocked => Verdict::Undecided,
            Some(left) if !left.is_zero() => Verdict::Running { left },
            _ => Verdict::Stuck { for_long: true },
        }
    }

    /// How long the poll has kept its thread, without the time it waited for a CPU.
    fn busy(&self, state: State, now: Instant) -> Duration {
        match probe::cpu_time(self.thread).zip(self.cpu) {
            Some((cpu, then)) if state != State::Unknown => cpu.saturating_sub(then) + self.waited,
            _ => now - self.wall,
        }
    }

    fn stall(&self) -> Stall {
        Stall {
            task: self.at.task(),
            tick: self.tick,
            since: self.since,
            is_blocked: self.blocked.is_some(),
            reported: self.reported,
        }
    }
}
