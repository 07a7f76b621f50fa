//! What an [`AbortHandle`](super::AbortHandle) and a named task need beyond the task's own
//! allocation.
//!
//! Most tasks have neither and pay nothing. A [`Control`] is made on demand and kept in [`TABLE`],
//! which all runtimes share, under the task's id. `registration::CONTROLLED` in
//! `Meta::registration` says that there is one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::task::Waker;

use super::layout::meta_of;
use super::lift::{self, Changed};
use super::{Id, Meta, Priority};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard};

const SHARDS: usize = 16;

static TABLE: [Mutex<BTreeMap<Id, Arc<Control>>>; SHARDS] =
    [const { Mutex::new(BTreeMap::new()) }; SHARDS];

/// One for each of some ids, so that a request for one task makes few others look.
const COUNTS: usize = 256;

/// Aborts requested through a control whose tasks have not ended yet, and classes that a control
/// keeps for its task, by the task's id. [`Control::abort`] and [`Control::set_priority`] add one,
/// [`Control::finish`] and [`Control::write_class`] subtract it, and [`requests_outstanding`] reads
/// it at the start of a controlled task's poll: while it is zero, the poll need not look into
/// [`TABLE`].
///
/// `Relaxed`: `Control::abort` adds before it wakes the task, and the task's own state in
/// async-task orders that wake before the poll that it causes. A class that a poll does not see is
/// found when the task waits.
static REQUESTS: [AtomicUsize; COUNTS] = [const { AtomicUsize::new(0) }; COUNTS];

/// See [`REQUESTS`].
fn requests(id: Id) -> &'static AtomicUsize {
    &REQUESTS[id.0.get() as usize % COUNTS]
}

/// A copy of [`Ended::keepers`]. [`keep_names`] writes it under the lock of [`ENDED`].
/// [`Control::remove`] reads it without the lock, to skip the lock when no names are kept.
/// `Relaxed`: [`Ended::keep`] asks again under the lock.
static KEEPERS: AtomicUsize = AtomicUsize::new(0);

/// Names of tasks that have ended.
static ENDED: Mutex<Ended> = Mutex::new(Ended::NONE);

const KEPT: usize = 1 << 16;

struct Ended {
    /// Number of recordings that will ask for the names.
    keepers: usize,
    /// The last [`KEPT`] names.
    names: VecDeque<(Id, Arc<str>)>,
}

impl Ended {
    const NONE: Ended = Ended {
        keepers: 0,
        names: VecDeque::new(),
    };

    /// Counts one keeper more or less. Returns the names when no keeper is left, for the caller to
    /// drop outside the lock.
    fn keep_names(&mut self, keep: bool) -> VecDeque<(Id, Arc<str>)> {
        if keep {
            self.keepers += 1;
        } else {
            self.keepers -= 1;
        }
        match self.keepers {
            0 => std::mem::take(&mut self.names),
            _ => VecDeque::new(),
        }
    }

    fn keep(&mut self, id: Id, name: &Arc<str>) {
        if self.keepers == 0 {
            // The last keeper has gone since the caller read `KEEPERS`: nothing would clear this
            // name.
            return;
        }
        if self.names.len() == KEPT {
            self.names.pop_front();
        }
        self.names.push_back((id, name.clone()));
    }
}

/// Starts or stops keeping the names of tasks that end. Each call with `true` needs a later call
/// with `false`.
pub(crate) fn keep_names(keep: bool) {
    let unwanted = {
        let mut ended = ENDED.lock();
        let unwanted = ended.keep_names(keep);
        KEEPERS.store(ended.keepers, Ordering::Relaxed);
        unwanted
    };
    drop(unwanted);
}

/// The names that were kept.
pub(crate) fn ended_names() -> HashMap<Id, Arc<str>> {
    let names = ENDED.lock().names.clone();
    names.into_iter().collect()
}

#[derive(Debug)]
pub(crate) struct Control {
    id: Id,
    name: Option<Arc<str>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    aborted: bool,
    finished: bool,
    /// Set by [`Control::attach`] once the task is registered, or about to be.
    waker: Option<Waker>,
    /// A class for the task, which was not registered when the class was set.
    priority: Option<Priority>,
}

/// Takes every lock of this module, for a fork.
pub(super) fn hold() -> impl Sized + 'static {
    let table: Vec<_> = TABLE.iter().map(Mutex::lock).collect();
    (table, ENDED.lock())
}

fn shard(id: Id) -> &'static Mutex<BTreeMap<Id, Arc<Control>>> {
    &TABLE[id.0.get() as usize % SHARDS]
}

#[inline]
pub(super) fn requests_outstanding(id: Id) -> bool {
    requests(id).load(Ordering::Relaxed) != 0
}

impl Control {
    /// The control of task `id`; makes it if there is none.
    pub(super) fn insert(id: Id, name: Option<Arc<str>>) -> Arc<Control> {
        shard(id)
            .lock()
            .entry(id)
            .or_insert_with(|| {
                Arc::new(Control {
                    id,
                    name,
                    state: Mutex::default(),
                })
            })
            .clone()
    }

    pub(super) fn find(id: Id) -> Option<Arc<Control>> {
        shard(id).lock().get(&id).cloned()
    }

    pub(super) fn remove(id: Id) -> Option<Arc<Control>> {
        let control = shard(id).lock().remove(&id)?;
        if KEEPERS.load(Ordering::Relaxed) != 0 {
            if let Some(name) = &control.name {
                ENDED.lock().keep(id, name);
            }
        }
        Some(control)
    }

    fn requests(&self) -> &'static AtomicUsize {
        requests(self.id)
    }

    pub(crate) fn name(&self) -> Option<Arc<str>> {
        self.name.clone()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.state.lock().finished
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.state.lock().aborted
    }

    pub(super) fn abort(&self) {
        let waker = {
            let mut state = self.state.lock();
            if state.finished || state.aborted {
                return;
            }
            state.aborted = true;
            self.requests().fetch_add(1, Ordering::Relaxed);
            state.waker.clone()
        };
        if let Some(waker) = waker {
            lift::abort(meta_of(&waker));
        }
    }

    /// Gives the task a class: now, if it is registered. Else [`Control::settle`] does that.
    pub(super) fn set_priority(&self, priority: Priority) {
        let mut state = self.state.lock();
        if state.finished {
            return;
        }
        match state.waker.clone() {
            Some(waker) => {
                let meta = meta_of(&waker);
                let changed = self.write_class(state, meta, priority);
                lift::tell(changed, meta);
            }
            None => {
                let before = state.priority.replace(priority);
                if before.is_none() {
                    self.requests().fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Gives this task, which the caller has, a class now.
    pub(super) fn set_priority_of(&self, meta: &Meta, priority: Priority) {
        let changed = self.write_class(self.state.lock(), meta, priority);
        lift::tell(changed, meta);
    }

    /// Gives its task, whose poll calls this, the class that was set before the task was registered.
    /// Called when a poll begins, and when the task has attached its waker.
    pub(super) fn settle(&self, meta: &Meta) {
        let state = self.state.lock();
        if let Some(priority) = state.priority {
            let changed = self.write_class(state, meta, priority);
            lift::tell(changed, meta);
        }
    }

    /// Writes under the lock, so that the class that is set last is the one that stays. One that is
    /// kept is older.
    fn write_class(
        &self,
        mut state: MutexGuard<'_, State>,
        meta: &Meta,
        priority: Priority,
    ) -> Option<Changed> {
        if state.priority.take().is_some() {
            self.requests().fetch_sub(1, Ordering::Relaxed);
        }
        lift::set_own(meta, priority)
    }

    /// Gives the control a waker of its task. `false` if the task was aborted before.
    pub(super) fn attach(&self, waker: Waker) -> bool {
        let mut state = self.state.lock();
        let unused = if state.finished {
            Some(waker)
        } else {
            state.waker.replace(waker)
        };
        let go_on = !state.aborted;
        drop(state);
        drop(unused);
        go_on
    }

    pub(super) fn finish(&self) {
        let mut state = self.state.lock();
        if state.aborted && !state.finished {
            self.requests().fetch_sub(1, Ordering::Relaxed);
        }
        if state.priority.take().is_some() {
            self.requests().fetch_sub(1, Ordering::Relaxed);
        }
        state.finished = true;
        let waker = state.waker.take();
        drop(state);
        drop(waker);
    }
}

/// The name given to task `id`.
pub(super) fn name_of(id: Id) -> Option<Arc<str>> {
    Control::find(id).and_then(|control| control.name())
}

/// The name given to the task that is being polled on this thread, if it has one.
///
/// # Examples
///
/// ```
/// let handle = executor::task::Builder::new()
///     .name("mail")
///     .spawn(async { executor::task::name() });
/// assert_eq!(executor::block_on(handle).unwrap().as_deref(), Some("mail"));
/// ```
pub fn name() -> Option<Arc<str>> {
    super::try_id().and_then(name_of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::registry::Registry;
    use crate::tasks::run;
    use crate::tasks::tests::{ENDED, by_hand, woken};

    #[test]
    fn no_name_is_kept_that_nobody_will_clear() {
        let mut ended = Ended::NONE;
        let keep = |ended: &mut Ended, number| ended.keep(Id::from_number(number), &"name".into());
        assert!(ended.keep_names(true).is_empty());
        keep(&mut ended, 1);
        assert!(ended.keep_names(true).is_empty());
        assert!(ended.keep_names(false).is_empty(), "one keeper is left");
        assert_eq!(ended.keep_names(false).len(), 1);
        // A task saw a keeper in `KEEPERS` before the last one left.
        keep(&mut ended, 2);
        assert!(ended.names.is_empty());
    }

    #[test]
    fn the_last_names_are_kept() {
        let mut ended = Ended::NONE;
        drop(ended.keep_names(true));
        for number in 1..=KEPT as u64 + 10 {
            ended.keep(Id::from_number(number), &"name".into());
        }
        assert_eq!(ended.names.len(), 1 << 16);
        assert_eq!(ended.names[0].0, Id::from_number(11));
    }

    #[test]
    fn a_name_is_kept_while_somebody_wants_it() {
        let id = Id::next();
        keep_names(true);
        Control::insert(id, Some("wanted".into()));
        assert!(Control::remove(id).is_some() && Control::remove(id).is_none());
        assert_eq!(ended_names().get(&id).map(|name| &**name), Some("wanted"));
        keep_names(false);
    }

    fn all_requests() -> usize {
        (REQUESTS.iter())
            .map(|count| count.load(Ordering::SeqCst))
            .sum()
    }

    #[test]
    fn a_task_is_aborted_once_and_aborts_do_not_pile_up() {
        let registry = Registry::lease().unwrap();
        for _ in 0..1000 {
            let (runnable, handle) = by_hand(registry, std::future::pending::<()>());
            let abort = handle.abort_handle();
            let control = Control::find(handle.id()).unwrap();
            run(runnable);
            abort.abort();
            let runnable = woken().expect("it is woken");
            abort.abort();
            assert!(control.is_aborted() && !control.attach(Waker::noop().clone()));
            assert!(woken().is_none());
            assert!(run(runnable).has_ended && abort.is_finished());
            abort.abort();
            control.finish();
            assert!(woken().is_none());
        }
        ENDED.take();
        // Other tests abort tasks, too.
        assert!(all_requests() < 250);
        registry.release();
    }

    #[test]
    fn what_is_asked_of_a_task_that_has_finished_does_not_pile_up() {
        let id = Id::next();
        for _ in 0..1000 {
            let control = Control::insert(id, None);
            control.set_priority(Priority::Background);
            control.set_priority(Priority::Interactive);
            control.finish();
            control.abort();
            control.set_priority(Priority::Background);
            assert!(control.is_finished() && !control.is_aborted());
            Control::remove(id);
        }
        assert!(all_requests() < 250);
    }
}
