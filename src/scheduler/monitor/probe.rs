//! What the kernel knows of a thread: whether it runs, and for how long it has.
//!
//! Each system has a file of its own, with one interface:
//!
//! | item | what it is |
//! |---|---|
//! | `this_thread` | a name for the calling thread, that the monitor can ask for: its [`number`], and 32 bits of the system's own; zero where nothing is known of threads |
//! | `cpu_time` | how much CPU time a thread has used; `None`: it has ended, or nothing is known |
//! | `CPU_TIME_STEP` | how far that may lag behind, or be ahead, while the thread runs; zero: it is exact |
//! | `Probe::state` | what a thread is doing |
//! | `be_punctual` | the calling thread's time-outs end when they are due, as far as the system can |
//! | `TIMEOUT_STEP` | how much later they may end all the same, where it is longer than a round of the monitor |
//! | `interrupt_all_waits` | ends the waits of all threads for events, where that is possible |
//!
//! State and CPU time are known together or not at all: with a clock alone, a thread that waits would be
//! taken for one that computes and has to wait for a CPU. Where nothing is known, the monitor goes by
//! wall time. What a blocked thread waits for is told by [`blocked_in`].

#[cfg_attr(
    any(target_os = "linux", target_os = "android"),
    path = "probe/linux.rs"
)]
#[cfg_attr(target_vendor = "apple", path = "probe/macos.rs")]
#[cfg_attr(windows, path = "probe/windows.rs")]
#[cfg_attr(target_os = "freebsd", path = "probe/freebsd.rs")]
#[cfg_attr(
    not(any(
        target_os = "linux",
        target_os = "android",
        target_vendor = "apple",
        windows,
        target_os = "freebsd"
    )),
    path = "probe/wall.rs"
)]
mod imp;
mod system_call;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::sync::thread;

/// What a thread is doing.
#[allow(dead_code, reason = "where nothing is known, it is always one")]
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

/// The name of a thread with this number; `clock` is for the system's threads.
#[allow(dead_code, reason = "where nothing is known, no thread has one")]
const fn name(number: u64, clock: u32) -> u64 {
    number << 32 | clock as u64
}

#[cfg(feature = "net")]
pub(crate) use imp::interrupt_all_waits;
pub(crate) use imp::{CPU_TIME_STEP, TIMEOUT_STEP, be_punctual};
pub(crate) use system_call::blocked_in;
#[cfg(feature = "sim")]
pub(crate) use {
    imp::this_thread as this_thread_of_system,
    simulated::{Probe, cpu_time, park_briefly, this_thread},
};
#[cfg(not(feature = "sim"))]
pub(crate) use {
    imp::{Probe, cpu_time, this_thread},
    park_system as park_briefly,
};

/// Parks the calling thread for `time`, a few milliseconds at most. Where a park would last longer
/// ([`TIMEOUT_STEP`]) it sleeps: who unparks it meanwhile is heard afterwards.
pub(crate) fn park_system(time: Duration) {
    if TIMEOUT_STEP > time {
        thread::sleep(time);
    } else {
        thread::park_timeout(time);
    }
}

/// Threads of a simulation are known to it.
#[cfg(feature = "sim")]
mod simulated {
    use super::{Duration, State, imp, name, number, park_system, thread};
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

    pub(crate) fn park_briefly(time: Duration) {
        match world_if_any() {
            None => park_system(time),
            Some(_) => thread::park_timeout(time),
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
