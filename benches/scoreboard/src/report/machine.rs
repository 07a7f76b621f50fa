//! When, where and with what it was measured.

use std::process::Command;

use crate::contest::Contest;
use crate::runtimes::go;
use crate::support::workers;

pub(crate) fn describe(contest: &Contest) -> String {
    describe_with(&workers().to_string(), contest.rounds)
}

pub(crate) fn describe_with(workers: &str, rounds: usize) -> String {
    format!(
        "{}; tokio {}, smol {} (async-executor {}), {}.\n",
        setting(workers, rounds),
        locked("tokio"),
        locked("smol"),
        locked("async-executor"),
        go::version().unwrap_or("no Go".to_owned()),
    )
}

/// Without the peers.
pub(crate) fn setting(workers: &str, rounds: usize) -> String {
    let cpus = std::thread::available_parallelism().map_or(0, |cpus| cpus.get());
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1))
        .unwrap_or("CPU of unknown kind");
    format!(
        "{}: {workers} workers each, medians of {rounds} interleaved rounds, each measurement in a process of its own. {} on {cpus} x {model}; {}",
        first_line("date", &["-u", "+%Y-%m-%d"]),
        first_line("uname", &["-srm"]),
        first_line("rustc", &["--version"]),
    )
}

fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map_or(Vec::new(), |output| output.stdout);
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or("unknown").to_owned()
}

/// The version of a package that this was built with.
pub(crate) fn locked(package: &str) -> &'static str {
    const LOCK: &str = include_str!("../../Cargo.lock");
    let name = format!("name = \"{package}\"\nversion = \"");
    let rest = LOCK.split_once(name.as_str()).map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split('"').next()).unwrap_or("?")
}
