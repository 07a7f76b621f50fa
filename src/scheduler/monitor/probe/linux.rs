//! Linux and Android.
//!
//! The state is from an open `/proc/self/task/TID/stat` (1.2 µs a reading), the CPU time from the
//! thread's clock (0.2 µs), which is exact. A thread is named by the number of that clock beside its
//! own. Where `/proc` is hidden no thread has a name, nothing is known, and the monitor goes by wall
//! time.

use std::cell::Cell;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::unix::fs::FileExt;

use super::{Duration, State, name};

/// The clock is exact.
pub(crate) const CPU_TIME_STEP: Duration = Duration::ZERO;

/// See [`be_punctual`].
pub(crate) const TIMEOUT_STEP: Duration = Duration::ZERO;

/// No name: a thread's number has 31 bits.
const UNASKED: u64 = u64::MAX;

std::thread_local! {
    static THIS: Cell<u64> = const { Cell::new(UNASKED) };
}

/// A name for the calling thread that a [`Probe`] understands: its number and that of its CPU
/// clock. Zero: none.
pub(crate) fn this_thread() -> u64 {
    named(identify)
}

/// Asks once per thread, also where the answer is that there is no name: a worker asks each
/// time that it is woken.
fn named(identify: impl FnOnce() -> Option<(u32, libc::clockid_t)>) -> u64 {
    match THIS.get() {
        UNASKED => {
            let named = identify().map_or(0, |(thread, clock)| name(thread.into(), clock as u32));
            THIS.set(named);
            named
        }
        known => known,
    }
}

fn identify() -> Option<(u32, libc::clockid_t)> {
    // "PID/task/TID".
    let link = std::fs::read_link("/proc/thread-self").ok()?;
    let thread = link.file_name()?.to_str()?.parse().ok()?;
    let mut clock = MaybeUninit::uninit();
    // SAFETY: the thread is this one, hence alive; `clock` is valid for writes.
    let result = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), clock.as_mut_ptr()) };
    // SAFETY: zero means that it was written.
    (result == 0).then(|| (thread, unsafe { clock.assume_init() }))
}

/// The CPU time that a thread has used. `None`: it has ended, or has no such clock.
pub(crate) fn cpu_time(thread: u64) -> Option<Duration> {
    let clock = thread as u32 as libc::clockid_t;
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    if thread == 0 {
        return None;
    }
    // SAFETY: `time` is valid for writes. The kernel checks the clock: an ended thread's is an
    // error.
    if unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: success means that it was written.
    let time = unsafe { time.assume_init() };
    Some(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Time-outs of the calling thread end when they are due, and not up to 50 µs later as is the
/// kernel's default.
pub(crate) fn be_punctual() {
    let nanoseconds: libc::c_ulong = 1;
    // SAFETY: it takes a number and touches no memory. If it fails, time-outs are as late as
    // any.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanoseconds) };
}

/// Ends the system calls in which threads of this process wait, as far as signals end them.
///
/// The ids of a process belong to its threads in Linux. So the C library, when asked to set
/// them, makes each thread do so by a signal of its own (glibc and musl do, Android's does
/// not), after which a wait for events returns and others go on. -1 leaves an id as it is:
/// nothing changes.
#[cfg(feature = "net")]
pub(crate) fn interrupt_all_waits() {
    let unchanged = libc::gid_t::MAX;
    // SAFETY: it takes numbers and touches no memory. If it is refused, the waits go on.
    unsafe { libc::setresgid(unchanged, unchanged, unchanged) };
}

/// Reads the state of one thread at a time, and keeps that one's file open.
#[derive(Debug, Default)]
pub(crate) struct Probe(Option<(u64, File)>);

impl Probe {
    pub(crate) fn state(&mut self, thread: u64) -> State {
        // Without a name there is no file, and no look for one.
        if thread == 0 {
            return State::Unknown;
        }
        if self.0.as_ref().is_none_or(|(open, _)| *open != thread) {
            let path = format!("/proc/self/task/{}/stat", thread >> 32);
            self.0 = File::open(path).ok().map(|file| (thread, file));
        }
        let Some((_, file)) = &self.0 else {
            return State::Unknown;
        };
        let mut line = [0; 64];
        match file.read_at(&mut line, 0) {
            Ok(length) => parse(&line[..length]),
            Err(_) => State::Unknown,
        }
    }
}

/// `TID (name) STATE ..`: the name is of at most 15 bytes, any of which may be a parenthesis.
fn parse(line: &[u8]) -> State {
    let end = line.iter().rposition(|&byte| byte == b')');
    match end.and_then(|end| line.get(end + 2)) {
        Some(b'R' | b'T' | b't') => State::Running,
        Some(b'S' | b'D') => State::Blocked,
        _ => State::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::thread;

    #[test]
    fn a_name_with_parentheses_does_not_mislead() {
        assert_eq!(parse(b"17 (worker) S 1 2 3"), State::Blocked);
        assert_eq!(parse(b"17 (a) S (b) R 1 2 3"), State::Running);
        assert_eq!(parse(b"17 (worker) D 1 2 3"), State::Blocked);
        assert_eq!(parse(b"17 (worker) T 1 2 3"), State::Running);
        assert_eq!(parse(b"17 (worker) Z 1 2 3"), State::Unknown);
        assert_eq!(parse(b"17 (worker"), State::Unknown);
        assert_eq!(parse(b""), State::Unknown);
    }

    #[test]
    fn a_thread_without_a_name_is_asked_for_it_once() {
        let asked = Cell::new(0);
        let hidden = || {
            asked.set(asked.get() + 1);
            None
        };
        let other = thread::scope(|scope| {
            let other = scope.spawn(|| {
                let asked = Cell::new(0);
                let names = [(); 3].map(|()| {
                    named(|| {
                        asked.set(asked.get() + 1);
                        Some((7, 9))
                    })
                });
                (names, asked.get())
            });
            other.join().expect("it ends")
        });
        assert_eq!(other, ([7 << 32 | 9; 3], 1));
        let before = THIS.replace(UNASKED);
        assert_eq!([named(hidden), named(hidden), named(hidden)], [0; 3]);
        assert_eq!(
            asked.get(),
            1,
            "each wake of a worker would look for it again"
        );
        assert_eq!(Probe::default().state(0), State::Unknown);
        THIS.set(before);
    }
}
