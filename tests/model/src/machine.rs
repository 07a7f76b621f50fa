//! What the machine says: the time, and what a thread does. Here a model says it.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Nanoseconds that have passed in this execution. Plain: no protocol may hang on it.
static PASSED: AtomicU64 = AtomicU64::new(0);

/// When each execution begins.
pub(crate) fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

pub(crate) fn now() -> Instant {
    start() + Duration::from_nanos(PASSED.load(SeqCst))
}

/// A wait has timed out, or something has lasted.
pub(crate) fn advance(time: Duration) {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    PASSED.fetch_add(nanos.min(1 << 50), SeqCst);
}

/// An execution begins. `single`: no runnables move in batches.
pub(crate) fn reset(single: bool) {
    PASSED.store(0, SeqCst);
    affinity::reset();
    SINGLE.store(single, SeqCst);
}

static SINGLE: AtomicBool = AtomicBool::new(false);

/// How many runnables a thief takes at most.
pub(crate) fn batch(size: usize) -> usize {
    match SINGLE.load(SeqCst) {
        true => 1,
        false => size,
    }
}

/// The words of a task's header beside the metadata. That lies first where a checker's atomics make it large.
pub(crate) fn header(meta_offset: usize, meta_size: usize) -> Range<usize> {
    /// State, awaiter and table.
    const WORDS: usize = 4;
    match meta_offset {
        0 => meta_size..meta_size + WORDS * size_of::<usize>(),
        _ => 0..meta_offset,
    }
}

/// Other threads may run before what comes next. Loom would make too much of it.
pub(crate) fn step() {
    #[cfg(executor_shuttle)]
    {
        crate::sync::lazy_static! {
            static ref STEPS: crate::sync::atomic::AtomicUsize =
                crate::sync::atomic::AtomicUsize::new(0);
        }
        STEPS.load(SeqCst);
    }
}

pub(crate) use crate::machine_source::{CpuSet, Topology, pinned};

/// In place of `machine::affinity`: who runs where, for models that want to know.
pub(crate) mod affinity {
    use std::cell::Cell;
    use std::collections::BTreeMap;
    use std::io;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use super::CpuSet;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Thread {
        Current,
        Number(u32),
    }

    /// The masks of threads that were given one. `None`: nobody wants to know.
    static MASKS: Mutex<Option<BTreeMap<u32, Vec<usize>>>> = Mutex::new(None);
    static NUMBERS: AtomicU32 = AtomicU32::new(1);

    crate::sync::thread_locals! {
        static NUMBER: Cell<u32> = Cell::new(0);
    }

    /// From now on, until the execution ends.
    pub(crate) fn track() {
        *MASKS.lock().unwrap() = Some(BTreeMap::new());
        NUMBERS.store(1, SeqCst);
    }

    pub(super) fn reset() {
        *MASKS.lock().unwrap() = None;
    }

    /// The system's number of the calling thread: 1 for all, if nobody wants to know.
    pub(crate) fn this_thread() -> u32 {
        if MASKS.lock().unwrap().is_none() {
            return 1;
        }
        NUMBER.with(|number| {
            if number.get() == 0 {
                number.set(NUMBERS.fetch_add(1, SeqCst));
            }
            number.get()
        })
    }

    /// The mask of the calling thread. `None`: it was given none.
    pub(crate) fn mask() -> Option<Vec<usize>> {
        let number = this_thread();
        MASKS.lock().unwrap().as_ref()?.get(&number).cloned()
    }

    pub(crate) fn pin(thread: Thread, cpus: &CpuSet) -> io::Result<()> {
        let number = match thread {
            Thread::Current => this_thread(),
            Thread::Number(number) => number,
        };
        if let Some(masks) = &mut *MASKS.lock().unwrap() {
            masks.insert(number, cpus.iter().collect());
        }
        Ok(())
    }

    /// Nobody knows.
    pub(crate) fn current_cpu() -> Option<usize> {
        None
    }
}

/// In place of `scheduler::monitor::probe`: each thread that is asked about is blocked, and has used no CPU time. So the
/// monitor takes a processor from whoever is in one poll at two looks.
pub(crate) mod probe {
    use std::time::Duration;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[expect(dead_code, reason = "the monitor knows them")]
    pub(crate) enum State {
        Running,
        Blocked,
        Unknown,
    }

    #[derive(Debug, Default)]
    pub(crate) struct Probe;

    impl Probe {
        pub(crate) fn state(&mut self, _: u64) -> State {
            State::Blocked
        }
    }

    pub(crate) fn this_thread() -> u64 {
        super::affinity::this_thread().into()
    }

    pub(crate) fn number(thread: u64) -> u64 {
        thread
    }

    pub(crate) fn cpu_time(_: u64) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    /// The clock is exact, and no time-out is later than it has to be.
    pub(crate) const CPU_TIME_STEP: Duration = Duration::ZERO;
    pub(crate) const TIMEOUT_STEP: Duration = Duration::ZERO;

    pub(crate) fn park_briefly(time: Duration) {
        crate::sync::thread::park_timeout(time);
    }

    /// Nothing is known.
    pub(crate) fn blocked_in(_: u64) -> Option<std::borrow::Cow<'static, str>> {
        None
    }

    pub(crate) fn be_punctual() {}

    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn interrupt_all_waits() {
        unreachable!("a notification failed");
    }
}
