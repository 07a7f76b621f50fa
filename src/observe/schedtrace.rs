//! The state of the scheduler on standard error, every so often: what Go prints for
//! `GODEBUG=schedtrace`.
//!
//! One line, in the format of Go 1.25's `runtime/proc.go`, so that who can read Go's can read this:
//!
//! | field | |
//! |---|---|
//! | `gomaxprocs`, `idleprocs` | processors that are wanted, and those that nobody holds |
//! | `threads` | all of the runtime: workers, the monitor, and those of the blocking pool |
//! | `spinningthreads` | workers that search |
//! | `needspinning` | always 0; Go has it there |
//! | `idlethreads` | workers parked, and threads of the pool without a job. As in Go, who waits for the network is not idle |
//! | `runqueue` | the global queue |
//! | `[ .. ]` | what waits at each processor, the next slot too, which Go leaves out: with `runqueue` that is all that waits |
//! | `schedticks` | polls begun by each processor |
//!
//! Both lists have more than `gomaxprocs` items if there have been more processors.
//!
//! # How it is printed
//!
//! 1. The monitor finds that the time has come and reads the figures. Each is right for some
//!    moment; together they are not.
//! 2. They go to [`crate::stderr`], so a standard error that nobody reads does not hold up the
//!    monitor.
//! 3. If the last line has not been written by then, this one is left out. So at most one of each
//!    runtime waits, and who begins to read late gets one line from before and then new ones.
//!
//! It does not say which runtime of several a line is of: Go has but one, and the format no place
//! for it.

use std::fmt;
use std::time::Duration;

use crate::clock::{self, Instant};
use crate::scheduler::Shared;
use crate::scheduler::inspect::Snapshot;
use crate::stderr;
use crate::sync::Arc;

/// The monitor's part.
#[derive(Debug)]
pub(super) struct Schedtrace {
    interval: Duration,
    /// The runtime's beginning.
    begin: Instant,
    due: Instant,
    /// Shared with the line that is on its way, in whatever way that ends.
    on_its_way: Arc<()>,
}

impl Schedtrace {
    /// The runtime begins.
    pub(super) fn new(interval: Duration) -> Schedtrace {
        let begin = clock::now();
        Schedtrace {
            interval,
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
        self.due = now + self.interval;
        // A hint: nothing of what the other has done is read.
        if Arc::strong_count(&self.on_its_way) == 1 {
            let age = now.saturating_duration_since(self.begin);
            let line = Line(age, shared.snapshot());
            stderr::write(format!("{line}\n"), Some(self.on_its_way.clone()));
        }
    }
}

/// What is printed: how old the runtime is, and its figures.
struct Line(Duration, Snapshot);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line(age, of) = self;
        write!(
            f,
            "SCHED {}ms: gomaxprocs={} idleprocs={} threads={} spinningthreads={} needspinning=0 idlethreads={} runqueue={} [ ",
            age.as_millis(),
            of.wanted_processors,
            of.idle_processors,
            of.threads,
            of.searching_workers,
            of.parked_workers + of.pool.idle_threads,
            of.global_queue_depth,
        )?;
        for processor in &of.processors {
            write!(f, "{} ", processor.local_queue_depth)?;
        }
        f.write_str("] schedticks=[ ")?;
        for processor in &of.processors {
            write!(f, "{} ", processor.polls)?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::inspect::{PoolSnapshot, ProcessorSnapshot};

    #[test]
    fn a_line_is_go_s_to_the_letter() {
        let processor = |(polls, local_queue_depth)| ProcessorSnapshot {
            polls,
            local_queue_depth,
            ..ProcessorSnapshot::default()
        };
        let mut line = Line(
            Duration::from_micros(1_009_999),
            Snapshot {
                processors: [(12, 1), (5, 0), (7, 0), (9, 0)].map(processor).to_vec(),
                wanted_processors: 4,
                threads: 6,
                searching_workers: 1,
                parked_workers: 1,
                pool: PoolSnapshot {
                    idle_threads: 1,
                    ..PoolSnapshot::default()
                },
                ..Snapshot::default()
            },
        );
        assert_eq!(
            line.to_string(),
            "SCHED 1009ms: gomaxprocs=4 idleprocs=0 threads=6 spinningthreads=1 needspinning=0 idlethreads=2 runqueue=0 \
             [ 1 0 0 0 ] schedticks=[ 12 5 7 9 ]"
        );
        line.1.processors.truncate(1);
        line.1.wanted_processors = 1;
        line.1.global_queue_depth = 3;
        assert_eq!(
            line.to_string(),
            "SCHED 1009ms: gomaxprocs=1 idleprocs=0 threads=6 spinningthreads=1 needspinning=0 idlethreads=2 runqueue=3 \
             [ 1 ] schedticks=[ 12 ]"
        );
    }
}
