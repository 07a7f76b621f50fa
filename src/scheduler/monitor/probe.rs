//! What the kernel knows of a thread: whether it runs, and for how long it has.
//!
//! Each system has a file of its own, and all have the same interface. Where nothing is known, the
//! monitor goes by wall time. What a blocked thread waits for is told by [`blocked_in`].

#[cfg_attr(
    any(target_os = "linux", target_os = "android"),
    path = "probe/linux.rs"
)]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    path = "probe/wall.rs"
)]
mod imp;
mod system_call;

use std::time::Duration;

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// On a CPU or waiting for one; or stopped, by a signal or a debugger.
    Running,
    /// Waiting for something in the kernel.
    Blocked,
    /// It cannot be told.
    Unknown,
}

/// The system's number of a thread that [`this_thread`] has named. Zero: none.
pub(crate) fn number(thread: u64) -> u64 {
    thread >> 32
}

#[cfg(any(target_os = "linux", target_os = "android", feature = "sim"))]
/// The name of a thread with this number; `clock` is for the system's threads.
const fn name(number: u64, clock: u32) -> u64 {
    number << 32 | clock as u64
}

pub(crate) use imp::be_punctual;
#[cfg(feature = "net")]
pub(crate) use imp::interrupt_all_waits;
#[cfg(not(feature = "sim"))]
pub(crate) use imp::{Probe, cpu_time, this_thread};
pub(crate) use system_call::blocked_in;
#[cfg(feature = "sim")]
pub(crate) use {
    imp::this_thread as this_thread_of_system,
    simulated::{Probe, cpu_time, this_thread},
};

/// Threads of a simulation are known to it.
#[cfg(feature = "sim")]
mod simulated {
    use super::{Duration, State, imp, name, number};
    use crate::simulated::{Activity, World, world_if_any};

    fn activity(world: &World, thread: u64) -> Option<(Activity, Duration)> {
        world.activity(number(thread).checked_sub(1)? as usize)
    }

    pub(crate) fn this_thread() -> u64 {
        match world_if_any() {
            None => imp::this_thread(),
            Some(world) => name(world.current().index() as u64 + 1, 0),
        }
    }

    pub(crate) fn cpu_time(thread: u64) -> Option<Duration> {
        match world_if_any() {
            None => imp::cpu_time(thread),
            Some(world) => activity(&world, thread).map(|(_, computed)| computed),
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Probe(imp::Probe);

    impl Probe {
        pub(crate) fn state(&mut self, thread: u64) -> State {
            match world_if_any() {
                None => self.0.state(thread),
                Some(world) => match activity(&world, thread) {
                    Some((Activity::Running, _)) => State::Running,
                    Some((Activity::Blocked, _)) => State::Blocked,
                    None => State::Unknown,
                },
            }
        }
    }
}
