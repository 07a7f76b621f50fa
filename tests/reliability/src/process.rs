//! What this process takes, as the kernel counts it.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) threads: usize,
    pub(crate) descriptors: usize,
    /// Resident bytes. Each thread's allocations come from one of several arenas, each of which keeps the most it ever needed.
    pub(crate) memory: usize,
    /// Bytes that somebody has allocated and not freed, by the allocator's own books.
    pub(crate) allocated: usize,
}

pub(crate) fn usage() -> Usage {
    let status = fs::read_to_string("/proc/self/status").expect("procfs");
    let number = |name: &str| -> usize {
        (status.lines())
            .find_map(|line| {
                line.strip_prefix(name)?
                    .split_whitespace()
                    .next()?
                    .parse()
                    .ok()
            })
            .expect("a number")
    };
    // The folder is read through a descriptor of its own.
    let descriptors = fs::read_dir("/proc/self/fd").expect("procfs").count() - 1;
    Usage {
        threads: number("Threads:"),
        descriptors,
        memory: number("VmRSS:") * 1024,
        allocated: allocated(),
    }
}

#[cfg(target_env = "gnu")]
fn allocated() -> usize {
    // SAFETY: it only reads, under the allocator's locks.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

/// Other allocators do not tell.
#[cfg(not(target_env = "gnu"))]
fn allocated() -> usize {
    0
}

/// Waits until the number of threads stays the same for 50 ms, 5 s at most: threads end after whoever joined them goes on.
pub(crate) fn settle() {
    let until = Instant::now() + Duration::from_secs(5);
    let mut threads = usage().threads;
    let mut same_since = Instant::now();
    while same_since.elapsed() < Duration::from_millis(50) && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
        let now = usage().threads;
        if now != threads {
            (threads, same_since) = (now, Instant::now());
        }
    }
}
