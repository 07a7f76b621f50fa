//! The rows of the scorecard, one file each: what is measured in a process of its own, and what is made of it.

mod blocked_workers;
mod clock;
mod conservation;
mod day;
mod descriptors;
mod idle;
mod memory;
mod panics;
mod soak;
mod start_stop;
mod starvation;
mod stops;
mod syscalls;
mod threads;

use crate::child::Child;
use crate::runtimes::{Gosched, Runtime};
#[cfg(feature = "peers")]
use crate::runtimes::{Smol, Tokio};
use crate::tools::quick;

/// The contestants, ours first.
#[cfg(feature = "peers")]
pub(crate) const RUNTIMES: [&str; 3] = [Gosched::NAME, Tokio::NAME, Smol::NAME];
#[cfg(not(feature = "peers"))]
pub(crate) const RUNTIMES: [&str; 1] = [Gosched::NAME];

pub(crate) static ROWS: &[Row] = &[
    soak::ROW,
    conservation::ROW,
    starvation::ROW,
    blocked_workers::ROW,
    panics::ROW,
    start_stop::ROW,
    threads::ROW,
    memory::ROW,
    descriptors::ROW,
    syscalls::ROW,
    stops::ROW,
    clock::ROW,
    idle::ROW,
    day::ROW,
];

/// Too long for a run of all rows: only when named.
const LONG: &[&str] = &["day"];

impl Row {
    pub(crate) fn is_long(&self) -> bool {
        LONG.contains(&self.name)
    }
}

/// Takes arguments, gives what a child process prints.
pub(crate) type Scenario = fn(&[String]) -> Vec<f64>;

pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What is done, for someone who reads the scorecard alone.
    pub(crate) what: &'static str,
    pub(crate) figures: &'static [Figure],
    /// Runs the scenario in this process, by contestant, and gives what [`Row::measure`] reads.
    pub(crate) scenario: [Scenario; RUNTIMES.len()],
    /// Runs the child as often and under whatever it needs, and gives the figures, in their order.
    pub(crate) measure: fn(&Child) -> Vec<f64>,
}

pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// What ours must not exceed on a machine that does nothing else.
    pub(crate) at_most: Option<f64>,
}

impl Figure {
    /// What this run must not exceed. Limits are for a machine that does nothing else. The short form runs beside anything, on
    /// machines that share their CPUs: things may take 20 times as long, and what does not happen at all is seen still; and
    /// a host that holds a CPU up in the middle of a poll is told by nobody from a task that does, so a line or two may say so.
    pub(crate) fn limit(&self) -> Option<f64> {
        self.at_most.map(|limit| match self.unit {
            "ms" if quick() => 20.0 * limit,
            "lines" if quick() => limit + 2.0,
            _ => limit,
        })
    }
}

/// Something did not happen within the time given to it.
pub(crate) const NEVER: f64 = f64::INFINITY;
/// It does not apply to this runtime, or could not be measured here.
pub(crate) const NONE: f64 = f64::NAN;

/// The instances of a generic scenario, one for each contestant.
macro_rules! scenario {
    ($scenario:ident) => {
        [
            $scenario::<crate::runtimes::Gosched>,
            #[cfg(feature = "peers")]
            $scenario::<crate::runtimes::Tokio>,
            #[cfg(feature = "peers")]
            $scenario::<crate::runtimes::Smol>,
        ]
    };
}
use scenario;

pub(crate) fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}
