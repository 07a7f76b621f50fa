//! The state of the scheduler on standard error, every so often: what Go prints for `GODEBUG=schedtrace`.
//!
//! The format is that of `schedtrace` in Go 1.25's `runtime/proc.go`, to the letter, so that who can read Go's can read this,
//! and what was written to read Go's, too. One line; with details, one more for each P, M and G. What the words mean here:
//!
//! | field | |
//! |---|---|
//! | `idleprocs`, `spinningthreads` | processors that are idle, workers that search: the counts of [`super::worker::idle`] |
//! | `threads` | all of the runtime: workers, the monitor, and those of the blocking pool |
//! | `idlethreads` | workers parked, and threads of the pool without a job. As in Go, who waits for the network is not idle |
//! | `runqueue` | the global queue |
//! | `[ .. ]`, `runqsize` | what waits at the processor, the next slot too, which Go leaves out: with `runqueue` that is all that waits |
//! | `schedticks`, `schedtick` | polls begun |
//! | `syscalltick` | hand-overs and retakes. Go counts system calls, in which a P and its M may part; of those in which they do not we never hear. Parks are no system calls in Go either |
//! | `timerslen` | timers on the processor's wheel |
//! | M | a thread that holds a processor, or that is stuck in a poll and has lost it: `p=nil`, `blocked=true`. Its number is the system's, 0 where that gives none |
//! | `curg`, G | the task that the thread polls. `nil` while it looks for one |
//! | the others | what Go prints where there is nothing |
//!
//! # How it is printed
//!
//! 1. The monitor finds that the time has come and reads the figures. Each is right for some moment; together they are not.
//! 2. They go to [`crate::stderr`], so a standard error that nobody reads does not hold up the monitor.
//! 3. If the last ones have not been written by then, these are left out. So at most one page of each runtime waits, and who
//!    begins to read late gets one page from before and then new ones.
//!
//! While it is off, a round of the monitor has one comparison more, and nobody else does anything.
//!
//! # What it does not do
//!
//! It does not say which runtime of several a line is of: Go has but one, and the format no place for it. Threads without a
//! processor are counted and not listed.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use super::Shared;
use crate::clock;
use crate::scheduler::monitor::probe;
use crate::stderr;
use crate::sync::Arc;
use crate::tasks;

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SchedtraceSettings {
    pub(crate) interval: Duration,
    pub(crate) has_details: bool,
}

/// The monitor's part.
#[derive(Debug)]
pub(super) struct Schedtrace {
    wanted: SchedtraceSettings,
    /// The runtime's beginning.
    begin: Instant,
    due: Instant,
    /// Shared with the page that is on its way, in whatever way that ends.
    on_its_way: Arc<()>,
}

impl Schedtrace {
    pub(super) fn new(wanted: SchedtraceSettings, begin: Instant) -> Schedtrace {
        Schedtrace {
            wanted,
            begin,
            due: begin,
            on_its_way: Arc::default(),
        }
    }

    pub(super) fn due_in(&self) -> Duration {
        self.due.saturating_duration_since(clock::now())
    }

    /// Prints if it is due in the round that began at `now`.
    pub(super) fn look(&mut self, shared: &'static Shared, now: Instant) {
        if now < self.due {
            return;
        }
        self.due = now + self.wanted.interval;
        // A hint: nothing of what the other has done is read.
        if Arc::strong_count(&self.on_its_way) == 1 {
            let age = now.saturating_duration_since(self.begin);
            let state = shared.state(age, self.wanted.has_details);
            // In one piece, so that the lines of several runtimes do not mix.
            stderr::write(state.to_string(), Some(self.on_its_way.clone()));
        }
    }
}

impl Shared {
    fn state(&self, age: Duration, has_details: bool) -> State {
        let pool = self.blocking();
        let idle_in_pool = pool.map_or(0, |pool| pool.num_idle_threads());
        let mut threads = Vec::new();
        let processors = (0..self.queues.processors.len())
            .map(|index| self.look_at_place(index, &mut threads))
            .collect();
        State {
            age,
            processors,
            idle_processors: self.workers.idle.num_idle(),
            threads: self.workers.threads.alive(),
            searching: self.workers.idle.num_searching(),
            idle_threads: self.workers.idle.num_parked() + idle_in_pool,
            queued: self.queues.num_global(),
            details: has_details.then(|| Details {
                timers: (0..self.queues.processors.len())
                    .map(|index| self.services.timers.num_armed(index))
                    .collect(),
                tasks: self.list_tasks(&threads),
                threads,
            }),
        }
    }

    /// A processor, with all of its instances, and the threads that hold one of them.
    fn look_at_place(&self, index: usize, threads: &mut Vec<ThreadLine>) -> ProcessorLine {
        let mut line = ProcessorLine::default();
        self.queues.processors[index].each(|processor| {
            let tick = processor.tick.get();
            line.ticks += tick;
            line.handoffs += processor.counters.handoffs.get();
            line.queued += processor.num_queued();
            if let Some((thread, is_its_own)) = processor.ownership.held_by() {
                let thread = probe::number(thread);
                if is_its_own {
                    line.thread = Some(thread);
                }
                threads.push(ThreadLine {
                    thread,
                    processor: is_its_own.then_some(index as u64),
                    task: Some(processor.task())
                        .filter(|&task| task != 0)
                        .map(|task| tasks::id_in(task).number()),
                });
            }
        });
        line
    }

    /// The tasks to list: those that are being polled, and those that wait. What for is nothing that a waker tells.
    fn list_tasks(&self, threads: &[ThreadLine]) -> Vec<TaskLine> {
        let polled = threads.iter().filter_map(|thread| {
            Some(TaskLine {
                task: thread.task?,
                status: RUNNING,
                reason: "",
                thread: Some(thread.thread),
            })
        });
        let mut tasks: Vec<TaskLine> = polled.collect();
        let polled: HashSet<u64> = tasks.iter().map(|line| line.task).collect();
        let waiting = self.registry.tags().into_iter();
        let waiting = waiting.map(|tag| tasks::id_in(tag).number());
        tasks.extend(
            waiting
                .filter(|task| !polled.contains(task))
                .map(|task| TaskLine {
                    task,
                    status: WAITING,
                    reason: "",
                    thread: None,
                }),
        );
        tasks
    }
}

/// Go's `_Pidle` and `_Prunning`.
const IDLE: u32 = 0;
const HELD: u32 = 1;

/// Go's `_Grunning` and `_Gwaiting`.
const RUNNING: u32 = 2;
const WAITING: u32 = 4;

/// What is printed.
#[derive(Debug, Default)]
struct State {
    /// Since the runtime's beginning.
    age: Duration,
    processors: Vec<ProcessorLine>,
    idle_processors: usize,
    threads: usize,
    searching: usize,
    idle_threads: usize,
    /// In the global queue.
    queued: usize,
    details: Option<Details>,
}

#[derive(Debug, Default)]
struct ProcessorLine {
    ticks: u64,
    handoffs: u64,
    queued: usize,
    /// Who holds it.
    thread: Option<u64>,
}

#[derive(Debug)]
struct Details {
    /// Of each processor.
    timers: Vec<usize>,
    threads: Vec<ThreadLine>,
    tasks: Vec<TaskLine>,
}

#[derive(Debug)]
struct ThreadLine {
    thread: u64,
    /// `None`: it is held by another thread.
    processor: Option<u64>,
    task: Option<u64>,
}

#[derive(Debug)]
struct TaskLine {
    task: u64,
    status: u32,
    reason: &'static str,
    thread: Option<u64>,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SCHED {}ms: gomaxprocs={} idleprocs={} threads={} spinningthreads={} needspinning=0 idlethreads={} runqueue={}",
            self.age.as_millis(),
            self.processors.len(),
            self.idle_processors,
            self.threads,
            self.searching,
            self.idle_threads,
            self.queued,
        )?;
        match &self.details {
            Some(details) => self.list(details, f),
            None => self.list_briefly(f),
        }
    }
}

impl State {
    /// The rest of the line.
    fn list_briefly(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(" [ ")?;
        for processor in &self.processors {
            write!(f, "{} ", processor.queued)?;
        }
        f.write_str("] schedticks=[ ")?;
        for processor in &self.processors {
            write!(f, "{} ", processor.ticks)?;
        }
        f.write_str("]\n")
    }

    /// The rest of the line, and the others.
    fn list(&self, details: &Details, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(" gcwaiting=false nmidlelocked=0 stopwait=0 sysmonwait=false\n")?;
        for (index, (processor, timers)) in self.processors.iter().zip(&details.timers).enumerate()
        {
            writeln!(
                f,
                "  P{index}: status={} schedtick={} syscalltick={} m={} runqsize={} gfreecnt=0 timerslen={timers}",
                processor.thread.map_or(IDLE, |_| HELD),
                processor.ticks,
                processor.handoffs,
                OrNil(processor.thread),
                processor.queued,
            )?;
        }
        for thread in &details.threads {
            writeln!(
                f,
                "  M{}: p={} curg={} mallocing=0 throwing=0 preemptoff= locks=0 dying=0 spinning=false blocked={} lockedg=nil",
                thread.thread,
                OrNil(thread.processor),
                OrNil(thread.task),
                thread.processor.is_none(),
            )?;
        }
        for task in &details.tasks {
            writeln!(
                f,
                "  G{}: status={}({}) m={} lockedm=nil",
                task.task,
                task.status,
                task.reason,
                OrNil(task.thread),
            )?;
        }
        Ok(())
    }
}

/// A number, or Go's word for none.
struct OrNil(Option<u64>);

impl fmt::Display for OrNil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("nil"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processor(ticks: u64, handoffs: u64, queued: usize, thread: Option<u64>) -> ProcessorLine {
        ProcessorLine {
            ticks,
            handoffs,
            queued,
            thread,
        }
    }

    #[test]
    fn a_line_is_go_s_to_the_letter() {
        let mut state = State {
            age: Duration::from_micros(1_009_999),
            processors: vec![
                processor(12, 0, 1, Some(7)),
                processor(5, 0, 0, Some(8)),
                processor(7, 0, 0, Some(9)),
                processor(9, 0, 0, Some(10)),
            ],
            idle_processors: 0,
            threads: 6,
            searching: 1,
            idle_threads: 2,
            queued: 0,
            details: None,
        };
        assert_eq!(
            state.to_string(),
            "SCHED 1009ms: gomaxprocs=4 idleprocs=0 threads=6 spinningthreads=1 needspinning=0 idlethreads=2 runqueue=0 \
             [ 1 0 0 0 ] schedticks=[ 12 5 7 9 ]\n"
        );
        state.processors.truncate(1);
        state.queued = 3;
        assert_eq!(
            state.to_string(),
            "SCHED 1009ms: gomaxprocs=1 idleprocs=0 threads=6 spinningthreads=1 needspinning=0 idlethreads=2 runqueue=3 \
             [ 1 ] schedticks=[ 12 ]\n"
        );
    }

    #[test]
    fn details_are_go_s_to_the_letter() {
        let state = State {
            processors: vec![processor(12, 1, 3, Some(4711)), processor(0, 0, 0, None)],
            idle_processors: 1,
            threads: 5,
            idle_threads: 1,
            queued: 2,
            details: Some(Details {
                timers: vec![4, 0],
                threads: vec![
                    ThreadLine {
                        thread: 4709,
                        processor: None,
                        task: Some(257),
                    },
                    ThreadLine {
                        thread: 4711,
                        processor: Some(0),
                        task: None,
                    },
                ],
                tasks: vec![
                    TaskLine {
                        task: 257,
                        status: RUNNING,
                        reason: "",
                        thread: Some(4709),
                    },
                    TaskLine {
                        task: 258,
                        status: 4,
                        reason: "sleep",
                        thread: None,
                    },
                ],
            }),
            ..State::default()
        };
        assert_eq!(
            state.to_string(),
            "SCHED 0ms: gomaxprocs=2 idleprocs=1 threads=5 spinningthreads=0 needspinning=0 idlethreads=1 runqueue=2 \
             gcwaiting=false nmidlelocked=0 stopwait=0 sysmonwait=false
  P0: status=1 schedtick=12 syscalltick=1 m=4711 runqsize=3 gfreecnt=0 timerslen=4
  P1: status=0 schedtick=0 syscalltick=0 m=nil runqsize=0 gfreecnt=0 timerslen=0
  M4709: p=nil curg=257 mallocing=0 throwing=0 preemptoff= locks=0 dying=0 spinning=false blocked=true lockedg=nil
  M4711: p=0 curg=nil mallocing=0 throwing=0 preemptoff= locks=0 dying=0 spinning=false blocked=false lockedg=nil
  G257: status=2() m=4709 lockedm=nil
  G258: status=4(sleep) m=nil lockedm=nil
"
        );
    }
}
