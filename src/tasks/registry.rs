//! The live tasks of one runtime (a runtime, or the local set of a `block_on`), so that shutdown can end them all.
//!
//! A task comes here when it returns `Pending` for the first time and leaves when its future is dropped. What is
//! kept is its waker: waking is all that shutdown and abort need, the task then ends itself on its own executor.
//!
//! # Closing
//!
//! 1. `close` marks each shard closed and takes copies of its wakers, in one critical section per shard.
//! 2. A task that registered before it is among the copies; one that comes later is refused and cancels itself on
//!    the spot. So after `close` and a drain of the queues, no task of this runtime waits anywhere unseen.
//! 3. The wakers are woken after the locks are released.
//!
//! # Lifetime
//!
//! Registries are leaked and used again. Their index travels in each task ([`super::Meta`]), so that reaching one
//! costs a load and no reference count. 16 bytes per pending task; sharded by thread, so that two workers rarely meet.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::ptr;
use std::task::Waker;

use crossbeam_utils::CachePadded;

use super::{Id, Meta, RUNTIME_BITS, registration};
use crate::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex};

/// Three bits of a key name the shard. More shards than workers of a large machine would be of no use: a shard is
/// held for about 20 ns.
const SHARD_BITS: u32 = 3;
pub(crate) const SHARDS: usize = 1 << SHARD_BITS;
const RUNTIMES: usize = 1 << RUNTIME_BITS;

/// All registries ever made, by index. Written once each, in [`Registry::lease`]; never cleared.
static TABLE: [AtomicPtr<Registry>; RUNTIMES] =
    [const { AtomicPtr::new(ptr::null_mut()) }; RUNTIMES];

/// Registries that nobody uses at the moment.
static FREE: Mutex<Vec<&'static Registry>> = Mutex::new(Vec::new());

/// Takes the list of free registries, for a fork.
pub(super) fn hold() -> impl Sized + 'static {
    FREE.lock()
}

/// How many registries were ever made; their indices are below. Only uniqueness matters: `Relaxed`.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// See [`MADE`].
pub(crate) fn made() -> usize {
    MADE.load(Ordering::Relaxed)
}

pub(crate) struct Registry {
    index: u16,
    shards: [CachePadded<Mutex<Shard>>; SHARDS],
}

/// Slots of one shard, with a free list threaded through them.
struct Shard {
    closed: bool,
    live: usize,
    /// First free slot plus one; 0 when there is none.
    free: u32,
    slots: Slots,
}

/// A vector in pieces: when it grows nothing moves, so nobody waits for the lock while megabytes are copied, and the
/// allocator is not left with the old copies.
struct Slots {
    /// All but the last are full.
    pieces: Vec<Vec<Slot>>,
}

/// Slots of a piece: 4 KiB.
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

/// 16 bytes: `Free` lives in the niche of the waker's vtable reference.
enum Slot {
    Live(Waker),
    Free(u32),
}

impl Registry {
    /// An open, empty registry; `None` when [`RUNTIMES`] of them are in use.
    pub(crate) fn lease() -> Option<&'static Registry> {
        let registry = match FREE.lock().pop() {
            Some(registry) => registry,
            None => {
                if META_OFFSET.load(Ordering::Relaxed) == 0 {
                    learn_offset();
                }
                let index = MADE
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                        (n < RUNTIMES).then_some(n + 1)
                    })
                    .ok()?;
                let registry: &'static Registry = Box::leak(Box::new(Registry {
                    index: index as u16,
                    shards: std::array::from_fn(|_| CachePadded::new(Mutex::new(Shard::EMPTY))),
                }));
                // Release pairs with the load in `at`: who reads an index out of a task sees the registry whole.
                TABLE[index].store(ptr::from_ref(registry).cast_mut(), Ordering::Release);
                registry
            }
        };
        registry.reopen();
        Some(registry)
    }

    /// Takes tasks again after `close`.
    pub(crate) fn reopen(&self) {
        for shard in &self.shards {
            shard.lock().closed = false;
        }
    }

    /// Gives a registry back. All its tasks must have finished.
    pub(crate) fn release(&'static self) {
        debug_assert_eq!(self.len(), 0, "a registry was released with tasks in it");
        FREE.lock().push(self);
    }

    /// The registry with this index, which must have come from a task.
    #[inline]
    pub(crate) fn at(index: usize) -> &'static Registry {
        let registry = TABLE[index].load(Ordering::Acquire);
        // SAFETY: entries are null or point to a leaked, hence immortal, registry, and are only read here through a
        // shared reference. Null is excluded: the index was taken from a registry that had been stored before.
        unsafe { registry.as_ref() }.expect("a task names a runtime that was never made")
    }

    #[inline]
    pub(crate) fn index(&self) -> u16 {
        self.index
    }

    /// Number of tasks registered.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().live).sum()
    }

    /// Adds a task by its waker. The key is never 0 and fits [`registration::KEY`]. `None` when closed.
    ///
    /// The waker must be one of our own tasks': it may be cloned under the lock.
    pub(super) fn insert(&self, waker: &Waker) -> Option<u32> {
        let first = thread_shard();
        for index in (first..SHARDS).chain(0..first) {
            let mut shard = self.shards[index].lock();
            if shard.closed {
                return None;
            }
            if shard.has_room() {
                let slot = shard.insert(waker.clone());
                return Some((slot + 1) << SHARD_BITS | index as u32);
            }
        }
        panic!("half a billion tasks wait in one runtime: more cannot be registered")
    }

    /// Removes a task; the waker comes back to be dropped outside the lock.
    pub(super) fn remove(&self, key: u32) -> Option<Waker> {
        let (shard, slot) = self.slot(key);
        let mut shard = shard.lock();
        shard.remove(slot)
    }

    /// A copy of the waker under this key.
    pub(super) fn waker(&self, key: u32) -> Option<Waker> {
        let (shard, slot) = self.slot(key);
        match shard.lock().slots.get(slot) {
            Some(Slot::Live(waker)) => Some(waker.clone()),
            _ => None,
        }
    }

    /// The [words](Meta::tag) of all tasks that are here.
    pub(crate) fn tags(&self) -> Vec<u64> {
        let mut tags = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            tags.reserve(shard.live);
            // Under the lock: a waker that is here keeps its task's memory.
            tags.extend(shard.slots.iter().filter_map(Slot::waker).map(tag_of));
        }
        tags
    }

    /// Refuses new tasks and wakes all that are here.
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

impl Shard {
    const EMPTY: Shard = Shard {
        closed: false,
        live: 0,
        free: 0,
        slots: Slots::new(),
    };

    /// A shard that has been this large and is empty again gives its memory back.
    const KEEP: usize = 1024;

    /// Slots whose keys fit [`registration::KEY`].
    const SLOTS: usize = (registration::KEY >> SHARD_BITS) as usize;

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

/// How far from the beginning of a task its metadata lies. `async-task` does not promise that this is the same for all tasks,
/// so it is asserted: of some unlike tasks before the first registry is given out ([`learn_offset`]), and of each task when it
/// registers ([`assert_offset`]). Zero before.
///
/// Relaxed: a registry, and a task, comes from whoever has written it, by the lock of a list at least. Written once, so that the
/// line stays with all who read it.
static META_OFFSET: AtomicUsize = AtomicUsize::new(0);

/// Asserts that tasks with unlike futures, outputs and schedule functions have their metadata at one place.
fn learn_offset() {
    #[repr(align(64))]
    struct Wide;

    let (small, queue) = (Box::new(7_u8), Arc::new(()));
    let offsets = [
        offset_in(async {}, |_| ()),
        offset_in(async move { *small }, |_| ()),
        offset_in(std::future::ready([0_u64; 100]), |_| ()),
        offset_in(std::future::ready(Wide), |_| ()),
        offset_in(async {}, move |_| drop(queue.clone())),
    ];
    assert!(
        offsets.iter().all(|offset| *offset == offsets[0]),
        "this version of async-task lays its tasks out in different ways: {offsets:?}"
    );
    META_OFFSET.store(offsets[0], Ordering::Relaxed);
}

fn offset_in<F, S>(future: F, schedule: S) -> usize
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    S: Fn(async_task::Runnable<Meta>) + Send + Sync + 'static,
{
    // Not a fresh id: the first task of a program has number 1.
    let meta = Meta::new(Id::from_number(1), 0, 0);
    let (runnable, task) = async_task::Builder::new()
        .metadata(meta)
        .spawn(move |_| future, schedule);
    task.detach();
    offset_of(&runnable.waker(), runnable.metadata())
}

/// `waker` is the task's own, and `meta` its metadata.
fn offset_of(waker: &Waker, meta: &Meta) -> usize {
    ptr::from_ref(meta).addr() - waker.data().addr()
}

/// A task registers: what [`learn_offset`] found is true of this one, too.
pub(super) fn assert_offset(waker: &Waker, meta: &Meta) {
    let known = META_OFFSET.load(Ordering::Relaxed);
    assert_eq!(known, offset_of(waker, meta), "tasks have unlike headers");
}

/// The word of the task that a waker in a registry belongs to.
fn tag_of(waker: &Waker) -> u64 {
    let offset = META_OFFSET.load(Ordering::Relaxed);
    // SAFETY: the waker is that of a task of ours, as `Registry::insert` asks, and that task has registered, so `assert_offset` was
    // called for it. Such a waker points to its task's beginning and keeps its memory, and the metadata lies there.
    let meta = unsafe { &*waker.data().byte_add(offset).cast::<Meta>() };
    meta.tag()
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// The shard of this thread, below [`SHARDS`]: threads are dealt over the shards in turn.
pub(crate) fn thread_shard() -> usize {
    thread_number() as usize % SHARDS
}

/// A number of our own for this thread, from 1.
pub(crate) fn thread_number() -> u64 {
    std::thread_local! {
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    static NEXT: AtomicU64 = AtomicU64::new(1);

    NUMBER.with(|number| {
        if number.get() == 0 {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

#[cfg(test)]
mod tests;
