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

    /// The name of a thread does not matter here.
    pub(crate) fn this_thread() -> u64 {
        1
    }

    pub(crate) fn number(thread: u64) -> u64 {
        thread
    }

    pub(crate) fn cpu_time(_: u64) -> Option<Duration> {
        Some(Duration::ZERO)
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
