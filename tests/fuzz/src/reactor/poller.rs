//! In the place of the poller.

use std::cell::{Cell, RefCell};
use std::io;

#[derive(Default)]
pub(super) struct Poller {
    /// Key and directions of each call.
    pub(super) asked: RefCell<Vec<(usize, bool, bool)>>,
    pub(super) refuses: Cell<bool>,
}

impl Poller {
    pub(super) fn in_forked_child(&self) -> bool {
        false
    }

    pub(super) fn rearm(&self, key: usize, read: bool, write: bool) -> io::Result<()> {
        self.asked.borrow_mut().push((key, read, write));
        if self.refuses.get() {
            return Err(io::Error::other("refused"));
        }
        Ok(())
    }
}
