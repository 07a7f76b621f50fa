//! macOS, and the other systems of Apple.
//!
//! A thread is named by its Mach port. The C library holds the right to it for as long as the thread
//! lives, and `pthread_mach_thread_np` only tells its name: no right is added, and none is to be given
//! back. One call, `thread_info` with `THREAD_BASIC_INFO`, tells whether the thread waits, and its user
//! and system time in microseconds. What a reading costs was not measured.
//!
//! * *The clock lags.* By the kernel's source (`recount`), the times of another thread are brought up to
//!   date when it enters the kernel or is switched, and at the latest when its quantum of 10 ms ends. So
//!   [`CPU_TIME_STEP`] is that quantum.
//! * *Punctual time-outs* do not exist for an ordinary thread. By the kernel's source
//!   (`tcoal_prio_params_init`) a time-out may end late by an eighth of its length, 1 ms at most; the
//!   best of the tiers that a thread may ask for has the same limits. So a round of the monitor, each
//!   millisecond, may come 0.1 ms late.
//! * *A process that forks*: the thread of the child has the name of its parent's, which is nobody's
//!   there. The reading fails or, if the name was given again, is another thread's.
//!
//! If the kernel does not tell of the calling thread that it runs, which is tried once per process, no
//! thread has a name, nothing is known, and the monitor goes by wall time.
//!
//! Compiled for `aarch64-apple-darwin`, and not run.

use super::{Duration, State, name, number};
use crate::sync::OnceLock;

/// See above.
pub(crate) const CPU_TIME_STEP: Duration = Duration::from_millis(10);

/// Time-outs are late, but go in no steps.
pub(crate) const TIMEOUT_STEP: Duration = Duration::ZERO;

/// The name of the calling thread's port. Zero: none.
pub(crate) fn this_thread() -> u64 {
    static TELLS: OnceLock<bool> = OnceLock::new();
    // SAFETY: the thread is the calling one, hence alive; nothing is written.
    let port = unsafe { libc::pthread_mach_thread_np(libc::pthread_self()) };
    let this = name(port.into(), 0);
    match TELLS.get_or_init(|| Probe.state(this) == State::Running) {
        true => this,
        false => 0,
    }
}

/// The CPU time that a thread has used. `None`: it has ended.
pub(crate) fn cpu_time(thread: u64) -> Option<Duration> {
    let info = ask(thread)?;
    Some(duration(info.user_time) + duration(info.system_time))
}

fn duration(time: libc::time_value_t) -> Duration {
    let part = |part: libc::integer_t| u64::try_from(part).unwrap_or(0);
    Duration::from_secs(part(time.seconds)) + Duration::from_micros(part(time.microseconds))
}

/// `None`: no thread of this process has that port.
fn ask(thread: u64) -> Option<libc::thread_basic_info> {
    let port = libc::mach_port_t::try_from(number(thread)).ok();
    let port = port.filter(|port| *port != 0)?;
    let mut info = libc::thread_basic_info {
        user_time: NO_TIME,
        system_time: NO_TIME,
        cpu_usage: 0,
        policy: 0,
        run_state: 0,
        flags: 0,
        suspend_count: 0,
        sleep_time: 0,
    };
    let mut count = libc::THREAD_BASIC_INFO_COUNT;
    // SAFETY: the kernel writes no more than `count` integers, which is as long as `info` is. It checks
    // the port: the call fails if that is not, or no longer, a thread's.
    let result = unsafe {
        libc::thread_info(
            port,
            libc::THREAD_BASIC_INFO as libc::thread_flavor_t,
            (&raw mut info).cast(),
            &mut count,
        )
    };
    (result == libc::KERN_SUCCESS).then_some(info)
}

const NO_TIME: libc::time_value_t = libc::time_value_t {
    seconds: 0,
    microseconds: 0,
};

/// See above.
pub(crate) fn be_punctual() {}

/// Nothing ends the waits of others.
#[cfg(feature = "net")]
pub(crate) fn interrupt_all_waits() {}

/// Keeps nothing: the port is all that it takes.
#[derive(Debug, Default)]
pub(crate) struct Probe;

impl Probe {
    pub(crate) fn state(&mut self, thread: u64) -> State {
        ask(thread).map_or(State::Unknown, |info| of(info.run_state))
    }
}

fn of(run_state: libc::integer_t) -> State {
    match run_state {
        libc::TH_STATE_RUNNING | libc::TH_STATE_STOPPED => State::Running,
        libc::TH_STATE_WAITING | libc::TH_STATE_UNINTERRUPTIBLE => State::Blocked,
        // `TH_STATE_HALTED`, and whatever may come.
        _ => State::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_what_the_headers_say() {
        assert_eq!([1, 2].map(of), [State::Running; 2]);
        assert_eq!([3, 4].map(of), [State::Blocked; 2]);
        assert_eq!([0, 5, 6].map(of), [State::Unknown; 3]);
        assert_eq!(size_of::<libc::thread_basic_info>(), 40);
        assert_eq!(libc::THREAD_BASIC_INFO_COUNT, 10);
        let time = libc::time_value_t {
            seconds: 2,
            microseconds: 30,
        };
        assert_eq!(duration(time), Duration::from_micros(2_000_030));
    }

    /// A later version of the system that answers no more would go unnoticed.
    #[test]
    fn threads_have_names() {
        assert_ne!(this_thread(), 0);
    }
}
