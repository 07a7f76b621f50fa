//! The live tasks of one runtime or local set, so that shutdown can end them all.
//!
//! A task is added when it returns `Pending` for the first time, or when it comes into the queue of
//! the background tasks, and removed when its future is dropped. The registry keeps the task's
//! waker. Shutdown and abort only have to wake the task; it then ends itself on its own executor.
//!
//! # Closing
//!
//! 1. [`Registry::close`] marks each shard closed and clones its wakers, in one critical section
//!    per shard.
//! 2. A task that registered before `close` is among the clones. One that would register later
//!    cancels itself at once. So after `close` and a drain of the queues, no task of this runtime
//!    waits unseen.
//! 3. `close` wakes the clones after it has released the lock.
//!
//! # Lifetime
//!
//! Registries are leaked and reused. Each task carries the index of its registry ([`super::Meta`]),
//! so that reaching the registry costs a load and no reference count. A pending task takes 16 bytes
//! in its registry. Threads are spread over the shards, so that two workers rarely contend.

use std::fmt;
use std::iter;
use std::ptr;
use std::task::Waker;

use crossbeam_utils::CachePadded;
use crossbeam_utils::atomic::AtomicCell;

use super::collector::Collector;
use super::leaves::Leaves;
use super::{Meta, RUNTIME_BITS, Schedule, layout};
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, OnceLock};

mod asking;
mod members;
pub(super) mod thread_number;

pub(crate) use self::thread_number::{thread_number, thread_shard};

pub(crate) use members::{Entry, Member, Registered};

/// Three bits of a key name the shard. More shards would not help even on a large machine: a thread
/// holds a shard's lock for about 20 ns.
const SHARD_BITS: u32 = 3;
pub(crate) const SHARDS: usize = 1 << SHARD_BITS;
const RUNTIMES: usize = 1 << RUNTIME_BITS;

/// All registries ever made, by index. [`Registry::lease`] writes each entry once, with release;
/// [`Registry::at`] reads it with acquire. Entries are never cleared.
static TABLE: [AtomicPtr<Registry>; RUNTIMES] =
    [const { AtomicPtr::new(ptr::null_mut()) }; RUNTIMES];

/// Registries that are not in use.
static FREE: Mutex<Vec<&'static Registry>> = Mutex::new(Vec::new());

/// Takes the lock of [`FREE`], for a fork.
pub(super) fn hold() -> impl Sized + 'static {
    FREE.lock()
}

/// Number of registries ever made; their indices are below it. [`Registry::lease`] adds one;
/// [`made`] reads it. `Relaxed`: only uniqueness matters.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// See [`MADE`].
pub(crate) fn made() -> usize {
    MADE.load(Ordering::Relaxed)
}

pub(crate) struct Registry {
    index: u16,
    /// For tasks of no scheduler: the runtime that their thread was in, plus one; zero: none. Written
    /// by who has leased the registry; read by those who list tasks. Relaxed: it is a figure.
    owner: AtomicU32,
    /// Who asks the tasks where they wait: see [`super::capture`].
    collector: Mutex<Option<Arc<Collector>>>,
    /// There is one. Written under the lock of `collector`; read without it, so that polls that are
    /// recorded share no lock. Relaxed: who has to see it acquires what `Member::want_stack` has
    /// released, see [`super::capture`].
    is_collecting: AtomicBool,
    /// Who is told when a task's class has changed: see [`Schedule::reclassed`]. Written when the
    /// registry is leased and released; read by who changes the class of a task that exists, so never
    /// beside a write. An atomic cell, as there is no atomic pointer to a function.
    reclassed: AtomicCell<Option<Reclassed>>,
    /// Polls of its tasks that a dump has caused. Relaxed: a figure.
    captured: AtomicU64,
    /// What is recorded of the tasks' wakers. Made when it is wanted for the first time.
    leaves: OnceLock<Box<Leaves>>,
    shards: [CachePadded<Mutex<Shard>>; SHARDS],
}

/// Why a task could not be added.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotRegistered {
    Closed,
    Full,
}

type Reclassed = fn(&Meta);

/// Slots of one shard. The free ones form a list through [`Slot::Free`].
struct Shard {
    closed: bool,
    live: usize,
    /// First free slot plus one; 0 when there is none.
    free: u32,
    slots: Slots,
}

/// A vector in pieces. When it grows nothing moves, so no thread waits for the lock while megabytes
/// are copied, and no old copy is left to the allocator.
struct Slots {
    /// All pieces but the last are full.
    pieces: Vec<Vec<Slot>>,
}

/// Slots per piece: 4 KiB.
const PIECE: usize = 256;

impl Slots {
    const fn new() -> Slots {
        Slots { pieces: Vec::new() }
    }

    fn len(&self) -> usize {
        match self.pieces.split_last() {
            Some((last, full)) => full.len() * PIECE + last.len(),
            None => 0,
        }
    }

    fn push(&mut self, slot: Slot) {
        match self.pieces.last_mut() {
            Some(last) if last.len() < PIECE => last.push(slot),
            _ => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(slot);
                self.pieces.push(piece);
            }
        }
    }

    #[inline]
    fn get(&self, index: usize) -> Option<&Slot> {
        self.pieces.get(index / PIECE)?.get(index % PIECE)
    }

    #[inline]
    fn get_mut(&mut self, index: usize) -> Option<&mut Slot> {
        self.pieces.get_mut(index / PIECE)?.get_mut(index % PIECE)
    }

    fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.pieces.iter().flatten()
    }
}

/// 16 bytes: `Free` uses the niche of the waker's vtable reference.
enum Slot {
    Live(Waker),
    Free(u32),
}

/// A piece of the slots, for [`Registry::members_from`].
#[derive(Default)]
struct Place {
    shard: usize,
    piece: usize,
}

impl Registry {
    /// An open, empty registry; `None` when [`RUNTIMES`] of them are in use.
    pub(crate) fn lease() -> Option<&'static Registry> {
        let registry = match FREE.lock().pop() {
            Some(registry) => registry,
            None => {
                layout::learn();
                let index = MADE
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                        (n < RUNTIMES).then_some(n + 1)
                    })
                    .ok()?;
                let registry: &'static Registry = Box::leak(Box::new(Registry {
                    index: index as u16,
                    owner: AtomicU32::new(0),
                    collector: Mutex::new(None),
                    reclassed: AtomicCell::new(None),
                    is_collecting: AtomicBool::new(false),
                    captured: AtomicU64::new(0),
                    leaves: OnceLock::new(),
                    shards: std::array::from_fn(|_| CachePadded::new(Mutex::new(Shard::EMPTY))),
                }));
                // Release: pairs with the acquire load in `at`, so a thread that reads the index in
                // a task sees a complete registry.
                TABLE[index].store(ptr::from_ref(registry).cast_mut(), Ordering::Release);
                registry
            }
        };
        registry.reopen();
        Some(registry)
    }

    /// [`lease`](Registry::lease), for tasks of this kind.
    pub(crate) fn lease_of<H: Schedule>() -> Option<&'static Registry> {
        let registry = Registry::lease()?;
        registry.reclassed.store(Some(H::reclassed));
        Some(registry)
    }

    /// The class of this task has changed.
    pub(super) fn tell_reclassed(&self, meta: &Meta) {
        if let Some(reclassed) = self.reclassed.load() {
            reclassed(meta);
        }
    }

    /// [`lease`](Registry::lease), for tasks of no scheduler that belong to this runtime.
    pub(super) fn lease_for(runtime: Option<u16>) -> Option<&'static Registry> {
        let registry = Registry::lease()?;
        let owner = runtime.map_or(0, |runtime| u32::from(runtime) + 1);
        registry.owner.store(owner, Ordering::Relaxed);
        Some(registry)
    }

    /// Those that were leased for this runtime: of its `block_on`s and task queues.
    pub(crate) fn owned_by(runtime: u16) -> impl Iterator<Item = &'static Registry> {
        let owner = u32::from(runtime) + 1;
        let all = (0..made()).filter_map(Registry::try_at);
        all.filter(move |registry| registry.owner.load(Ordering::Relaxed) == owner)
    }

    /// Accepts tasks again after `close`. An empty shard begins anew: in a simulation, the order in
    /// which slots are given out must not depend on earlier runtimes.
    pub(crate) fn reopen(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            if shard.live == 0 {
                *shard = Shard::EMPTY;
            }
            shard.closed = false;
        }
    }

    /// Returns a registry to [`FREE`]. All its tasks must have finished.
    pub(crate) fn release(&'static self) {
        debug_assert_eq!(self.len(), 0, "a registry was released with tasks in it");
        self.owner.store(0, Ordering::Relaxed);
        self.reclassed.store(None);
        FREE.lock().push(self);
    }

    /// The registry with this index, which must come from a task.
    #[inline]
    pub(crate) fn at(index: usize) -> &'static Registry {
        // It is there: the index comes from a task, whose registry `lease` had stored before.
        Registry::try_at(index).expect("a task names a runtime that was never made")
    }

    /// `None`: it is being made.
    #[inline]
    fn try_at(index: usize) -> Option<&'static Registry> {
        let registry = TABLE[index].load(Ordering::Acquire);
        // SAFETY: entries are null or point to a registry that was leaked, so it is never freed,
        // and all access is through shared references.
        unsafe { registry.as_ref() }
    }

    #[inline]
    pub(crate) fn index(&self) -> u16 {
        self.index
    }

    /// Number of tasks registered.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().live).sum()
    }

    /// Adds a task by its waker. The key is never 0 and fits
    /// [`registration::KEY`](super::registration::KEY).
    ///
    /// # Errors
    ///
    /// It is closed, or [`SHARDS`] times [`Shard::SLOTS`] tasks are registered.
    ///
    /// The waker must belong to a task of this crate, so that cloning it under the lock runs no
    /// foreign code.
    pub(super) fn insert(&self, waker: &Waker) -> Result<u32, NotRegistered> {
        let first = thread_shard();
        for index in (first..SHARDS).chain(0..first) {
            let mut shard = self.shards[index].lock();
            if shard.closed {
                return Err(NotRegistered::Closed);
            }
            if shard.has_room() {
                let slot = shard.insert(waker.clone());
                return Ok((slot + 1) << SHARD_BITS | index as u32);
            }
        }
        Err(NotRegistered::Full)
    }

    /// Removes a task. Returns its waker, for the caller to drop outside the lock.
    pub(super) fn remove(&self, key: u32) -> Option<Waker> {
        let (shard, slot) = self.slot(key);
        let mut shard = shard.lock();
        shard.remove(slot)
    }

    /// A clone of the waker under this key.
    pub(super) fn waker(&self, key: u32) -> Option<Waker> {
        let (shard, slot) = self.slot(key);
        match shard.lock().slots.get(slot) {
            Some(Slot::Live(waker)) => Some(waker.clone()),
            _ => None,
        }
    }

    /// All registered tasks.
    pub(crate) fn registered(&self) -> Vec<Registered> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            all.reserve(shard.live);
            // Under the lock: while a waker is registered, it keeps its task's memory.
            all.extend(
                shard
                    .slots
                    .iter()
                    .filter_map(Slot::waker)
                    .map(Registered::look),
            );
        }
        all
    }

    /// What is recorded of the tasks' wakers. `None`: nothing ever was.
    pub(crate) fn leaves(&self) -> Option<&Leaves> {
        self.leaves.get().map(|leaves| &**leaves)
    }

    /// Records every so many-th clone of a waker from now on; 0: none. What is known is forgotten.
    pub(crate) fn record_leaves(&self, every: u32) {
        if every != 0 || self.leaves.get().is_some() {
            self.leaves.get_or_init(Box::default).begin(every);
        }
    }

    /// All registered tasks, a few at a time. Tasks that register meanwhile may be left out.
    pub(crate) fn members(&self) -> impl Iterator<Item = Member> + use<'_> {
        let mut place = Place::default();
        let some = iter::from_fn(move || {
            let members = self.members_from(&mut place);
            (!members.is_empty()).then_some(members)
        });
        some.flatten()
    }

    /// Some of the registered tasks, from a place on. Empty: there are no more.
    fn members_from(&self, place: &mut Place) -> Vec<Member> {
        let mut members = Vec::new();
        while members.is_empty() && place.shard < SHARDS {
            let shard = self.shards[place.shard].lock();
            match shard.slots.pieces.get(place.piece) {
                Some(piece) => {
                    let wakers = piece.iter().filter_map(Slot::waker);
                    members.extend(wakers.cloned().map(Member));
                    place.piece += 1;
                }
                None => {
                    *place = Place {
                        shard: place.shard + 1,
                        piece: 0,
                    }
                }
            }
        }
        members
    }

    /// Refuses new tasks and wakes all registered ones.
    pub(crate) fn close(&self) {
        for shard in &self.shards {
            let wakers: Vec<Waker> = {
                let mut shard = shard.lock();
                shard.closed = true;
                shard
                    .slots
                    .iter()
                    .filter_map(Slot::waker)
                    .cloned()
                    .collect()
            };
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    fn slot(&self, key: u32) -> (&Mutex<Shard>, usize) {
        let shard = (key as usize) & (SHARDS - 1);
        (&self.shards[shard], (key >> SHARD_BITS) as usize - 1)
    }
}

/// The last key fits.
const _: () =
    assert!(Shard::SLOTS << SHARD_BITS | (SHARDS - 1) <= super::registration::KEY as usize);

impl Shard {
    const EMPTY: Shard = Shard {
        closed: false,
        live: 0,
        free: 0,
        slots: Slots::new(),
    };

    /// A shard with more slots than this gives its memory back when it becomes empty.
    const KEEP: usize = 1024;

    /// Number of slots whose keys fit [`registration::KEY`](super::registration::KEY).
    #[cfg(not(test))]
    const SLOTS: usize = (super::registration::KEY >> SHARD_BITS) as usize;
    /// So few that a test can fill them.
    #[cfg(test)]
    const SLOTS: usize = 1 << 14;

    fn has_room(&self) -> bool {
        self.free != 0 || self.slots.len() < Self::SLOTS
    }

    fn insert(&mut self, waker: Waker) -> u32 {
        self.live += 1;
        let free = self.free.wrapping_sub(1);
        match self.slots.get_mut(free as usize) {
            Some(slot) => {
                if let Slot::Free(next) = std::mem::replace(slot, Slot::Live(waker)) {
                    self.free = next;
                }
                free
            }
            None => {
                self.slots.push(Slot::Live(waker));
                (self.slots.len() - 1) as u32
            }
        }
    }

    fn remove(&mut self, slot: usize) -> Option<Waker> {
        let entry = self.slots.get_mut(slot)?;
        let Slot::Live(waker) = std::mem::replace(entry, Slot::Free(self.free)) else {
            return None;
        };
        self.free = slot as u32 + 1;
        self.live -= 1;
        if self.live == 0 && self.slots.len() > Self::KEEP {
            *self = Shard {
                closed: self.closed,
                ..Shard::EMPTY
            };
        }
        Some(waker)
    }
}

impl Slot {
    fn waker(&self) -> Option<&Waker> {
        match self {
            Slot::Live(waker) => Some(waker),
            Slot::Free(_) => None,
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
