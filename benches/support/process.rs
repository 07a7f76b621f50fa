//! What the system says of this process.

use std::time::Duration;

const STATUS: &str = "/proc/self/status";
const KIB: f64 = 1024.0;

/// CPU time of all its threads.
pub(crate) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// CPU time of another process, in seconds; not a number where there is no `/proc`.
pub(crate) fn cpu_seconds_of(process: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in brackets, may contain spaces. After it, the times are the 12th and the 13th.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks = times.map(|ticks| ticks.parse().unwrap_or(f64::NAN));
    let all: Vec<f64> = ticks.collect();
    match all.len() {
        // A tick is 10 ms on all usual systems.
        2 => all.iter().sum::<f64>() / 100.0,
        _ => f64::NAN,
    }
}

/// Its threads; not a number where there is no `/proc`.
pub(crate) fn threads() -> f64 {
    number_of(STATUS, "Threads:")
}

/// Its resident set; not a number where there is no `/proc`.
pub(crate) fn resident_bytes() -> f64 {
    number_of(STATUS, "VmRSS:") * KIB
}

/// Its address space, used or not; not a number where there is no `/proc`.
pub(crate) fn virtual_bytes() -> f64 {
    number_of(STATUS, "VmSize:") * KIB
}

/// What the kernel itself keeps for all processes: stacks of threads, page tables, its own objects.
pub(crate) fn kernel_bytes() -> f64 {
    let kept = ["KernelStack:", "PageTables:", "SUnreclaim:"];
    let sizes = kept.map(|name| number_of("/proc/meminfo", name));
    sizes.iter().sum::<f64>() * KIB
}

/// A number of a file that has a name and a number on each line.
fn number_of(file: &str, name: &str) -> f64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let rest = text.lines().find_map(|line| line.strip_prefix(name));
    let number = rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.unwrap_or(f64::NAN)
}
