//! The values in the files of a CPU controller: a limit, and what came of it.
//!
//! The kernel describes them in `Documentation/admin-guide/cgroup-v2.rst` (`cpu.max`, `cpu.stat`)
//! and `Documentation/scheduler/sched-bwc.rst` (`cpu.cfs_quota_us`, `cpu.cfs_period_us`,
//! `cpu.stat`).

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// So much CPU time in each period, both in microseconds.
///
/// The order is that of the CPUs they stand for: 50,000 of 100,000 is equal to 10,000 of 20,000.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    time: NonZeroU64,
    period: NonZeroU64,
}

impl Quota {
    /// `None` if there is no limit: `max` in version 2, -1 in version 1.
    ///
    /// A zero is no limit either. The kernel refuses quotas and periods below 1 ms, so a zero comes
    /// from a sandbox that has the files and not the limit, or from an early kernel.
    pub(super) fn new(time: &[u8], period: &[u8]) -> Option<Quota> {
        Some(Quota {
            time: number(time)?.try_into().ok()?,
            period: number(period)?.try_into().ok()?,
        })
    }

    /// The contents of `cpu.max`: `TIME PERIOD`.
    pub(super) fn of_cpu_max(text: &[u8]) -> Option<Quota> {
        let mut words = words(text);
        Quota::new(words.next()?, words.next()?)
    }

    /// Rounded down, and at least 1.
    pub(crate) fn whole_cpus(self) -> usize {
        usize::try_from(self.time.get() / self.period)
            .unwrap_or(usize::MAX)
            .max(1)
    }
}

/// In CPUs, to two digits: `1.5 CPUs`.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus = self.time.get() as f64 / self.period.get() as f64;
        // As many digits as it has, of two.
        write!(f, "{} CPUs", (cpus * 100.0).round() / 100.0)
    }
}

impl Ord for Quota {
    fn cmp(&self, other: &Quota) -> Ordering {
        let scaled =
            |of: &Quota, by: &Quota| u128::from(of.time.get()) * u128::from(by.period.get());
        scaled(self, other).cmp(&scaled(other, self))
    }
}

impl PartialOrd for Quota {
    fn partial_cmp(&self, other: &Quota) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Quota {
    fn eq(&self, other: &Quota) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Quota {}

/// What a quota has done, since the group was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Throttling {
    /// Periods in which the group had something to run.
    pub(crate) periods: u64,
    /// Those of them in which it used up its quota and was stopped.
    pub(crate) throttled: u64,
    /// For how long it was stopped, as a sum over CPUs: two CPUs for 10 ms are 20 ms.
    pub(crate) duration: Duration,
}

impl Throttling {
    /// The contents of `cpu.stat`: lines of `NAME VALUE`. Both versions of cgroups call the counts
    /// alike; the duration is in microseconds in version 2, and in nanoseconds in version 1.
    ///
    /// `None` if one of the three is missing, as in the root group of version 2.
    pub(super) fn parse(text: &[u8]) -> Option<Throttling> {
        let (mut periods, mut throttled, mut duration) = (None, None, None);
        for line in text.split(|&byte| byte == b'\n') {
            let mut words = words(line);
            let (Some(name), Some(value)) = (words.next(), words.next().and_then(number)) else {
                continue;
            };
            match name {
                b"nr_periods" => periods = Some(value),
                b"nr_throttled" => throttled = Some(value),
                b"throttled_usec" => duration = Some(Duration::from_micros(value)),
                b"throttled_time" => duration = Some(Duration::from_nanos(value)),
                _ => {}
            }
        }
        Some(Throttling {
            periods: periods?,
            throttled: throttled?,
            duration: duration?,
        })
    }
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}
