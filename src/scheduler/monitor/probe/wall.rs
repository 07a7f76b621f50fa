//! Any other system: no thread has a name, nothing is known, and the monitor goes by wall time.

use super::{Duration, State};

/// There is no clock.
pub(crate) const CPU_TIME_STEP: Duration = Duration::ZERO;

/// Nobody knows.
pub(crate) const TIMEOUT_STEP: Duration = Duration::ZERO;

pub(crate) fn this_thread() -> u64 {
    0
}

pub(crate) fn be_punctual() {}

#[cfg(feature = "net")]
pub(crate) fn interrupt_all_waits() {}

pub(crate) fn cpu_time(_: u64) -> Option<Duration> {
    None
}

#[derive(Debug, Default)]
pub(crate) struct Probe;

impl Probe {
    pub(crate) fn state(&mut self, _: u64) -> State {
        State::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known() {
        assert_eq!((this_thread(), cpu_time(0)), (0, None));
        assert_eq!(Probe.state(0), State::Unknown);
    }
}
