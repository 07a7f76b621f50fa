//! FreeBSD.
//!
//! A thread is named by its number and that of its CPU clock, as on Linux. The state is from
//! `sysctl` with `KERN_PROC_PID | KERN_PROC_INC_THREAD`. The kernel tells of all threads of a process or
//! of none, so a reading copies one `kinfo_proc` (1088 bytes on 64-bit machines) for each thread and
//! takes the lock of the process. Its cost grows with their number; it was not measured.
//!
//! * *The clock lags.* The kernel adds up what a thread has used when it is switched (`mi_switch`), and
//!   reading the clock of another thread adds nothing (`kern_thread_cputime`). A thread that computes on
//!   a CPU of its own is switched when its time slice ends, some 0.1 s by default. One that waits, for
//!   an event or for a CPU, has been switched: its clock is exact. So [`CPU_TIME_STEP`] is a slice, which
//!   is too long for who decides after 10 ms: the monitor takes a processor by wall time, and by the
//!   clock tells those that go on to compute from those that block.
//! * *Time-outs* may be late by `kern.timecounter.alloweddeviation`, 5 % of their length. A thread cannot
//!   ask for better.
//!
//! If the kernel does not tell of the calling thread that it runs, which is tried once per process, no
//! thread has a name, nothing is known, and the monitor goes by wall time.
//!
//! Compiled for `x86_64-unknown-freebsd`, and not run.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use super::{Duration, State, name, number};
use crate::sync::OnceLock;

/// See above.
pub(crate) const CPU_TIME_STEP: Duration = Duration::from_millis(100);

/// Time-outs are late, but go in no steps.
pub(crate) const TIMEOUT_STEP: Duration = Duration::ZERO;

/// No name: a thread's number has 31 bits.
const UNASKED: u64 = u64::MAX;

/// So many threads fit into the first reading.
const FEW: usize = 16;

/// A list that has grown four times as long between two calls, four times in a row, is given up.
const ATTEMPTS: usize = 4;

std::thread_local! {
    static THIS: Cell<u64> = const { Cell::new(UNASKED) };
}

/// A name for the calling thread that a [`Probe`] understands. Zero: none.
pub(crate) fn this_thread() -> u64 {
    static TELLS: OnceLock<bool> = OnceLock::new();
    if THIS.get() == UNASKED {
        let this = identify().unwrap_or(0);
        let tells = TELLS.get_or_init(|| Probe::default().state(this) == State::Running);
        THIS.set(if *tells { this } else { 0 });
    }
    THIS.get()
}

fn identify() -> Option<u64> {
    let mut clock = MaybeUninit::uninit();
    // SAFETY: the thread is this one, hence alive; `clock` is valid for writes.
    let result = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), clock.as_mut_ptr()) };
    // SAFETY: zero means that it was written.
    let clock = (result == 0).then(|| unsafe { clock.assume_init() })?;
    // SAFETY: it takes nothing and touches no memory.
    let thread = unsafe { libc::pthread_getthreadid_np() };
    Some(name(u64::try_from(thread).ok()?, clock as u32))
}

/// The CPU time that a thread has used. `None`: it has ended.
pub(crate) fn cpu_time(thread: u64) -> Option<Duration> {
    let clock = thread as u32 as libc::clockid_t;
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    if thread == 0 {
        return None;
    }
    // SAFETY: `time` is valid for writes. The kernel checks the clock: an ended thread's is an error.
    if unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: success means that it was written.
    let time = unsafe { time.assume_init() };
    Some(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// See above.
pub(crate) fn be_punctual() {}

/// Nothing ends the waits of others.
#[cfg(feature = "net")]
pub(crate) fn interrupt_all_waits() {}

/// Keeps the memory of the last list.
#[derive(Default)]
pub(crate) struct Probe(Vec<libc::kinfo_proc>);

impl Probe {
    pub(crate) fn state(&mut self, thread: u64) -> State {
        match libc::lwpid_t::try_from(number(thread)) {
            Ok(number @ 1..) if self.read() => {
                let found = self.0.iter().find(|other| other.ki_tid == number);
                found.map_or(State::Unknown, |thread| of(thread.ki_stat))
            }
            _ => State::Unknown,
        }
    }

    /// All threads of this process. False: the kernel does not tell.
    fn read(&mut self) -> bool {
        let process = std::process::id() as libc::c_int;
        let what = libc::KERN_PROC_PID | libc::KERN_PROC_INC_THREAD;
        let place = [libc::CTL_KERN, libc::KERN_PROC, what, process];
        let list = &mut self.0;
        list.clear();
        list.reserve(FEW);
        for _ in 0..ATTEMPTS {
            let mut length = list.capacity() * size_of::<libc::kinfo_proc>();
            // SAFETY: the kernel writes no more than `length` bytes, which is as much as the list has
            // room for, and reads as many numbers as it is told that there are.
            let result = unsafe {
                libc::sysctl(
                    place.as_ptr(),
                    place.len() as libc::c_uint,
                    list.as_mut_ptr().cast(),
                    &mut length,
                    ptr::null(),
                    0,
                )
            };
            if result == 0 {
                // SAFETY: so many were written, and any bytes are numbers and pointers.
                unsafe { list.set_len(length / size_of::<libc::kinfo_proc>()) };
                // Of another version, fields might lie elsewhere.
                let size = list.first().map(|first| first.ki_structsize as usize);
                return size == Some(size_of::<libc::kinfo_proc>());
            }
            if io::Error::last_os_error().raw_os_error() != Some(libc::ENOMEM) {
                return false;
            }
            // There are more threads than it has room for.
            list.reserve(4 * list.capacity());
        }
        false
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Probe").field(&self.0.len()).finish()
    }
}

fn of(state: libc::c_char) -> State {
    match state {
        libc::SRUN | libc::SSTOP => State::Running,
        libc::SSLEEP | libc::SLOCK => State::Blocked,
        // `SWAIT`: suspended in a process that is not stopped; `SIDL`, `SZOMB`: it begins or has ended.
        _ => State::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::atomic::{AtomicBool, Ordering};
    use crate::sync::thread;

    #[test]
    fn states_are_what_the_headers_say() {
        assert_eq!([2, 4].map(of), [State::Running; 2]);
        assert_eq!([3, 7].map(of), [State::Blocked; 2]);
        assert_eq!([0, 1, 5, 6].map(of), [State::Unknown; 4]);
    }

    /// A later version of the system that answers no more would go unnoticed.
    #[test]
    fn threads_have_names() {
        assert_ne!(this_thread(), 0);
    }

    #[test]
    fn more_threads_than_fit_are_read() {
        let end = AtomicBool::new(false);
        thread::scope(|scope| {
            let threads: Vec<_> = (0..3 * FEW)
                .map(|_| {
                    scope.spawn(|| {
                        while !end.load(Ordering::Acquire) {
                            thread::park();
                        }
                    })
                })
                .collect();
            let mut probe = Probe::default();
            let state = probe.state(this_thread());
            end.store(true, Ordering::Release);
            threads.iter().for_each(|other| other.thread().unpark());
            assert_eq!(state, State::Running);
            assert!(probe.0.len() > 3 * FEW);
        });
    }
}
