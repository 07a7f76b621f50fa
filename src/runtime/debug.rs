//! The environment variable `EXECUTOR_DEBUG`: switches for who looks into a running program.
//!
//! `KEY=VALUE[,KEY=VALUE..]`, as Go's `GODEBUG`. Nothing in it changes what a program means, so
//! what cannot be understood is said on standard error and ignored; a program that worked yesterday
//! still starts.
//!
//! | key | values | |
//! |---|---|---|
//! | `stall` | `1` (default), `0` | whether stalls are printed when there is no hook for them: when, and when not, see `Builder::stall_threshold`; and whether much throttling by the kernel is |
//! | `deadlock` | `1` (default in debug builds), `0` (default in others), `panic` | whether a deadlock is looked for, and makes `block_on` panic, where the builder does not say |
//! | `histograms` | `1`, `0` (default) | whether poll times and schedule latencies are measured, where the builder does not say |
//! | `stacks` | a number, `0` (default) | whether each so many-th clone of a task's waker keeps its call stack, for task dumps, where the builder does not say |
//! | `tasks` | `1`, `0` (default) | whether note is kept of each task, for task dumps, where the builder does not say |
//! | `retake` | `1` (default), `0` | whether the monitor takes processors from stuck workers: to measure what it costs and gives |
//! | `topology` | `1` (default), `0` | whether work stays within a cache while it can, on machines with several last-level caches: to measure what that gives |
//! | `schedtrace` | milliseconds, at least 1 | how often each runtime prints the state of its scheduler on standard error; without it never |
//! | `sigquit` | `1`, `0` (default) | whether SIGQUIT prints the tasks of all runtimes, on unix with the feature `stacks` |
//!
//! # The state of the scheduler
//!
//! `schedtrace=1000` prints a line at the beginning and each second, as Go does for the same word
//! in `GODEBUG`:
//!
//! ```text
//! SCHED 1009ms: gomaxprocs=4 idleprocs=0 threads=6 spinningthreads=1 needspinning=0 idlethreads=2 runqueue=0 [ 1 0 0 0 ] schedticks=[ 12 5 7 9 ]
//! ```
//!
//! What each field means is written in `src/observe/schedtrace.rs`. Go's `scheddetail` is not
//! there: `Handle::dump_tasks` says more.

use std::num::NonZeroU32;
use std::time::Duration;

use super::OnDeadlock;
use crate::observe::sigquit;
use crate::stderr;

/// The variable's name.
const VARIABLE: &str = "EXECUTOR_DEBUG";

/// A setting that not every build has.
const SIGQUIT: &str = "sigquit=1";

/// What the variable says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Debugging {
    pub(super) reports_stalls: bool,
    pub(super) retakes: bool,
    pub(super) clusters: bool,
    pub(super) histograms: bool,
    pub(super) on_deadlock: OnDeadlock,
    pub(super) details: bool,
    pub(super) stacks: u32,
    pub(super) schedtrace: Option<Duration>,
    pub(super) sigquit: bool,
}

impl Debugging {
    pub(super) fn from_environment() -> Debugging {
        #[cfg(feature = "sim")]
        if crate::simulated::is_here() {
            let (debugging, _) = parse("stall=0,deadlock=0,topology=0");
            return debugging;
        }
        let value = std::env::var_os(VARIABLE).unwrap_or_default();
        let value = value.to_string_lossy();
        let (debugging, ignored) = parse(&value);
        for setting in ignored {
            let why = match setting {
                SIGQUIT => "is only available on unix, with the feature \"stacks\",",
                _ => "is not understood",
            };
            stderr::say(format_args!("{VARIABLE}: {setting:?} {why} and ignored"));
        }
        debugging
    }
}

/// The settings, and what could not be understood.
fn parse(value: &str) -> (Debugging, Vec<&str>) {
    let mut debugging = Debugging {
        reports_stalls: true,
        retakes: true,
        clusters: true,
        histograms: false,
        on_deadlock: OnDeadlock::default(),
        details: false,
        stacks: 0,
        schedtrace: None,
        sigquit: false,
    };
    let mut ignored = Vec::new();
    for setting in value
        .split(',')
        .map(str::trim)
        .filter(|setting| !setting.is_empty())
    {
        match setting {
            "stall=0" => debugging.reports_stalls = false,
            "stall=1" => debugging.reports_stalls = true,
            "topology=0" => debugging.clusters = false,
            "topology=1" => debugging.clusters = true,
            "retake=0" => debugging.retakes = false,
            "histograms=0" => debugging.histograms = false,
            "histograms=1" => debugging.histograms = true,
            "tasks=0" => debugging.details = false,
            "tasks=1" => debugging.details = true,
            "deadlock=0" => debugging.on_deadlock = OnDeadlock::Ignore,
            "deadlock=1" => debugging.on_deadlock = OnDeadlock::Report,
            "deadlock=panic" => debugging.on_deadlock = OnDeadlock::Panic,
            "sigquit=0" => debugging.sigquit = false,
            SIGQUIT if sigquit::IS_AVAILABLE => debugging.sigquit = true,
            "retake=1" => debugging.retakes = true,
            _ => match (interval(setting), number(setting, "stacks=")) {
                (Some(interval), _) => debugging.schedtrace = Some(interval),
                (None, Some(every)) => debugging.stacks = every,
                (None, None) => ignored.push(setting),
            },
        }
    }
    (debugging, ignored)
}

/// `schedtrace=MILLISECONDS`.
fn interval(setting: &str) -> Option<Duration> {
    let millis = NonZeroU32::new(number(setting, "schedtrace=")?)?;
    Some(Duration::from_millis(u64::from(millis.get())))
}

/// `KEY=NUMBER`.
fn number(setting: &str, key: &str) -> Option<u32> {
    let number = setting.strip_prefix(key)?;
    // Else it might have a sign.
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_changes_nothing_else() {
        let (defaults, ignored) = parse("");
        assert!(defaults.reports_stalls && defaults.retakes && ignored.is_empty());
        let (debugging, ignored) = parse("stall=0, schedtrace=fast,retake=0,,stall");
        assert!(!debugging.reports_stalls && !debugging.retakes && debugging.clusters);
        assert!(!parse("topology=0").0.clusters && parse("topology=0,topology=1").0.clusters);
        assert_eq!(ignored, ["schedtrace=fast", "stall"]);
        assert_eq!(parse("stall=0,stall=1").0, defaults, "the last one counts");
    }

    #[test]
    fn a_setting_that_this_build_does_not_have_is_said() {
        let (debugging, ignored) = parse("sigquit=1");
        assert_eq!(debugging.sigquit, sigquit::IS_AVAILABLE);
        assert_eq!(ignored.is_empty(), sigquit::IS_AVAILABLE);
        assert_eq!(parse("sigquit=1,sigquit=0").0, parse("").0);
        assert_eq!(parse("sigquit=yes").1, ["sigquit=yes"]);
    }

    #[test]
    fn every_so_many_th_stack_is_a_number() {
        for (value, every) in [("stacks=1", 1), ("stacks=64,tasks=1", 64), ("stacks=0", 0)] {
            let (debugging, ignored) = parse(value);
            assert_eq!((debugging.stacks, ignored.len()), (every, 0));
        }
        for wrong in ["stacks", "stacks=", "stacks=-1", "stacks=+1", "stacks=all"] {
            assert_eq!(parse(wrong), (parse("").0, vec![wrong]));
        }
    }

    #[test]
    fn an_interval_is_a_positive_number_of_milliseconds() {
        let (debugging, ignored) = parse("schedtrace=1000");
        assert_eq!(debugging.schedtrace, Some(Duration::from_secs(1)));
        assert!(ignored.is_empty());
        let (debugging, ignored) = parse("schedtrace=7,schedtrace=4294967295");
        let longest = Duration::from_millis(u64::from(u32::MAX));
        assert_eq!(debugging.schedtrace, Some(longest), "the last one counts");
        assert!(ignored.is_empty());
        for wrong in [
            "schedtrace",
            "schedtrace=",
            "schedtrace=0",
            "schedtrace=-1",
            "schedtrace=+1",
            "schedtrace=1 ms",
            "schedtrace=1.5",
            "schedtrace=4294967296",
            "scheddetail=1",
        ] {
            let (debugging, ignored) = parse(wrong);
            assert_eq!((debugging, &*ignored), (parse("").0, &[wrong][..]));
        }
    }
}
