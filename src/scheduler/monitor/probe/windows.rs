//! Windows.
//!
//! A thread is named by its number. `NtQueryInformationThread` with the class
//! `ThreadSystemThreadInformation` tells its state, why it waits, and its kernel and user time, of an
//! open handle. The class is not documented. So it is tried once per process: if the calling thread is
//! not told to be itself and to run, no thread has a name, nothing is known, and the monitor goes by
//! wall time. Windows has the class since version 10; what a reading costs was not measured.
//!
//! * *A stopped thread* (suspended by a debugger, or with its whole process) waits, for a reason of its
//!   own, and is taken for one that runs, as elsewhere.
//! * *The clock goes in steps.* At each clock interrupt, 64 per second, the thread that it finds running
//!   is given the whole 15.6 ms ([`CPU_TIME_STEP`]). A poll of 1 ms may be given 15.6 ms, and one of 15 ms
//!   nothing. `watch` says how the monitor goes by such a clock. (`GetThreadTimes` reads the same clock;
//!   `QueryThreadCycleTime` counts cycles, which are no time.) Over the tens of milliseconds by which
//!   those that compute are told from those that block, the steps even out.
//! * *Time-outs go in the same steps*: those of a park, hence those of a worker that waits for its next
//!   timer. A program may ask the system for finer ones (`timeBeginPeriod`), which costs every process
//!   power; so it is left to the program. A *sleep* of the standard library ends in time by a timer of
//!   high resolution (Windows 10 since 1803), so the monitor, which waits for a millisecond again and
//!   again while anything is busy, sleeps for that long ([`super::park_briefly`]). It does not hear in
//!   that time that it is called. Go's does likewise.
//!
//! Run under Wine 8.0, which does not have the class: what was seen there is the fallback. That the
//! class answers was not seen.

use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Wdk::System::Threading::NtQueryInformationThread;
use windows_sys::Win32::System::Threading::{
    GetCurrentThreadId, OpenThread, THREAD_QUERY_LIMITED_INFORMATION,
};

use super::{Duration, State, name, number};
use crate::sync::OnceLock;

/// See above.
pub(crate) const CPU_TIME_STEP: Duration = Duration::from_micros(15_625);

/// See above.
pub(crate) const TIMEOUT_STEP: Duration = CPU_TIME_STEP;

/// `ThreadSystemThreadInformation`.
const SYSTEM_THREAD_INFORMATION: i32 = 40;

const WORD: usize = size_of::<usize>();

/// Where the fields of `SYSTEM_THREAD_INFORMATION` lie: three times of 8 bytes (kernel, user, creation),
/// a time of 4, then words: the start address, the numbers of process and thread; then numbers of 4:
/// priority, base priority, context switches, state, reason of the wait.
const PROCESS: usize = (3 * 8 + 4_usize).next_multiple_of(WORD) + WORD;
const STATE: usize = PROCESS + 2 * WORD + 3 * 4;
const LENGTH: usize = (STATE + 2 * 4).next_multiple_of(8);

/// What the kernel writes has 8-byte fields.
#[repr(C, align(8))]
struct Answer([u8; LENGTH]);

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    process: u32,
    thread: u32,
    state: State,
    cpu_time: Duration,
}

/// Zero: none.
pub(crate) fn this_thread() -> u64 {
    static TELLS: OnceLock<bool> = OnceLock::new();
    let this = named();
    match TELLS.get_or_init(|| Probe::default().state(this) == State::Running) {
        true => this,
        false => 0,
    }
}

/// Whether the system tells anything of it or not.
fn named() -> u64 {
    // SAFETY: it takes nothing and touches no memory.
    name(unsafe { GetCurrentThreadId() }.into(), 0)
}

/// The CPU time that a thread has used. `None`: it has ended.
pub(crate) fn cpu_time(thread: u64) -> Option<Duration> {
    let told = ask(&open(thread)?, thread)?;
    (told.state != State::Unknown).then_some(told.cpu_time)
}

/// See above.
pub(crate) fn be_punctual() {}

/// Nothing ends the waits of others.
#[cfg(feature = "net")]
pub(crate) fn interrupt_all_waits() {}

/// Reads the state of one thread at a time, and keeps that one's handle open.
#[derive(Debug, Default)]
pub(crate) struct Probe(Option<(u64, OwnedHandle)>);

impl Probe {
    pub(crate) fn state(&mut self, thread: u64) -> State {
        if self.0.as_ref().is_none_or(|(open, _)| *open != thread) {
            self.0 = open(thread).map(|handle| (thread, handle));
        }
        let told = self.0.as_ref();
        let told = told.and_then(|(_, handle)| ask(handle, thread));
        let state = told.map_or(State::Unknown, |told| told.state);
        if state == State::Unknown {
            // Its number may be given again.
            self.0 = None;
        }
        state
    }
}

/// `None`: there is no such thread.
fn open(thread: u64) -> Option<OwnedHandle> {
    let number = u32::try_from(number(thread)).ok().filter(|&it| it != 0)?;
    // SAFETY: it takes numbers and touches no memory.
    let handle = unsafe { OpenThread(THREAD_QUERY_LIMITED_INFORMATION, 0, number) };
    // SAFETY: it was just opened, and nobody else has it.
    (!handle.is_null()).then(|| unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// `None`: the system does not tell, or that number is another process's thread now.
fn ask(handle: &OwnedHandle, thread: u64) -> Option<Told> {
    let mut answer = Answer([0; LENGTH]);
    let mut length = 0;
    // SAFETY: the system writes no more than `LENGTH` bytes, which is as much as there is room for.
    let status = unsafe {
        NtQueryInformationThread(
            handle.as_raw_handle(),
            SYSTEM_THREAD_INFORMATION,
            (&raw mut answer).cast(),
            LENGTH as u32,
            &mut length,
        )
    };
    let is_whole = status >= 0 && length as usize == LENGTH;
    let told = is_whole.then(|| parse(&answer.0))?;
    let is_it = told.process == std::process::id() && u64::from(told.thread) == number(thread);
    is_it.then_some(told)
}

fn parse(answer: &[u8; LENGTH]) -> Told {
    let part = |at: usize| {
        let bytes = answer[at..at + 4].iter().rev();
        bytes.fold(0_u32, |number, &byte| number << 8 | u32::from(byte))
    };
    // In 100 ns.
    let time = |at: usize| u64::from(part(at + 4)) << 32 | u64::from(part(at));
    Told {
        process: part(PROCESS),
        thread: part(PROCESS + WORD),
        state: of(part(STATE), part(STATE + 4)),
        cpu_time: Duration::from_nanos(time(0).saturating_add(time(8)).saturating_mul(100)),
    }
}

/// `KTHREAD_STATE` and `KWAIT_REASON`.
fn of(state: u32, reason: u32) -> State {
    match (state, reason) {
        // Ready, running, standby (next on a CPU), its stack is being read in, ready in a moment.
        (1 | 2 | 3 | 6 | 7, _) => State::Running,
        // Suspended, alone or with its process; or its process is swapped out.
        (5, 5 | 12) | (9, _) => State::Running,
        (5, _) => State::Blocked,
        // It begins (0), has ended (4), or has a state that is not known here.
        _ => State::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the headers of the system's own tools have the structure, on 64-bit machines.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn an_answer_is_read_field_by_field() {
        let mut answer = [0xEE_u8; LENGTH];
        assert_eq!((LENGTH, PROCESS, STATE), (80, 40, 68));
        let mut put = |at: usize, bytes: &[u8]| answer[at..][..bytes.len()].copy_from_slice(bytes);
        put(0, &156_250_u64.to_le_bytes());
        put(8, &(1_u64 << 33).to_le_bytes());
        put(40, &4_321_u64.to_le_bytes());
        put(48, &8_765_u64.to_le_bytes());
        put(68, &5_u32.to_le_bytes());
        put(72, &6_u32.to_le_bytes());
        let told = Told {
            process: 4_321,
            thread: 8_765,
            state: State::Blocked,
            cpu_time: Duration::from_nanos(100 * (156_250 + (1 << 33))),
        };
        assert_eq!(parse(&answer), told);
        answer[68] = 2;
        assert_eq!(parse(&answer).state, State::Running);
        answer = [0xFF; LENGTH];
        assert_eq!(parse(&answer).state, State::Unknown);
    }

    #[cfg(target_pointer_width = "32")]
    #[test]
    fn the_fields_lie_closer_where_words_are_short() {
        assert_eq!((LENGTH, PROCESS, STATE), (64, 32, 52));
    }

    #[test]
    fn a_suspended_thread_is_no_blocked_one() {
        assert_eq!([5, 12].map(|reason| of(5, reason)), [State::Running; 2]);
        assert_eq!(
            [0, 4, 6, 15].map(|reason| of(5, reason)),
            [State::Blocked; 4]
        );
        assert_eq!(
            [1, 2, 3, 6, 7, 9].map(|state| of(state, 5)),
            [State::Running; 6]
        );
        assert_eq!([0, 4, 8, 10].map(|state| of(state, 0)), [State::Unknown; 4]);
    }

    #[test]
    fn threads_have_names_or_nothing_is_known() {
        let handle = open(named()).expect("a thread can open itself");
        let told = ask(&handle, named());
        assert_eq!(this_thread() != 0, told.is_some(), "{told:?}");
    }
}
