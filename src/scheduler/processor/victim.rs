//! A place that a search looks at, as the search found it: see
//! [`run_queues::steal`](crate::scheduler::run_queues::steal).

#[derive(Clone, Copy, Debug)]
pub(crate) struct Victim {
    /// The place's.
    pub(crate) index: usize,
    /// Of its processor, when the search began.
    pub(crate) tick: u64,
}
