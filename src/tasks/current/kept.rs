//! What a simulated thread knows about the task that it polls, while another thread runs.

use super::{CURRENT, Current};

pub(crate) struct Kept(Current);

impl Kept {
    pub(crate) const fn new() -> Kept {
        Kept(Current::new())
    }

    pub(crate) fn exchange(&mut self) {
        CURRENT.with(|current| {
            current.meta.swap(&self.0.meta);
            current.purpose.swap(&self.0.purpose);
            current.ids.swap(&self.0.ids);
            current.class.swap(&self.0.class);
            current.class_of.swap(&self.0.class_of);
            current.entered.swap(&self.0.entered);
            current.spawned.swap(&self.0.spawned);
        });
    }
}
