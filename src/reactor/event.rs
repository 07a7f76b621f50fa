//! What a poller reports.

use super::ready::Ready;

/// One event of the poller, reduced to what the reactor needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// Key of the source that the event belongs to.
    pub(super) key: usize,
    pub(super) read: bool,
    pub(super) write: bool,
    /// A short read does not prove that nothing is left: an end, an error or urgent data may
    /// follow.
    pub(super) more: bool,
    /// The same event for those who ask for flags.
    pub(super) flags: Ready,
}

/// Keys from here on belong to the poller; no source has one of them.
#[cfg_attr(
    any(
        not(any(target_os = "linux", target_os = "android")),
        executor_portable
    ),
    allow(dead_code)
)]
pub(super) const RESERVED: usize = usize::MAX - 1;
