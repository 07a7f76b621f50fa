//! What a poller reports.

/// One event of the poller, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// Which source it is for.
    pub(super) key: usize,
    pub(super) read: bool,
    pub(super) write: bool,
    /// A short read does not prove that nothing is left: an end, an error or urgent data may stand behind it.
    pub(super) more: bool,
}

/// From here on keys belong to the poller itself; no source has one of them.
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
pub(super) const RESERVED: usize = usize::MAX - 1;
