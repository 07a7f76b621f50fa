//! What the modules of this crate keep for a simulated thread, while another one runs.

use crate::observe::hooks;
use crate::observe::journal;
use crate::runtime::{context, local_set};
use crate::scheduler::lifecycle::wait_cycle;
use crate::scheduler::this_thread;
use crate::simulated::Locals;
use crate::{clock, tasks};

pub(super) struct Kept {
    clock: clock::Kept,
    context: context::Kept,
    hooks: hooks::Kept,
    local_set: local_set::Kept,
    tasks: tasks::kept::Kept,
    this_thread: this_thread::Kept,
    wait_cycle: wait_cycle::Kept,
}

/// Of a thread that has not begun yet.
pub(super) fn new(index: usize) -> Box<dyn Locals> {
    Box::new(Kept {
        clock: clock::Kept::new(),
        context: context::Kept::default(),
        hooks: hooks::Kept::default(),
        local_set: local_set::Kept::default(),
        tasks: tasks::kept::Kept::new(index as u64 + 1),
        this_thread: this_thread::Kept::default(),
        wait_cycle: wait_cycle::Kept::default(),
    })
}

impl Locals for Kept {
    fn exchange(&mut self) {
        self.clock.exchange();
        self.context.exchange();
        self.hooks.exchange();
        self.local_set.exchange();
        self.tasks.exchange();
        self.this_thread.exchange();
        self.wait_cycle.exchange();
        journal::forget_last();
    }
}
