//! The environment variable `EXECUTOR_DEBUG`: switches for who looks into a running program.
//!
//! `KEY=VALUE[,KEY=VALUE..]`, as Go's `GODEBUG`. Nothing in it changes what a program means, so what cannot be understood is
//! said on standard error and ignored; a program that worked yesterday still starts.
//!
//! | key | values | |
//! |---|---|---|
//! | `stall` | `1` (default), `0` | whether stalls are printed when there is no hook for them |
//! | `deadlock` | `1` (default), `0`, `panic` | whether a deadlock is looked for, and makes `block_on` panic, where the builder does not say |
//! | `histograms` | `1`, `0` (default) | whether poll times and schedule latencies are measured, where the builder does not say |
//! | `tasks` | `1`, `0` (default) | whether note is kept of each task, for task dumps, where the builder does not say |
//! | `retake` | `1` (default), `0` | whether the monitor takes processors from stuck workers: to measure what it costs and gives |

use std::io::{self, Write};

use super::OnDeadlock;

/// The variable's name.
const VARIABLE: &str = "EXECUTOR_DEBUG";

/// What the variable says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Debugging {
    pub(super) reports_stalls: bool,
    pub(super) retakes: bool,
    pub(super) histograms: bool,
    pub(super) on_deadlock: OnDeadlock,
    pub(super) details: bool,
}

impl Debugging {
    pub(super) fn from_environment() -> Debugging {
        let value = std::env::var_os(VARIABLE).unwrap_or_default();
        let value = value.to_string_lossy();
        let (debugging, ignored) = parse(&value);
        for setting in ignored {
            let _ = writeln!(
                io::stderr(),
                "executor: {VARIABLE}: {setting:?} is not understood and ignored"
            );
        }
        debugging
    }
}

/// The settings, and what could not be understood.
fn parse(value: &str) -> (Debugging, Vec<&str>) {
    let mut debugging = Debugging {
        reports_stalls: true,
        retakes: true,
        histograms: false,
        on_deadlock: OnDeadlock::Report,
        details: false,
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
            "retake=0" => debugging.retakes = false,
            "histograms=0" => debugging.histograms = false,
            "histograms=1" => debugging.histograms = true,
            "tasks=0" => debugging.details = false,
            "tasks=1" => debugging.details = true,
            "deadlock=0" => debugging.on_deadlock = OnDeadlock::Ignore,
            "deadlock=1" => debugging.on_deadlock = OnDeadlock::Report,
            "deadlock=panic" => debugging.on_deadlock = OnDeadlock::Panic,
            "retake=1" => debugging.retakes = true,
            _ => ignored.push(setting),
        }
    }
    (debugging, ignored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_changes_nothing_else() {
        let (defaults, ignored) = parse("");
        assert!(defaults.reports_stalls && defaults.retakes && ignored.is_empty());
        let (debugging, ignored) = parse("stall=0, schedtrace=fast,retake=0,,stall");
        assert!(!debugging.reports_stalls && !debugging.retakes);
        assert_eq!(ignored, ["schedtrace=fast", "stall"]);
        assert_eq!(parse("stall=0,stall=1").0, defaults, "the last one counts");
    }
}
