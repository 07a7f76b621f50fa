//! A worker of the model: the steps of the scheduler's worker, without timers, fairness and batches.

use std::task::Waker;
use std::time::Duration;

use super::model::{Flaw, Model};
use super::processor::Core;
use super::processor::ownership::Answer;
use super::worker::parked_worker::ParkedWorker;
use crate::sync::{Arc, with_hole};
use crate::tasks::Runnable;

struct Worker<'a> {
    model: &'a Model,
    parked_worker: Arc<ParkedWorker<Box<Core>>>,
    core: Option<Box<Core>>,
    searching: bool,
    /// The search was begun by whoever woke this worker.
    woken: bool,
    /// The next wait ends by itself.
    restless: bool,
}

/// The name of a thread does not matter here.
const THREAD: u64 = 1;

/// What a look at the own processor gave.
enum Local {
    Task(Runnable),
    Nothing,
    NoCore,
}

/// Takes a core in hand.
pub(super) fn hold(core: Box<Core>) -> Box<Core> {
    core.processor.ownership.acquire(THREAD);
    core
}

/// Works until the model is closed.
pub(super) fn run(model: &Model, core: Option<Box<Core>>, searching: bool) {
    work(model, core.map(hold), searching);
}

/// [`run`] with a core that is in hand already.
pub(super) fn work(model: &Model, core: Option<Box<Core>>, searching: bool) {
    let mut worker = Worker {
        model,
        parked_worker: Arc::new(ParkedWorker::of_this_thread(model.netpoll.clone())),
        core,
        searching,
        woken: searching,
        restless: model.plan.restless,
    };
    loop {
        let token = match worker.pop_local() {
            Local::Task(token) => Some(token),
            _ if model.is_closed() => break,
            Local::Nothing => worker.find_remote(),
            Local::NoCore => None,
        };
        match token {
            Some(token) => worker.poll(token),
            None if worker.wait() => {}
            None => break,
        }
    }
    if worker.stop_searching() {
        model.idle.end_search();
    }
    if let Some(core) = worker.core.take().and_then(|core| model.give_up(core)) {
        model.retire(core);
    }
}

impl Worker<'_> {
    fn pop_local(&self) -> Local {
        let Some(core) = &self.core else {
            return Local::NoCore;
        };
        if core.processor.ownership.has_request()
            && core.processor.ownership.acknowledge() == Answer::Retaken
        {
            return Local::NoCore;
        }
        core.pop().map_or(Local::Nothing, Local::Task)
    }

    fn find_remote(&mut self) -> Option<Runnable> {
        let found = self.search_remote()?;
        if let Some(core) = &self.core
            && core.processor.ownership.is_retaken()
        {
            self.model.pushed_detached(core);
        }
        Some(found)
    }

    fn search_remote(&mut self) -> Option<Runnable> {
        if let Some(token) = self.model.global.pop() {
            return Some(token);
        }
        self.look_at_network();
        let core = self.core.as_ref()?;
        if !self.searching {
            if !self.model.idle.begin_search(self.model.plan.processors) {
                return None;
            }
            self.searching = true;
        }
        for victim in self.model.processors().chain(self.model.detached.iter()) {
            let stolen = victim.stealer.steal_half(&core.queue);
            if let Some(token) = stolen.or_else(|| victim.next.steal()) {
                return Some(token);
            }
        }
        None
    }

    /// What is woken submits a token from here.
    fn look_at_network(&mut self) {
        let mut ready = Vec::new();
        if self.model.netpoll.has_sources()
            && let Some(mut driver) = self.model.netpoll.try_driver()
        {
            driver.poll(Some(Duration::ZERO), &mut ready);
        }
        self.wake_all(ready);
    }

    fn wake_all(&mut self, ready: Vec<Waker>) {
        if !ready.is_empty() {
            self.finds();
        }
        if self.model.has(Flaw::SeatWakesNobody) {
            return;
        }
        ready.into_iter().for_each(Waker::wake);
    }

    /// A search ends with something.
    fn finds(&mut self) {
        let model = self.model;
        if self.stop_searching() {
            with_hole(model.hole(Flaw::FinderHasNoFence), || {
                model.idle.end_search()
            });
            if !model.has(Flaw::FinderWakesNobody) && model.work_is_visible() {
                model.wake_one();
            }
        }
    }

    fn poll(&mut self, token: Runnable) {
        let model = self.model;
        self.finds();
        if model.is_closed() {
            return model.cancel(token);
        }
        let number = token.metadata().number;
        let last = model.book.ran(token);
        model.finished(last);
        if number < model.plan.parents
            && let Some(core) = &self.core
        {
            let first = model.plan.parents + 2 * number;
            model.submit_on(core, first);
            model.submit_on(core, first + 1);
        }
        if last {
            model.close();
        }
        if number < model.plan.blockers {
            model.wait_ended();
        }
    }

    /// True: go on; false: a spare ends.
    fn wait(&mut self) -> bool {
        let model = self.model;
        let driver = model
            .plan
            .seats
            .then(|| model.netpoll.try_driver())
            .flatten();
        self.parked_worker.set_with_driver(driver.is_some());
        let searching = self.stop_searching();
        let core = self.core.take().and_then(|core| model.give_up(core));
        let is_spare = core.is_none();
        with_hole(model.hole(Flaw::SleeperHasNoFence), || {
            model
                .idle
                .park_worker(core, &self.parked_worker, searching, driver.is_some());
        });
        // A spare has laid no core down, so it is not its part to look again; and it could do nothing without a core.
        let may_work = !is_spare || model.idle.num_idle() > 0;
        let looks = may_work && !model.has(Flaw::SleeperLooksNoMore);
        let found = looks && model.work_is_visible();
        let closed = !model.has(Flaw::SleeperIgnoresClosing) && model.is_closed();
        let waits = !closed && !found;
        let timed_out = waits && std::mem::take(&mut self.restless);
        let mut ready = Vec::new();
        if waits && !timed_out {
            match driver {
                Some(mut driver) => {
                    if !self.parked_worker.has_handed() {
                        driver.poll(None, &mut ready);
                    }
                }
                None => loop {
                    self.parked_worker.park(None);
                    if self.parked_worker.has_handed() || model.is_closed() {
                        break;
                    }
                },
            }
        }
        let goes_on = self.rise(found, timed_out && is_spare && model.plan.spares_end);
        self.wake_all(ready);
        goes_on
    }

    fn rise(&mut self, found: bool, spare_ends: bool) -> bool {
        let idle = &self.model.idle;
        let up = if spare_ends {
            if self.model.has(Flaw::SpareJustEnds) {
                return false;
            }
            idle.leave(&self.parked_worker)
        } else {
            idle.unpark_worker(&self.parked_worker)
        };
        let Some(up) = up else { return !spare_ends };
        self.core = Some(hold(up.core));
        self.searching = up.searching;
        self.woken = up.searching;
        if found && !self.searching && !self.model.has(Flaw::SleeperSearchesNot) {
            // Whoever submitted it may have left it to this worker's search, and the limit must not stop it now.
            self.searching = self.model.idle.begin_search(usize::MAX);
        }
        true
    }

    /// Whether it did. To be followed by what makes it known.
    fn stop_searching(&mut self) -> bool {
        if std::mem::take(&mut self.woken) {
            self.model.book.search_ends();
        }
        std::mem::take(&mut self.searching)
    }
}
