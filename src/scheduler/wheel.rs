//! A hierarchical timing wheel: the timers of one processor as plain data.
//!
//! After G. Varghese and T. Lauck, *Hashed and Hierarchical Timing Wheels: Data Structures for the Efficient
//! Implementation of a Timer Facility* (SOSP 1987), scheme 7. Time is a count of ticks; how long a tick is,
//! the clock decides. Six levels of 64 slots: a slot of level `l` spans `64^l` ticks.
//!
//! **Where a timer lives.** Write tick numbers in base 64. A timer sits at the level of the highest digit in which its
//! deadline differs from the wheel's current tick, in the slot which that digit names. Two things follow, and all the
//! rest of this file leans on them:
//!
//! - At each level only slots *behind* the current digit are in use (at level 0 also the current one, for timers that
//!   are due already). A slot never wraps round, so the first bit of a level's occupancy map is its earliest slot.
//! - Everything in a lower level comes before everything in a higher one: it shares the higher digit with the present.
//!   So the lowest level with any bit set holds the earliest timer.
//!
//! **Advancing**, in steps:
//!
//! 1. Find the earliest slot in use. If it begins after `now`, the current tick becomes `now`, and that is all; no
//!    timer changes its level by that, since no slot in use was reached.
//! 2. Else the current tick becomes the first tick of that slot, and the slot is emptied: a slot of level 0 fires, one
//!    of a higher level is dealt out to the levels below (*cascades*). Go to 1.
//!
//! So the price is that of the timers fired and moved (each at most six times in its life), never of the ticks that
//! passed, and timers fire in the order of their ticks even when the wheel is late.
//!
//! Deadlines in another stretch of `64^6` ticks than the present wait in one overflow list. It is dealt out when the
//! stretch of its earliest deadline begins.
//!
//! Guarantees: no timer fires before its tick; a key whose timer is gone is harmless; no waker is cloned, woken or
//! dropped in here (they are handed to the caller, who does that outside its lock); once the slab has grown to the
//! number of timers armed at one time, nothing allocates.
//!
//! Not in here: locks, threads, clocks. The slab shrinks only when the last timer leaves.

use std::task::Waker;

#[cfg(test)]
mod tests;

/// Base-64 digits: a level's occupancy fits one word.
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const LEVELS: usize = 6;
/// Ticks that the levels cover together, as a power of two (13 days); deadlines in another stretch of that length
/// overflow.
const REACH: u32 = BITS * LEVELS as u32;
/// The list behind the slots of all levels.
const OVERFLOW: usize = LEVELS * SLOTS;

/// No node. Indices are below it.
const NIL: u32 = u32::MAX;

/// A slab of at most this many nodes (40 KiB) is kept when the last timer leaves. To outgrow it takes so many inserts
/// that growing anew is lost among them.
const KEEP: usize = 1024;

/// Names one timer of one wheel.
///
/// The generation is the number of the insert, modulo `2^32`. It goes on counting when the slab is given back, so a key
/// could be mistaken only if kept for an exact multiple of `2^32` inserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

/// One timer, or a free place of the slab: then `waker` is `None` and `next` links the free list.
struct Node {
    /// Never below the current tick at the time of insertion, so that an overdue timer is not a special case.
    deadline: u64,
    waker: Option<Waker>,
    next: u32,
    prev: u32,
    generation: u32,
    /// The list this node is in: `level * SLOTS + slot`, or [`OVERFLOW`].
    list: u16,
}

/// Ends of a doubly linked list of nodes. Timers are appended, so within a tick the first armed fires first.
#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

impl List {
    const EMPTY: List = List {
        head: NIL,
        tail: NIL,
    };
}

/// See the [module documentation](self).
pub(crate) struct Wheel {
    /// The tick up to which timers have fired.
    current: u64,
    len: usize,
    /// One bit per slot that has timers, per level.
    occupied: [u64; LEVELS],
    lists: [List; OVERFLOW + 1],
    /// Not above any deadline in the overflow list; exact after each dealing out. Meaningless when the list is empty.
    overflow_floor: u64,
    nodes: Vec<Node>,
    free: u32,
    /// The generation of the next insert.
    generation: u32,
}

impl Wheel {
    /// An empty wheel at tick 0. Does not allocate.
    pub(crate) const fn new() -> Wheel {
        Wheel {
            current: 0,
            len: 0,
            occupied: [0; LEVELS],
            lists: [List::EMPTY; OVERFLOW + 1],
            overflow_floor: u64::MAX,
            nodes: Vec::new(),
            free: NIL,
            generation: 0,
        }
    }

    /// How many timers are armed.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Arms a timer. One whose deadline is not after the current tick fires at the next [`advance`](Wheel::advance).
    ///
    /// # Panics
    /// Beyond `2^32 - 1` timers in one wheel (160 GiB of them).
    #[inline]
    pub(crate) fn insert(&mut self, deadline: u64, waker: Waker) -> Key {
        let generation = self.generation;
        self.generation = generation.wrapping_add(1);
        let mut node = Node {
            deadline: deadline.max(self.current),
            waker: Some(waker),
            next: NIL,
            prev: NIL,
            generation,
            list: 0,
        };
        let index = self.free;
        let index = if index != NIL {
            let place = &mut self.nodes[index as usize];
            self.free = place.next;
            std::mem::swap(place, &mut node);
            index
        } else {
            let index = self.nodes.len();
            assert!(index < NIL as usize, "too many timers in one wheel");
            self.nodes.push(node);
            index as u32
        };
        self.len += 1;
        self.link(index);
        Key { index, generation }
    }

    /// Removes a timer and returns its waker; `None` if it has fired, was cancelled or never was in this wheel.
    #[inline]
    pub(crate) fn cancel(&mut self, key: Key) -> Option<Waker> {
        let index = self.find(key)?;
        self.unlink(index);
        let waker = self.release(index);
        self.shrink_if_empty();
        waker
    }

    /// Gives a timer another deadline, keeping its place in the slab; false if the key is stale.
    #[inline]
    pub(crate) fn reset(&mut self, key: Key, deadline: u64) -> bool {
        let Some(index) = self.find(key) else {
            return false;
        };
        self.unlink(index);
        self.nodes[index as usize].deadline = deadline.max(self.current);
        self.link(index);
        true
    }

    /// Whether the timer has neither fired nor been cancelled.
    #[cfg(test)]
    pub(crate) fn is_armed(&self, key: Key) -> bool {
        self.find(key).is_some()
    }

    /// The waker of a timer that is still armed.
    pub(crate) fn waker(&self, key: Key) -> Option<&Waker> {
        self.nodes[self.find(key)? as usize].waker.as_ref()
    }

    /// Puts in another waker and returns the old one, or gives the new one back if the key is stale.
    pub(crate) fn replace_waker(&mut self, key: Key, waker: Waker) -> Result<Waker, Waker> {
        match self.find(key) {
            Some(index) => match &mut self.nodes[index as usize].waker {
                Some(old) => Ok(std::mem::replace(old, waker)),
                None => Err(waker),
            },
            None => Err(waker),
        }
    }

    /// Brings the wheel to tick `now` and moves the wakers of all timers with a deadline up to it to `fired`, in the
    /// order of their ticks. Returns their number. Does nothing if `now` is before the current tick.
    pub(crate) fn advance(&mut self, now: u64, fired: &mut Vec<Waker>) -> usize {
        if now < self.current {
            return 0;
        }
        let before = fired.len();
        while let Some((list, start)) = self.earliest() {
            if start > now {
                break;
            }
            debug_assert!(start >= self.current);
            self.current = start;
            if list < SLOTS {
                self.fire(list, fired);
            } else {
                self.cascade(list);
            }
        }
        self.current = now;
        let count = fired.len() - before;
        if count > 0 {
            self.shrink_if_empty();
        }
        count
    }

    /// A tick that is not after the earliest deadline, and at which [`advance`](Wheel::advance) has something to do:
    /// exact if the deadline is within the current 64 ticks, else the beginning of the slot it waits in. `None` if no
    /// timer is armed.
    #[inline]
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        self.earliest().map(|(_, start)| start)
    }

    /// Removes all timers and moves their wakers to `into`, in no particular order.
    pub(crate) fn drain(&mut self, into: &mut Vec<Waker>) {
        into.reserve(self.len);
        into.extend(self.nodes.iter_mut().filter_map(|node| node.waker.take()));
        // The current tick and the generation go on counting: keys from before must stay stale.
        *self = Wheel {
            current: self.current,
            generation: self.generation,
            ..Wheel::new()
        };
    }

    /// The earliest list in use and its first tick.
    #[inline]
    fn earliest(&self) -> Option<(usize, u64)> {
        for (level, &occupied) in self.occupied.iter().enumerate() {
            if occupied != 0 {
                let slot = occupied.trailing_zeros() as usize;
                let shift = BITS * level as u32;
                let stretch = self.current >> (shift + BITS) << (shift + BITS);
                return Some((level * SLOTS + slot, stretch | (slot as u64) << shift));
            }
        }
        let overflow = self.lists[OVERFLOW].head != NIL;
        overflow.then_some((OVERFLOW, self.overflow_floor >> REACH << REACH))
    }

    /// Moves the wakers of a slot of level 0, all of which are due, to `fired`.
    fn fire(&mut self, list: usize, fired: &mut Vec<Waker>) {
        let mut index = self.take(list);
        while index != NIL {
            let node = &self.nodes[index as usize];
            debug_assert_eq!(node.deadline, self.current);
            let next = node.next;
            fired.extend(self.release(index));
            index = next;
        }
    }

    /// Deals the timers of a list out anew: from a slot whose first tick is current, to lower levels; from the overflow
    /// list, those of the current stretch to the levels and the others back again.
    fn cascade(&mut self, list: usize) {
        let mut index = self.take(list);
        while index != NIL {
            let next = self.nodes[index as usize].next;
            self.link(index);
            debug_assert!(list == OVERFLOW || usize::from(self.nodes[index as usize].list) < list);
            index = next;
        }
    }

    /// The node of a key that is not stale.
    #[inline]
    fn find(&self, key: Key) -> Option<u32> {
        let node = self.nodes.get(key.index as usize)?;
        (node.generation == key.generation && node.waker.is_some()).then_some(key.index)
    }

    /// The list that a deadline belongs to at the current tick.
    #[inline]
    fn list_of(&self, deadline: u64) -> usize {
        // The lowest digit is set so that equal ticks count as a difference at level 0.
        let difference = (deadline ^ self.current) | (SLOTS as u64 - 1);
        let level = (u64::BITS - 1 - difference.leading_zeros()) / BITS;
        if level as usize >= LEVELS {
            return OVERFLOW;
        }
        let slot = (deadline >> (level * BITS)) as usize % SLOTS;
        level as usize * SLOTS + slot
    }

    /// Appends a node to the list that its deadline belongs to.
    #[inline]
    fn link(&mut self, index: u32) {
        let deadline = self.nodes[index as usize].deadline;
        let list = self.list_of(deadline);
        let ends = &mut self.lists[list];
        let tail = std::mem::replace(&mut ends.tail, index);
        let node = &mut self.nodes[index as usize];
        node.list = list as u16;
        node.next = NIL;
        node.prev = tail;
        if tail != NIL {
            self.nodes[tail as usize].next = index;
        } else {
            ends.head = index;
        }
        if list == OVERFLOW {
            self.overflow_floor = if tail == NIL {
                deadline
            } else {
                self.overflow_floor.min(deadline)
            };
        } else {
            self.occupied[list / SLOTS] |= 1 << (list % SLOTS);
        }
    }

    /// Takes a node out of its list.
    #[inline]
    fn unlink(&mut self, index: u32) {
        let Node {
            next, prev, list, ..
        } = self.nodes[index as usize];
        let list = usize::from(list);
        if prev != NIL {
            self.nodes[prev as usize].next = next;
        } else {
            self.lists[list].head = next;
        }
        if next != NIL {
            self.nodes[next as usize].prev = prev;
        } else {
            self.lists[list].tail = prev;
        }
        if prev == NIL && next == NIL && list != OVERFLOW {
            self.occupied[list / SLOTS] &= !(1 << (list % SLOTS));
        }
    }

    /// Empties a list and returns its first node; the nodes stay linked to one another.
    fn take(&mut self, list: usize) -> u32 {
        if list != OVERFLOW {
            self.occupied[list / SLOTS] &= !(1 << (list % SLOTS));
        }
        std::mem::replace(&mut self.lists[list], List::EMPTY).head
    }

    /// Frees a node that is in no list. From here on its key is stale.
    #[inline]
    fn release(&mut self, index: u32) -> Option<Waker> {
        self.len -= 1;
        let node = &mut self.nodes[index as usize];
        node.next = self.free;
        self.free = index;
        node.waker.take()
    }

    /// Gives the memory of a large slab back when its last timer has left.
    #[inline]
    fn shrink_if_empty(&mut self) {
        if self.len == 0 && self.nodes.capacity() > KEEP {
            self.nodes = Vec::new();
            self.free = NIL;
        }
    }
}
