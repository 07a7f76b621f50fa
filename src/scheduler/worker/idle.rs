//! Which processors are idle and which workers wait, and the protocols that keep work from being
//! forgotten.
//!
//! # States
//!
//! | worker | holds a core | counted in `counts` | listed |
//! |---|---|---|---|
//! | running: polls tasks | yes | no | no |
//! | searching: has no task, looks at the others' queues | yes, or it was handed one and is on its way | as searching | no |
//! | parked: on its own thread's token | no | no | in [`lists`], paired with the core that it had, if that is idle still |
//! | waiting with the driver: in the netpoller | no | no | in [`lists`], as the one with the driver |
//! | spare: runs without a core, or blocks; it parks as any other | no | no | no |
//!
//! | processor | its core is |
//! |---|---|
//! | held | with a worker |
//! | idle | in [`lists`], and counted in `counts` as idle |
//! | handed over | with a parked worker that was just woken (`ParkedWorker::handed`), or with a thread that is being started |
//! | retired | in [`lists`], to be given to nobody, and counted nowhere: there are more than the runtime wants at present ([`resize`](crate::scheduler::lifecycle::resize)) |
//!
//! Which core and which worker come together is the affair of [`lists`]: the two that were together
//! before, if it can be.
//!
//! # Protocol
//!
//! Submitting (`Shared::follow_push` after a push that asks for `WakeOne`,
//! `Shared::wake_for_shared_queue`, `Shared::wake_for_batch`):
//!
//! 1. Push the runnable into a queue.
//! 2. StoreLoad fence ([`Idle::after_submit`]).
//! 3. Read `counts`. Somebody searches: leave it to them. Nobody does, and a processor is idle:
//!    [`Idle::claim`] takes one core and one worker. The claim counts the woken worker as searching
//!    *before* it wakes, so a hundred submissions wake one worker and not a hundred.
//!
//! Parking (`Worker::wait`):
//!
//! 1. Under the lock of `lists`: put the core among the idle ones and the worker into its list, and
//!    with one change of `counts` count the processor as idle and the worker no more as searching
//!    ([`Idle::park_worker`]). One change, since [`Idle::is_settled`] must not see one without the
//!    other.
//! 2. StoreLoad fence.
//! 3. If the change of step 1 has left nobody who searches ([`Look::Due`]): look at every queue that
//!    may have something (`RunQueues::has_visible_work`). Something there:
//!    [`Idle::unpark_worker`], and count as searching again, whatever the limit: a submitter may
//!    have left that work to this worker's search.
//! 4. Else wait.
//!
//! Ending a search (`Worker::stop_searching`):
//!
//! 1. Stop being counted as searching ([`Idle::end_search`]).
//! 2. StoreLoad fence.
//! 3. If nobody searches any more: look at every queue that may have something. Something there:
//!    wake the next (`Shared::wake_one`). So wake-ups ramp up in a chain, one waking the next, as
//!    long as there is work for the next.
//!
//! Giving a processor up (`Shared::pass_on`, after [`Idle::push_idle`]) is the same as parking, but
//! that the thread wakes another one for what it finds.
//!
//! # Why no submitted runnable is forgotten: a sketch
//!
//! *Claim.* When a runnable was submitted by steps 1 to 3, and is still where it was pushed, and a
//! processor is idle, then a worker searches or is on its way to, or one that parks or ends its
//! search has its look still before it.
//!
//! Name the events: *Push*, *PushFence*, *ReadCounts* of the submitter; *Change* (of `counts`, by
//! `park_worker`, `push_idle` or `end_search`), *ChangeFence*, *Look* of another thread. Both
//! fences are sequentially consistent.
//!
//! A *Change* is **later** than *ReadCounts* if it comes after the value that was read, in the
//! order in which `counts` changes. For a later *Change*, *PushFence* comes before *ChangeFence*:
//! were it the other way round, *ReadCounts* would have seen that *Change*. So its *Look*, if it has
//! one, sees *Push*.
//!
//! * *ReadCounts* sees no idle processor. Then a processor that becomes idle does so by a later
//!   *Change*.
//! * It sees an idle processor and nobody who searches: the submitter claims.
//! * It sees a searcher, and leaves. That searcher's *Change* is later.
//!
//! *Who looks.* A later *Change* has its *Look* if it leaves nobody who searches. If it leaves
//! somebody, that one's own *Change* is later still, and so on, until one leaves nobody: *the last
//! searcher looks for all of them.* What it sees, and has no processor for, it leaves to those who
//! have them: it wakes somebody if one is idle; and one that becomes idle after its *Change* does so
//! by a *Change* that finds nobody searching, and has its own *Look*. Idle and searching are counted
//! in one word, so there is no moment between the two.
//!
//! The failure without the fences: the submitter pushes, sees a searcher, and leaves; the searcher
//! has looked at that queue already, sees nothing, and sleeps. With them, it is not enough either
//! that who has searched looks: a worker that has not, and lets go of its processor, may be the one
//! that *ReadCounts* has seen busy. Go had that fault (golang/go#43997), and lets each worker that
//! releases a processor look again since then. Here such a worker looks unless somebody searches,
//! who does it later. One that had no core need not: each idle core was put there by somebody who
//! looks, or leaves that to a searcher.
//!
//! *A claim that finds no core.* `claim` and `claim_another` count the search first and take the
//! core afterwards, under the lock of `lists`. If none is there by then, they take the count
//! back under the same lock, and do not look. Who left its work, or its *Look*, to that count is
//! covered: no processor is idle, and the next one that becomes so is put there under the same lock,
//! hence after the count was taken back, by a thread that looks or leaves that to a later one.
//!
//! *A claim beside a worker that resumes by itself.* Both take the lock of `lists`. If the claim is
//! first, the worker finds what it was handed before it looks for any core ([`Idle::unpark_worker`]),
//! and the unpark that is on its way finds it up. If the worker is first, the claim finds another
//! pair, or none. In the other order a worker could hold one core and keep a second for ever.
//!
//! # What is left to the monitor
//!
//! Its round, each millisecond or after a doze of 9, wakes a worker if a processor is idle beside
//! visible work:
//!
//! * pushes that wake nobody by design: a yield, a batch too short to be worth a wake;
//! * runnables that a worker moves from one queue to another while somebody looks at one after the
//!   other: a batch of the global queue, what a stuck worker has queued, what is left of one;
//! * a core for which no thread could be started ([`Idle::unclaim`]), and a worker that ends by a
//!   panic: what others have left to their search.
//!
//! The lists are behind a lock: whoever takes it is to pay 12 µs for a wake-up, or has nothing to do.

use crossbeam_utils::CachePadded;

use self::counts::{CLOSED, COUNT, Counts, IDLE, LIVE, SEARCHING};
use self::lists::Lists;
use crate::scheduler::worker::parked_worker::ParkedWorker;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use crate::sync::{Arc, Mutex};

mod counts;
mod lists;
mod readings;
#[cfg(test)]
mod tests;

/// A core, which knows its processor's index. From `Idle::wanted` on, it retires.
pub(crate) trait Indexed {
    fn index(&self) -> usize;

    /// The cluster in which it was held last.
    fn cluster(&self) -> usize {
        0
    }

    /// It is about to be idle no more: step 1 of
    /// [`marks`](crate::scheduler::run_queues::marks).
    fn begins_work(&self) {}

    /// It is about to be idle, or to retire: step 2.
    fn ends_work(&self) {}
}

/// See the module's documentation. `C` is the core; models use a number.
#[derive(Debug)]
pub(crate) struct Idle<C> {
    /// Read by every submission; written when a worker parks, unparks, begins or ends a search. The
    /// numbers of idle and of live processors change under the lock only.
    counts: CachePadded<AtomicU64>,
    /// How many processors are wanted: cores with an index from there on retire. Written under the
    /// lock of `lists`, together with them. Read under it, or as [`Idle::num_wanted`] says.
    wanted: AtomicUsize,
    lists: Mutex<Lists<C>>,
}

/// What [`Idle::after_submit`] asks the submitter to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Nothing,
    /// Call [`Idle::claim`] and wake what it gives.
    Wake,
    /// The runtime is closed: somebody must take the runnable out again and cancel it.
    Drain,
}

/// Whether a thread that has made a processor idle, or has ended its search, looks at the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It does: nobody searches any more.
    Due,
    /// Somebody searches, and will look after this.
    Left,
}

/// A processor put to work by [`Idle::claim`]; its worker counts as searching from now on.
#[derive(Debug)]
pub(crate) enum Claim<C> {
    /// The core was handed to this worker: unpark it.
    Worker(Arc<ParkedWorker<C>>),
    /// No worker is free: start a thread for this core, or give it back with [`Idle::unclaim`].
    Thread(C),
}

/// A worker that waits no more.
#[derive(Debug)]
pub(crate) struct Resumed<C> {
    pub(crate) core: C,
    /// It was woken to search and is counted so.
    pub(crate) searching: bool,
}

impl<C: Indexed> Idle<C> {
    /// For so many processors, whose cores [`Idle::add`] brings, in so many clusters.
    pub(crate) fn new(wanted: usize, clusters: usize) -> Idle<C> {
        Idle {
            counts: CachePadded::new(AtomicU64::new(0)),
            wanted: AtomicUsize::new(wanted),
            lists: Mutex::new(Lists::new(clusters)),
        }
    }

    fn counts(&self) -> Counts {
        // Relaxed: the fences of the protocols order it where order matters; elsewhere it is a
        // hint.
        Counts(self.counts.load(Ordering::Relaxed))
    }

    /// Steps 2 and 3 of submitting.
    #[inline]
    pub(crate) fn after_submit(&self) -> Next {
        // Pairs with the fence in `park_worker` and in `end_search`.
        fence(Ordering::SeqCst);
        let counts = self.counts();
        if counts.0 & (CLOSED | COUNT) == 0 || counts.searching() != 0 && !counts.closed() {
            Next::Nothing
        } else if counts.closed() {
            Next::Drain
        } else {
            Next::Wake
        }
    }

    /// Puts one idle processor and one worker together, unless somebody searches already or there
    /// is none. `near`: the cluster from which the worker should be, if it can be.
    pub(crate) fn claim(&self, near: usize) -> Option<Claim<C>> {
        // Acquire when it fails: who finds `CLOSED` here asks `Shared::is_closed` next, and must
        // find that, too. Pairs with `close`.
        self.counts
            .fetch_update(Ordering::SeqCst, Ordering::Acquire, |word| {
                let counts = Counts(word);
                (counts.searching() == 0 && counts.idle() != 0 && !counts.closed())
                    .then_some(word + SEARCHING)
            })
            .ok()?;
        self.hand_out(near)
    }

    /// [`Idle::claim`] although others search: for a batch that can feed several.
    pub(crate) fn claim_another(&self, near: usize) -> Option<Claim<C>> {
        self.counts.fetch_add(SEARCHING, Ordering::SeqCst);
        self.hand_out(near)
    }

    /// The second half of a claim, which counts as a search already.
    fn hand_out(&self, near: usize) -> Option<Claim<C>> {
        let mut lists = self.lists.lock();
        let Some((core, worker)) = self.taken(|| lists.claim(near)) else {
            // A worker has unparked itself and taken the last core. Under the lock, so before that
            // worker's next `park_worker`: see "A claim that finds no core" in the module's
            // documentation.
            self.counts.fetch_sub(SEARCHING, Ordering::SeqCst);
            return None;
        };
        Some(match worker {
            Some(parked_worker) => {
                parked_worker.hand(core);
                Claim::Worker(parked_worker)
            }
            None => Claim::Thread(core),
        })
    }

    /// No thread could be started for this core.
    pub(crate) fn unclaim(&self, core: C) {
        let mut lists = self.lists.lock();
        let change = self.put(&mut lists, core, None);
        self.counts.fetch_add(change, Ordering::SeqCst);
        self.counts.fetch_sub(SEARCHING, Ordering::SeqCst);
    }

    /// Begins a search, unless half of the busy processors search already (Go's limit): more
    /// searchers find no more, they only contend.
    pub(crate) fn begin_search(&self) -> bool {
        let counts = self.counts();
        if 2 * counts.searching() >= counts.live() - counts.idle() {
            return false;
        }
        self.begin_search_anyway();
        true
    }

    /// Begins a search, however many search already.
    pub(crate) fn begin_search_anyway(&self) {
        self.counts.fetch_add(SEARCHING, Ordering::SeqCst);
    }

    /// Steps 1 and 2 of ending a search. If a look is due, the caller wakes the next if there is
    /// work.
    pub(crate) fn end_search(&self) -> Look {
        let left = self.change(SEARCHING.wrapping_neg());
        // Pairs with the fence in `after_submit`.
        fence(Ordering::SeqCst);
        left.look()
    }

    /// What a change of the counts leaves.
    fn change(&self, change: u64) -> Counts {
        let before = self.counts.fetch_add(change, Ordering::SeqCst);
        Counts(before.wrapping_add(change))
    }

    /// Steps 1 and 2 of parking. `with_driver`: the worker holds the driver. If a look is due, step
    /// 3 follows.
    pub(crate) fn park_worker(
        &self,
        core: Option<C>,
        parked_worker: &Arc<ParkedWorker<C>>,
        searching: bool,
        with_driver: bool,
    ) -> Look {
        let mut lists = self.lists.lock();
        let mut change = if searching {
            SEARCHING.wrapping_neg()
        } else {
            0
        };
        let parked_worker = parked_worker.clone();
        match core {
            Some(core) => {
                let put = self.put(&mut lists, core, Some((parked_worker, with_driver)));
                change = change.wrapping_add(put);
            }
            None => lists.add_worker(parked_worker, with_driver),
        }
        let left = self.change(change);
        drop(lists);
        // Pairs with the fences in `after_submit`, in `HeldBack::end` and in `Permits::give_back`.
        fence(Ordering::SeqCst);
        left.look()
    }

    /// A core whose worker is about to block becomes idle. If a look is due, the caller wakes
    /// somebody if there is work.
    pub(crate) fn push_idle(&self, core: C) -> Look {
        let mut lists = self.lists.lock();
        let change = self.put(&mut lists, core, None);
        let left = self.change(change);
        drop(lists);
        // Pairs with the fence in `after_submit`.
        fence(Ordering::SeqCst);
        left.look()
    }

    /// So many processors are wanted from now on: idle ones beyond them retire, retired ones among
    /// them are idle. Gives how many those are; the caller looks at the queues afterwards. See
    /// [`resize`](crate::scheduler::lifecycle::resize).
    pub(crate) fn set_wanted(&self, wanted: usize) -> usize {
        let mut lists = self.lists.lock();
        self.wanted.store(wanted, Ordering::Relaxed);
        let (num_back, num_left) = lists.set_wanted(wanted);
        let change = (IDLE + LIVE) * num_back as u64;
        let change = change.wrapping_sub((IDLE + LIVE) * num_left as u64);
        self.counts.fetch_add(change, Ordering::SeqCst);
        drop(lists);
        // Pairs with `after_submit`'s, as in `push_idle`, `Ownership::acknowledge`, and the one that
        // `Shared::acquire` has before it looks at `wanted`.
        fence(Ordering::SeqCst);
        num_back
    }

    /// Brings the core of a new processor.
    pub(crate) fn add(&self, core: C) {
        let mut lists = self.lists.lock();
        let change = LIVE.wrapping_add(self.put(&mut lists, core, None));
        self.counts.fetch_add(change, Ordering::SeqCst);
    }

    /// The worker waits no more. It gets the core that was handed to it, else its own, else any
    /// idle one; `None` when there is none. `own`: the processor whose core it has parked with.
    /// `near`: the worker's cluster.
    pub(crate) fn unpark_worker(
        &self,
        parked_worker: &Arc<ParkedWorker<C>>,
        own: Option<usize>,
        near: usize,
    ) -> Option<Resumed<C>> {
        let mut lists = self.lists.lock();
        if let Some(resumed) = Resumed::handed(parked_worker) {
            return Some(resumed);
        }
        if self.counts().closed() {
            lists.leave(parked_worker, own);
            return None;
        }
        let core = self.taken(|| lists.resume(parked_worker, own, near))?;
        Some(Resumed {
            core,
            searching: false,
        })
    }

    /// The worker waits no more and is about to end, unless a core was handed to it.
    pub(crate) fn leave(
        &self,
        parked_worker: &Arc<ParkedWorker<C>>,
        own: Option<usize>,
    ) -> Option<Resumed<C>> {
        let mut lists = self.lists.lock();
        let handed = Resumed::handed(parked_worker);
        if handed.is_none() {
            lists.leave(parked_worker, own);
        }
        handed
    }

    /// Takes an idle core, for a thread that is not parked, and is in cluster `near`.
    pub(crate) fn pop_idle(&self, near: usize) -> Option<C> {
        let mut lists = self.lists.lock();
        self.taken(|| lists.take_any(near))
    }

    /// A core that its holder lets go of is idle, or retires. Gives the change of the counts.
    /// `worker`: its holder, who waits from now on, and whether with the driver.
    fn put(
        &self,
        lists: &mut Lists<C>,
        core: C,
        worker: Option<(Arc<ParkedWorker<C>>, bool)>,
    ) -> u64 {
        core.ends_work();
        if core.index() < self.num_wanted() {
            match worker {
                None => lists.add_core(core),
                Some((worker, with_driver)) => lists.add_pair(core, worker, with_driver),
            }
            return IDLE;
        }
        lists.retire(core);
        if let Some((worker, with_driver)) = worker {
            lists.add_worker(worker, with_driver);
        }
        LIVE.wrapping_neg()
    }

    /// What `take` has taken with a core of the lists, unless the runtime is closed.
    fn taken<T>(&self, take: impl FnOnce() -> Option<T>) -> Option<T> {
        if self.counts().closed() {
            return None;
        }
        let taken = take()?;
        self.counts.fetch_sub(IDLE, Ordering::SeqCst);
        Some(taken)
    }

    /// Closes: nobody is given a core any more. All parked workers come back to be woken.
    pub(crate) fn close(&self) -> Vec<Arc<ParkedWorker<C>>> {
        self.counts.fetch_or(CLOSED, Ordering::SeqCst);
        self.lists.lock().take_workers()
    }

    /// Takes all idle cores: to start their workers, or, after `close`, to empty their queues.
    pub(crate) fn take_cores(&self) -> Vec<C> {
        let mut lists = self.lists.lock();
        let cores = lists.take_cores();
        cores.iter().for_each(C::begins_work);
        self.counts
            .fetch_sub(IDLE * cores.len() as u64, Ordering::SeqCst);
        cores
    }

    /// Puts processors back among the idle ones.
    pub(crate) fn put_cores(&self, cores: Vec<C>) {
        let mut lists = self.lists.lock();
        let changes = cores
            .into_iter()
            .map(|core| self.put(&mut lists, core, None));
        let change = changes.fold(0, u64::wrapping_add);
        self.counts.fetch_add(change, Ordering::SeqCst);
    }

    /// Whether nobody has anything to do with this list any more: all cores are here and nobody is
    /// counted as searching.
    pub(crate) fn is_settled(&self) -> bool {
        let counts = Counts(self.counts.load(Ordering::Acquire));
        counts.idle() == counts.live() && counts.searching() == 0
    }

    /// Opens again, with the cores that are here. No worker may be left from before.
    pub(crate) fn reopen(&self) {
        let mut lists = self.lists.lock();
        let counts = (IDLE + LIVE) * lists.sort_cores() as u64;
        self.counts.store(counts, Ordering::SeqCst);
    }
}

impl<C> Resumed<C> {
    /// A worker that was handed a core is in no list any more. Under the lock of `Idle`.
    fn handed(parked_worker: &ParkedWorker<C>) -> Option<Resumed<C>> {
        let core = parked_worker.take_handed()?;
        Some(Resumed {
            core,
            searching: true,
        })
    }
}
