//! What `handoff.rs`, `orphan.rs` and the monitor do, step by step, on the yard.

use super::processor::{Core, Processor};
use super::yard::{Flaw, Yard};
use crate::sync::atomic::Ordering;
use crate::sync::{Hole, with_hole};

impl Yard {
    /// Monitor: takes a processor from its worker. False: it has let go.
    pub(super) fn retake(&self, index: usize) -> Option<&'static Processor> {
        let stuck = self.processors().nth(index)?;
        let tears = self.has(Flaw::RetakeTears).then_some(Hole::TornSwap);
        if !with_hole(tears, || stuck.tenure.retake()) {
            return None;
        }
        let core = self.replace(index);
        self.orphans.unlist(core.at);
        self.look_after(stuck);
        self.pass_on(core);
        Some(stuck)
    }

    /// Monitor: steps 1 and 3 of orphans.
    fn look_after(&self, orphan: &'static Processor) -> bool {
        let leaves = self.has(Flaw::MonitorLeavesSlot);
        let hidden = (!leaves).then(|| orphan.next.steal()).flatten();
        let found = hidden.is_some();
        if let Some(token) = hidden {
            self.global.push(token);
        }
        if orphan.stealer.is_empty()
            || orphan.listed.load(Ordering::Relaxed)
            || self.has(Flaw::MonitorListsNot)
        {
            return found;
        }
        if !self.orphans.list(orphan) {
            self.rob(orphan);
        }
        true
    }

    /// Monitor and janitor: what thieves can reach moves to the global queue.
    pub(super) fn rob(&self, victim: &Processor) {
        let queued = std::iter::from_fn(|| victim.stealer.steal());
        let hidden = victim.next.steal().into_iter();
        hidden
            .chain(queued)
            .for_each(|token| self.global.push(token));
    }

    /// Monitor: a later round, in which it looks at an orphan again.
    pub(super) fn later_round(&self, orphan: &'static Processor) {
        if self.has(Flaw::MonitorLooksOnce) {
            return;
        }
        let mut found = orphan.tenure.is_orphan() && self.look_after(orphan);
        found |= self.tidy();
        if found {
            self.follow(self.after_submit());
        }
        if self.idle.num_lying() > 0 && self.work_is_visible() {
            self.wake_one();
        }
    }

    /// Monitor: step 4 of orphans.
    fn tidy(&self) -> bool {
        if self.has(Flaw::TidyLooksNoMore) {
            self.orphans
                .iter()
                .filter(|at| at.stealer.is_empty())
                .for_each(|at| self.orphans.unlist(at));
            return false;
        }
        let hole = self.has(Flaw::TidyRelaxed).then_some(Hole::Relaxed);
        let found = with_hole(hole, || self.orphans.tidy(|orphan| self.rob(orphan)));
        if !self.orphans.is_empty() {
            self.move_leftovers();
        }
        found
    }

    /// Steps 2 and 3 of handing over.
    pub(super) fn pass_on(&self, core: Box<Core>) {
        self.idle.lay_down(core);
        if self.has(Flaw::HandoverForgetsClosing) && self.is_closed() {
            return;
        }
        let looks = !self.has(Flaw::HandoverLooksNoMore) && !self.has(Flaw::RetakeWakesNobody);
        if looks && (self.work_is_visible() || !self.idle.is_attended()) {
            self.wake_one();
        }
        self.call_janitor_if_closed();
    }

    /// Worker: step 2 of orphans.
    pub(super) fn pushed_astray(&self, core: &Core) {
        core.empty_slot();
        let hole = self.has(Flaw::PusherRelaxed).then_some(Hole::Relaxed);
        let listed =
            self.has(Flaw::PusherListsNot) || with_hole(hole, || self.orphans.list(core.at));
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

    /// Worker: takes a core out of its hands. `None`: it was an orphan, which is brought home.
    pub(super) fn give_up(&self, core: Box<Core>) -> Option<Box<Core>> {
        let tears = self.has(Flaw::EndTears).then_some(Hole::TornSwap);
        if with_hole(tears, || core.at.tenure.end()) || self.has(Flaw::OrphanLaidDown) {
            return Some(core);
        }
        core.empty_slot();
        let moved = if self.has(Flaw::LeftoversForgotten) {
            0
        } else {
            self.move_on(&core)
        };
        self.stock(core);
        if moved != 0 && !self.has(Flaw::HomecomerEndsQuietly) {
            self.follow(self.after_submit());
        }
        None
    }
}
