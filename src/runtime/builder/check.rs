//! Whether the settings of a runtime can be used, and what follows from them and the environment.

use std::io;

use super::limits::SPARE_THREADS;
use super::{Builder, wrap_thread};
use crate::machine::{self, Topology};
use crate::observe::journal::MOST_EVENTS;
use crate::observe::{self, CpusReader, CpusSettings, InstrumentSettings, OnStall};
use crate::runtime::Handle;
use crate::runtime::debug::Debugging;
use crate::runtime::foreign::Foreign;
use crate::runtime::usable::{
    at_least, one_thread, room, unusable, usable_workers, workers_of_environment,
};
use crate::scheduler::{Placement, Settings};
use crate::sync::{Arc, HAS_THREADS};

impl Builder {
    /// What is to be started, if it can be.
    pub(in crate::runtime) fn check(self) -> io::Result<(Settings, observe::Settings, Foreign)> {
        let set = match self.worker_threads {
            Some(count) => Some(usable_workers(count, "worker_threads")?),
            None if is_simulated() => Some(workers_around()),
            None => workers_of_environment()?,
        };
        let set = match set {
            Some(2..) if !HAS_THREADS => return Err(one_thread()),
            None if !HAS_THREADS => Some(1),
            set => set,
        };
        let max_worker_threads = room(self.max_worker_threads, set.unwrap_or(1))?;
        let max_threads = match self.max_threads {
            Some(0) => return Err(unusable("max_threads", "must not be zero")),
            Some(count) => at_least(set.unwrap_or(1), count, "max_threads")?,
            // So that no number of processors is refused for want of threads.
            None => max_worker_threads + SPARE_THREADS,
        };
        // The most that the runtime may have without being told to.
        let most = set.unwrap_or(max_worker_threads.min(max_threads));
        let is_followed = !is_simulated() && self.follow_cpu_quota.unwrap_or(set.is_none());
        let mut cpus = CpusReader::new(&self.cpus_source);
        let worker_threads = match is_followed || set.is_none() {
            true => cpus.available().min(most),
            false => most,
        };
        self.check_limits()?;
        if self.stall_threshold.is_zero() {
            return Err(unusable("stall_threshold", "must not be zero"));
        }
        if self.trace_events == 0 {
            return Err(unusable("trace_events", "must not be zero"));
        }
        if self.trace_events > MOST_EVENTS {
            return Err(unusable("trace_events", "must not exceed 16,777,216"));
        }
        if self.thread_stack_size == Some(0) {
            return Err(unusable("thread_stack_size", "must not be zero"));
        }
        if self.thread_name.contains('\0') {
            return Err(unusable("thread_name", "must not contain a NUL byte"));
        }
        let debugging = Debugging::from_environment();
        let foreign = self.foreign.completed()?;
        let settings = Settings {
            worker_threads,
            max_worker_threads,
            max_threads,
            max_blocking_threads: self.max_blocking_threads,
            thread_keep_alive: self.thread_keep_alive,
            has_start_hook: self.on_thread_start.is_some(),
            wrap_thread: wrap_thread(foreign.clone(), self.on_thread_start, self.on_thread_stop),
            park_hooks: self.park_hooks.given(),
            thread_name: self.thread_name,
            name_thread: self.name_thread,
            thread_stack_size: self.thread_stack_size,
            stall_threshold: self.stall_threshold,
            seed: fixed_seed(),
            retakes: debugging.retakes,
            background_limit: self.background_limit,
            placement: Some(placement(self.pin_workers, debugging.clusters)),
        };
        let wanted = observe::Settings {
            on_stall: match self.on_stall {
                Some(hook) => OnStall::Call(Box::new(move |report| hook(report))),
                None if debugging.reports_stalls => OnStall::print(),
                None => OnStall::Ignore,
            },
            on_incident: None,
            on_deadlock: match self.on_deadlock {
                Some(what) if !is_simulated() => what,
                _ => debugging.on_deadlock,
            },
            schedtrace: debugging.schedtrace,
            prints_on_sigquit: debugging.sigquit,
            cpus: CpusSettings {
                reader: cpus,
                followed_up_to: is_followed.then_some(most),
                says_throttling: debugging.reports_stalls,
            },
            instruments: InstrumentSettings {
                histograms: self.histograms.unwrap_or(debugging.histograms),
                details: self.task_details.unwrap_or(debugging.details),
                stacks: self.record_stacks.unwrap_or(debugging.stacks),
                hooks: Arc::new(self.hooks),
                records_flight: false,
                events: self.trace_events,
            },
        };
        Ok((settings, wanted, foreign))
    }
}

/// How many processors a runtime of a simulation has whose builder does not say: as many as the one
/// around it, or else as a simulation.
fn workers_around() -> usize {
    match Handle::try_current() {
        Ok(around) => around.metrics().num_workers(),
        Err(_) => 2,
    }
}

/// A simulation draws what is random itself.
fn fixed_seed() -> Option<u64> {
    is_simulated().then_some(0)
}

/// Whether the runtime belongs to a simulation: then nothing of the machine counts, and whether all
/// are asleep the simulation knows.
fn is_simulated() -> bool {
    #[cfg(feature = "sim")]
    return crate::simulated::is_here();
    #[cfg(not(feature = "sim"))]
    false
}

/// On this machine. `clusters`: caches make a difference.
fn placement(pin_workers: bool, clusters: bool) -> Placement {
    if is_simulated() {
        return Placement::flat();
    }
    // Nobody knows: then all CPUs are alike, and nothing can be pinned.
    let Ok(cpus) = machine::allowed() else {
        return Placement::flat();
    };
    let topology = match clusters {
        true => machine::topology(&cpus),
        false => Arc::new(Topology::new(&[])),
    };
    Placement::new(topology, pin_workers.then_some(cpus))
}
