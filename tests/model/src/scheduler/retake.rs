//! What `handoff.rs`, `detached.rs` and the monitor do, step by step, on the model.

use super::model::{Flaw, Model};
use super::processor::{Core, Processor};
use crate::sync::atomic::Ordering;
use crate::sync::{Hole, with_hole};

impl Model {
    /// Monitor: takes a processor from its worker. False: it has let go.
    pub(super) fn retake(&self, index: usize) -> Option<&'static Processor> {
        let stuck = self.processors().nth(index)?;
        let tears = self.has(Flaw::RetakeTears).then_some(Hole::TornSwap);
        if !with_hole(tears, || stuck.ownership.retake()) {
            return None;
        }
        let core = self.replace(index);
        self.detached.unlist(core.processor);
        self.check_detached(stuck);
        self.pass_on(core);
        Some(stuck)
    }

    /// Monitor: steps 1 and 3 of detached processors.
    fn check_detached(&self, detached: &'static Processor) -> bool {
        let leaves = self.has(Flaw::MonitorLeavesSlot);
        let hidden = (!leaves).then(|| detached.next.steal()).flatten();
        let found = hidden.is_some();
        if let Some(token) = hidden {
            self.global.push(token);
        }
        if detached.stealer.is_empty()
            || detached.listed.load(Ordering::Relaxed)
            || self.has(Flaw::MonitorListsNot)
        {
            return found;
        }
        if !self.detached.list(detached) {
            self.drain(detached);
        }
        true
    }

    /// Monitor and shutdown thread: what thieves can reach moves to the global queue.
    pub(super) fn drain(&self, victim: &Processor) {
        let queued = std::iter::from_fn(|| victim.stealer.steal());
        let hidden = victim.next.steal().into_iter();
        hidden
            .chain(queued)
            .for_each(|token| self.global.push(token));
    }

    /// Monitor: a later round, in which it looks at a detached processor again.
    pub(super) fn later_round(&self, detached: &'static Processor) {
        if self.has(Flaw::MonitorLooksOnce) {
            return;
        }
        let mut found = detached.ownership.is_detached() && self.check_detached(detached);
        found |= self.sweep();
        if found {
            self.follow(self.after_submit());
        }
        if self.idle.num_idle() > 0 && self.work_is_visible() {
            self.wake_one();
        }
    }

    /// Monitor: step 4 of detached processors.
    fn sweep(&self) -> bool {
        if self.has(Flaw::TidyLooksNoMore) {
            self.detached
                .iter()
                .filter(|processor| processor.stealer.is_empty())
                .for_each(|processor| self.detached.unlist(processor));
            return false;
        }
        let hole = self.has(Flaw::TidyRelaxed).then_some(Hole::Relaxed);
        let found = with_hole(hole, || {
            self.detached.sweep(|detached| self.drain(detached))
        });
        if !self.detached.is_empty() {
            self.move_leftovers();
        }
        found
    }

    /// Steps 2 and 3 of handing over.
    pub(super) fn pass_on(&self, core: Box<Core>) {
        self.idle.push_idle(core);
        if self.has(Flaw::HandoverForgetsClosing) && self.is_closed() {
            return;
        }
        let looks = !self.has(Flaw::HandoverLooksNoMore) && !self.has(Flaw::RetakeWakesNobody);
        if looks && (self.work_is_visible() || !self.idle.has_driver()) {
            self.wake_one();
        }
        self.notify_shutdown_if_closed();
    }

    /// Worker: step 2 of detached processors.
    pub(super) fn pushed_detached(&self, core: &Core) {
        core.empty_slot();
        let hole = self.has(Flaw::PusherRelaxed).then_some(Hole::Relaxed);
        let listed = self.has(Flaw::PusherListsNot)
            || with_hole(hole, || self.detached.list(core.processor));
        if !listed {
            self.move_on(core);
        }
        self.follow(self.after_submit());
    }

    fn move_on(&self, core: &Core) -> usize {
        std::iter::from_fn(|| core.queue.pop())
            .map(|token| self.global.push(token))
            .count()
    }

    /// Worker: takes a core out of its hands. `None`: it was a detached processor, which is reclaimed.
    pub(super) fn give_up(&self, core: Box<Core>) -> Option<Box<Core>> {
        let tears = self.has(Flaw::EndTears).then_some(Hole::TornSwap);
        if with_hole(tears, || core.processor.ownership.release()) || self.has(Flaw::OrphanLaidDown)
        {
            return Some(core);
        }
        core.empty_slot();
        let moved = if self.has(Flaw::LeftoversForgotten) {
            0
        } else {
            self.move_on(&core)
        };
        self.put_free(core);
        if moved != 0 && !self.has(Flaw::HomecomerEndsQuietly) {
            self.follow(self.after_submit());
        }
        None
    }
}
