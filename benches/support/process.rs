//! What the system says of this process.

use std::time::Duration;

/// CPU time of all its threads.
pub(crate) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Its threads; not a number where there is no `/proc`.
pub(crate) fn threads() -> f64 {
    status("Threads:")
}

/// Its resident set; not a number where there is no `/proc`.
pub(crate) fn resident_bytes() -> f64 {
    status("VmRSS:") * 1024.0
}

/// A number of `/proc/self/status`.
fn status(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let rest = status.lines().find_map(|line| line.strip_prefix(name));
    let number = rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.unwrap_or(f64::NAN)
}
