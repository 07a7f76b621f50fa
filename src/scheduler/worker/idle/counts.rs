//! What [`Idle`](super::Idle) counts, in one word: so one load decides, and one change of several
//! counts is seen as a whole or not at all.

use super::Look;

pub(super) const IDLE: u64 = 1;
pub(super) const SEARCHING: u64 = 1 << 20;
pub(super) const LIVE: u64 = 1 << 40;
/// A million of each: more than a runtime may have.
pub(super) const COUNT: u64 = SEARCHING - 1;
pub(super) const CLOSED: u64 = 1 << 63;

/// A reading of the counts.
#[derive(Clone, Copy)]
pub(super) struct Counts(pub(super) u64);

impl Counts {
    /// Processors whose core is in [`Lists`](super::lists::Lists), retired ones apart.
    pub(super) fn idle(self) -> u64 {
        self.0 & COUNT
    }

    pub(super) fn searching(self) -> u64 {
        (self.0 / SEARCHING) & COUNT
    }

    /// After a change that has left these counts.
    pub(super) fn look(self) -> Look {
        match self.searching() {
            0 => Look::Due,
            _ => Look::Left,
        }
    }

    /// Processors that are not retired.
    pub(super) fn live(self) -> u64 {
        (self.0 / LIVE) & COUNT
    }

    pub(super) fn closed(self) -> bool {
        self.0 & CLOSED != 0
    }
}
