//! The runtime under test conditions: its own scheduler, with virtual time and every choice drawn
//! from a seed.
//!
//! [`Sim::run`] runs a future on a runtime whose threads are simulated. The scheduler is the real
//! one: processors, the next slot, stealing, the monitor that takes processors from polls that
//! block, the pool for blocking jobs, nested [`block_on`](crate::block_on), shutdown. What is
//! replaced is the operating system below it: who runs next, how long a poll takes and when a
//! thread wakes are choices. The same seed gives the same run.
//!
//! [`check`] runs a test under many seeds. When one fails, it shrinks the run to few choices, and
//! says how to repeat it.
//!
//! # What it does not see
//!
//! - Locks, channels and sleeps of `std` that block: the whole simulation waits. Use async ones, or
//!   [`block`], which stands for a call that blocks.
//! - Threads that are not the runtime's, and real I/O: they are not part of the run, so it may not
//!   be repeatable. The same is true of what depends on addresses, on `Instant::now`, or on the order
//!   of a `HashMap`.
//! - The order of memory accesses within a poll: tasks interleave where they await, block or end.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! let sim = executor::sim::Builder::new().seed(7).processors(4).build();
//! let elapsed = sim.run(async {
//!     let start = executor::time::now();
//!     executor::time::sleep(Duration::from_secs(3600)).await;
//!     executor::time::now() - start
//! });
//! assert!(elapsed.unwrap() >= Duration::from_secs(3600));
//! ```

mod cancel;
mod check;
mod environment;
mod failure;
mod locals;
#[cfg(feature = "net")]
pub mod net;
mod panics;
mod run;
mod runtime;
mod shrink;
mod twice;
mod watchdog;

use std::time::Duration;

pub use self::cancel::cancel_sweep;
pub use self::check::check;
use self::failure::Repeat;
pub use self::failure::{Failure, FailureKind};
pub use self::run::{Report, Sim};
use crate::simulated::{self, Limits, Order, Source};

/// The settings of a simulation.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    /// `None`: whoever runs it has a seed.
    source: Option<Source>,
    repeat: Repeat,
    order: Order,
    processors: usize,
    limits: Limits,
    has_slow_polls: bool,
    allows_leftover_tasks: bool,
    allows_task_panics: bool,
}

impl Builder {
    /// Seed 0, two processors, at most a day and ten million steps.
    pub fn new() -> Builder {
        Builder {
            source: None,
            repeat: Repeat::Settings,
            order: Order::Any,
            processors: 2,
            limits: Limits {
                time: Duration::from_secs(24 * 60 * 60),
                steps: 10_000_000,
            },
            has_slow_polls: true,
            allows_leftover_tasks: false,
            allows_task_panics: false,
        }
    }

    /// Where all choices come from. [`check`](Builder::check) and [`explore`](Builder::explore)
    /// begin with this seed.
    pub fn seed(mut self, seed: u64) -> Builder {
        self.source = Some(Source::Seed(seed));
        self
    }

    /// The choices of an earlier run, as [`Failure::choices`] gives them. [`check`](Builder::check)
    /// and [`explore`](Builder::explore) make this one run.
    ///
    /// # Panics
    ///
    /// If the text is not such a list.
    pub fn choices(mut self, choices: &str) -> Builder {
        match choices.parse() {
            Ok(list) => self.source = Some(Source::Replay(list)),
            Err(word) => panic!("{word:?} is no choice of a simulation"),
        }
        self
    }

    /// How many tasks may run in parallel. Default 2.
    ///
    /// # Panics
    ///
    /// If it is zero.
    pub fn processors(mut self, processors: usize) -> Builder {
        assert!(processors > 0, "a simulation needs a processor");
        self.processors = processors;
        self
    }

    /// Threads have random priorities, which change `depth - 1` times in a run. That finds bugs for
    /// which threads must come in a certain order at `depth` points. The algorithm is that of "A
    /// randomized scheduler with probabilistic guarantees of finding bugs" (Burckhardt and others,
    /// 2010), without its guarantee: the length of the run is not known beforehand, so it is drawn
    /// from the seed, and a thread that has run for 64 steps gives way.
    ///
    /// Default: the seed decides between this and several kinds of random walks.
    ///
    /// # Panics
    ///
    /// If `depth` is zero, or greater than 1,000.
    pub fn pct(mut self, depth: u32) -> Builder {
        assert!(
            (1..=1000).contains(&depth),
            "the depth of a bug is between 1 and 1,000"
        );
        self.order = Order::Priorities(depth - 1);
        self
    }

    /// Whether a poll may block or compute for up to 40 ms, as one in 8, 64 or 512 does under three
    /// of four seeds. Default: yes. Without it a poll takes at most 60 µs, but for what it asks for by
    /// [`block`] and [`compute`]: for tests that say how late something may be.
    pub fn slow_polls(mut self, slow: bool) -> Builder {
        self.has_slow_polls = slow;
        self
    }

    /// The virtual time after which a run fails. Default: one day.
    pub fn time_limit(mut self, limit: Duration) -> Builder {
        self.limits.time = limit;
        self
    }

    /// The number of steps after which a run fails. A step is about a poll. Default: ten million.
    pub fn step_limit(mut self, limit: u64) -> Builder {
        self.limits.steps = limit;
        self
    }

    /// Whether tasks may be left when the future has ended, and all that was running has. The clock
    /// does not go on for them: a task that sleeps is left, and so is one that was never told to end.
    /// Default: no, then a run with such tasks fails.
    ///
    /// Those of other runtimes may always be: of [hosts](net::Host), which are switched off then,
    /// and of runtimes that were built in the simulation.
    pub fn allow_leftover_tasks(mut self, allow: bool) -> Builder {
        self.allows_leftover_tasks = allow;
        self
    }

    /// Whether tasks and blocking jobs may end with a panic. Default: no, then a run in which one
    /// does fails, whether or not its handle is awaited. A panic that the program catches is none.
    pub fn allow_task_panics(mut self, allow: bool) -> Builder {
        self.allows_task_panics = allow;
        self
    }

    fn source(&self) -> Source {
        self.source.clone().unwrap_or(Source::Seed(0))
    }

    /// The simulation.
    pub fn build(self) -> Sim {
        Sim::new(self)
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

/// Stands for a call that blocks its thread for this long of virtual time. Outside of a simulation it
/// sleeps.
///
/// So it may be in code that is simulated at times. As with any call that blocks, the processor
/// goes to another thread if others wait for one.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let sim = executor::sim::Builder::new().processors(1).build();
/// sim.run(async {
///     let start = executor::time::now();
///     let stuck = executor::spawn(async { executor::sim::block(Duration::from_secs(5)) });
///     // One processor, and a task that blocks it: others go on all the same.
///     executor::time::sleep(Duration::from_secs(1)).await;
///     assert!(executor::time::now() - start < Duration::from_secs(2));
///     stuck.await.unwrap();
/// })
/// .unwrap();
/// ```
pub fn block(time: Duration) {
    match simulated::world() {
        Some(world) => world.sleep_in_user_code(time, false),
        None => crate::sync::thread::sleep(time),
    }
}

/// Stands for a computation that takes this long of virtual time. Outside of a simulation it returns
/// at once.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let sim = executor::sim::Builder::new().build();
/// let took = sim.run(async {
///     let start = executor::time::now();
///     executor::sim::compute(Duration::from_millis(20));
///     executor::time::now() - start
/// });
/// assert!(took.unwrap() >= Duration::from_millis(20));
/// ```
pub fn compute(time: Duration) {
    if let Some(world) = simulated::world() {
        world.sleep_in_user_code(time, true);
    }
}

/// Other threads may run here, at times for milliseconds. Outside of a simulation it does nothing.
///
/// A poll is one step of a simulation. Where a hand-written data structure has a state between two
/// accesses that another thread could see, this lets the simulation try that. The caller must hold
/// no lock that others wait for.
pub fn interleave() {
    simulated::interleave();
}

/// A number below `n`, drawn as all choices of the simulation are; 0 is what shrinking tries for.
/// Outside of a simulation it is 0.
///
/// # Examples
///
/// ```
/// use executor::sim;
///
/// // Each seed has its own fault to inject.
/// sim::check(10, || async {
///     let fault = sim::choose(3);
///     assert!(fault < 3);
/// });
/// ```
///
/// # Panics
///
/// If `n` is zero.
#[must_use]
pub fn choose(n: u32) -> u32 {
    assert!(n > 0, "there is no number below zero");
    simulated::choose(simulated::Kind::Program, n, 1)
}
