//! What the rows of faults share: the short form, and whether a wrapper works here.

use std::process::{Command, Stdio};

/// A part of each row, for every change. Set `RELIABILITY_QUICK=1`.
pub(crate) fn quick() -> bool {
    std::env::var_os("RELIABILITY_QUICK").is_some_and(|value| value != "0")
}

/// Whether this program starts behind `wrapper`. If not, that is said: the tool is absent, or may not do it here.
pub(crate) fn allows(row: &str, wrapper: &[&str]) -> bool {
    let [first, rest @ ..] = wrapper else {
        return true;
    };
    let program = std::env::current_exe().expect("own path");
    let status = Command::new(first)
        .args(rest)
        .arg(program)
        .arg("list")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let works = status.as_ref().is_ok_and(|status| status.success());
    if !works {
        let why = match status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        eprintln!("{row}: not measured behind `{}`: {why}", wrapper.join(" "));
    }
    works
}

/// Sets the soft limit of a resource of this process; gives the one before.
pub(crate) fn set_limit(resource: libc::__rlimit_resource_t, soft: u64) -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: plain system calls with a structure of our own.
    unsafe {
        assert_eq!(libc::getrlimit(resource, &mut limit), 0);
        let before = limit.rlim_cur;
        limit.rlim_cur = soft.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(resource, &limit), 0);
        before
    }
}

/// CPU time of this process in seconds, and how often one of its threads slept.
pub(crate) fn cpu_and_sleeps() -> (f64, f64) {
    let mut usage: libc::rusage = unsafe_zeroed();
    // SAFETY: a plain system call with a structure of our own.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) }, 0);
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (
        seconds(usage.ru_utime) + seconds(usage.ru_stime),
        usage.ru_nvcsw as f64,
    )
}

fn unsafe_zeroed() -> libc::rusage {
    // SAFETY: integers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

/// The kernel's monotonic clock, in nanoseconds: the same in all processes, unlike an `Instant`.
pub(crate) fn clock() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a plain system call with a structure of our own.
    assert_eq!(
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) },
        0
    );
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The value below which 99 of 100 lie; sorts.
pub(crate) fn p99(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count => values[(count * 99 / 100).min(count - 1)],
    }
}
