//! A hierarchical timing wheel: the timers of one processor as plain data.
//!
//! After G. Varghese and T. Lauck, *Hashed and Hierarchical Timing Wheels: Data Structures for the
//! Efficient Implementation of a Timer Facility* (SOSP 1987), scheme 7. Time is a count of ticks;
//! how long a tick is, the clock decides. Six levels of 64 slots: a slot of level `l` spans `64^l`
//! ticks.
//!
//! **Where a timer lives.** Write tick numbers in base 64. A timer is at the level of the highest
//! digit in which its deadline differs from the wheel's current tick, in the slot which that digit
//! names. Two things follow, and all the rest of this file leans on them:
//!
//! - At each level only slots *behind* the current digit are in use (at level 0 also the current
//!   one, for timers that are due already). A slot never wraps round, so the first bit of a level's
//!   occupancy map is its earliest slot.
//! - Everything in a lower level comes before everything in a higher one: it shares the higher
//!   digit with the present. So the lowest level with any bit set holds the earliest timer.
//!
//! **Advancing**, in steps:
//!
//! 1. Find the earliest slot in use. If it begins after `now`, the current tick becomes `now`, and
//!    that is all; no timer changes its level by that, since no slot in use was reached.
//! 2. Else the current tick becomes the first tick of that slot, and the slot is emptied: a slot of
//!    level 0 fires, one of a higher level is dealt out to the levels below (*cascades*). Go to 1.
//!
//! So the price is that of the timers fired and moved (each at most six times in its life), never
//! of the ticks that passed, and timers fire in the order of their ticks even when the wheel is
//! late.
//!
//! **In pieces.** One call fires at most a *piece* of what has fallen due since the last one, and
//! moves at most [`MOVES`] times as many of a slot, so that a million timers of one tick hold up
//! neither a lock nor the timers after them:
//!
//! 1. A slot gets half of what is left of the piece. The rest of it goes to the **backlog**, as one
//!    list and in one step: its nodes name the list that they are in, and not the slot, so the slot
//!    is given another list and the nodes stay as they are.
//! 2. Each call fires a second piece out of the backlog, from its lists in turn. So later ticks and
//!    the rest of a large one advance side by side, and neither waits for the other.
//! 3. Likewise what is left of a slot that is dealt out: its rest is dealt out by the next calls,
//!    first. A timer that is found to be due by then joins the current slot, or those of its own
//!    deadline in the backlog: there may be more pieces of a large tick than spare lists, and a
//!    timer after it is not to be put behind all of them.
//! 4. While there is a backlog, [`Wheel::next_expiry`] is the current tick: something is due.
//!
//! There are [`SPARE`] lists for that. When all are in use, the current tick stands still until one
//! is free, and a slot is dealt out at once.
//!
//! Deadlines in another stretch of `64^6` ticks than the present wait in one overflow list. It is
//! dealt out when the stretch of its earliest deadline begins.
//!
//! Guarantees: no timer fires before its tick; a key whose timer is gone is harmless; no waker is
//! cloned, woken or dropped in here (they are handed to the caller, who does that outside its
//! lock); once the slab has grown to the number of timers armed at one time, nothing allocates.
//!
//! Not in here: locks, threads, clocks. The slab shrinks only when the last timer leaves.

use std::collections::VecDeque;
use std::task::Waker;

// By its path, since the models take this file in from elsewhere.
#[path = "wheel/advance.rs"]
mod advance;
#[cfg(test)]
mod tests;

/// Base-64 digits: a level's occupancy fits one word.
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const LEVELS: usize = 6;
/// Ticks that the levels cover together, as a power of two (13 days); deadlines in another stretch
/// of that length overflow.
const REACH: u32 = BITS * LEVELS as u32;
/// The slot behind those of all levels.
const OVERFLOW: usize = LEVELS * SLOTS;
/// No slot.
const DETACHED: u16 = u16::MAX;

/// What a call fires of the timers that have fallen due since the last one, and of the backlog: a
/// waker takes some 100 ns and the poll that it brings as long, so others wait for some 50 µs.
/// Larger ones tie, smaller ones cost more looks.
pub(crate) const PIECE: usize = 128;
/// What a call moves of one slot, to what it fires: moving takes some 10 ns.
const MOVES: usize = 32;
/// Lists for the rest of slots.
const SPARE: usize = 64;

/// No node. Indices are below it.
const NIL: u32 = u32::MAX;

/// A slab of at most this many nodes (40 KiB) is kept when the last timer leaves. To outgrow it
/// takes so many inserts that growing anew is lost among them.
const KEEP: usize = 1024;

/// Names one timer of one wheel.
///
/// The generation is the number of the insert, modulo `2^32`. It goes on counting when the slab is
/// given back, so a key could be mistaken only if kept for an exact multiple of `2^32` inserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

/// One timer, or a free place of the slab: then `waker` is `None` and `next` links the free list.
struct Node {
    /// Never below the current tick at the time of insertion, so that an overdue timer is not a
    /// special case.
    deadline: u64,
    waker: Option<Waker>,
    next: u32,
    prev: u32,
    generation: u32,
    /// The list this node is in.
    list: u16,
}

/// Ends of a doubly linked list of nodes. Timers are appended, so within a tick the first armed
/// fires first, unless the wheel is late and deals them out in pieces.
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

/// Where the lists of a new wheel are: one in each slot, and spare ones.
const PLACES: [u16; OVERFLOW + 1 + SPARE] = {
    let mut places = [DETACHED; OVERFLOW + 1 + SPARE];
    let mut slot = 0;
    while slot <= OVERFLOW {
        places[slot] = slot as u16;
        slot += 1;
    }
    places
};

/// The spare lists of a new wheel.
const SPARE_LISTS: [u16; SPARE] = {
    let mut lists = [0; SPARE];
    let mut index = 0;
    while index < SPARE {
        lists[index] = (OVERFLOW + 1 + index) as u16;
        index += 1;
    }
    lists
};

/// Which list is in which slot of a new wheel.
const IN_SLOTS: [u16; OVERFLOW + 1] = {
    let mut lists = [0; OVERFLOW + 1];
    let mut slot = 0;
    while slot <= OVERFLOW {
        lists[slot] = slot as u16;
        slot += 1;
    }
    lists
};

/// See the [module documentation](self).
pub(crate) struct Wheel {
    /// The tick up to which timers have fired.
    current: u64,
    len: usize,
    /// One bit per slot that has timers, per level.
    occupied: [u64; LEVELS],
    lists: [List; OVERFLOW + 1 + SPARE],
    /// Where each list is: `level * SLOTS + slot`, [`OVERFLOW`], or [`DETACHED`].
    places: [u16; OVERFLOW + 1 + SPARE],
    /// The list in each slot.
    in_slots: [u16; OVERFLOW + 1],
    /// The first `num_spare` of these are lists that are nowhere. Any may become one: a slot gets
    /// another for what it gives away.
    spare: [u16; SPARE],
    num_spare: usize,
    /// Detached lists, all of whose timers are due.
    backlog: VecDeque<u16>,
    /// Detached lists that are being dealt out.
    undealt: VecDeque<u16>,
    /// Not above any deadline in the overflow list; exact after each dealing out. Meaningless when
    /// the list is empty.
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
            lists: [List::EMPTY; OVERFLOW + 1 + SPARE],
            places: PLACES,
            in_slots: IN_SLOTS,
            spare: SPARE_LISTS,
            num_spare: SPARE,
            backlog: VecDeque::new(),
            undealt: VecDeque::new(),
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

    /// Arms a timer. One whose deadline is not after the current tick fires at the next
    /// [`advance`](Wheel::advance).
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

    /// Removes a timer and returns its waker; `None` if it has fired, was cancelled or never was in
    /// this wheel.
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

    /// Puts in another waker and returns the old one, or gives the new one back if the key is
    /// stale.
    pub(crate) fn replace_waker(&mut self, key: Key, waker: Waker) -> Result<Waker, Waker> {
        match self.find(key) {
            Some(index) => match &mut self.nodes[index as usize].waker {
                Some(old) => Ok(std::mem::replace(old, waker)),
                None => Err(waker),
            },
            None => Err(waker),
        }
    }

    /// A tick that is not after the earliest deadline, and at which [`advance`](Wheel::advance) has
    /// something to do: exact if the deadline is within the current 64 ticks, else the beginning of
    /// the slot it waits in. `None` if no timer is armed.
    #[inline]
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        if self.backlog.is_empty() && self.undealt.is_empty() {
            return self.earliest().map(|(_, start)| start);
        }
        (self.len > 0).then_some(self.current)
    }

    /// More is due than the last call has fired.
    pub(crate) fn is_late(&self) -> bool {
        !self.backlog.is_empty()
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

    /// If it is empty, goes on from that tick: in a simulation, time has another beginning.
    pub(crate) fn begin_at(&mut self, tick: u64) {
        if self.len == 0 {
            self.current = tick;
        }
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
        let overflow = self.lists[usize::from(self.in_slots[OVERFLOW])].head != NIL;
        overflow.then_some((OVERFLOW, self.overflow_floor >> REACH << REACH))
    }

    /// Nothing is in this slot, which is not that of the overflow.
    #[inline]
    fn vacate(&mut self, slot: usize) {
        self.occupied[slot / SLOTS] &= !(1 << (slot % SLOTS));
    }

    /// The node of a key that is not stale.
    #[inline]
    fn find(&self, key: Key) -> Option<u32> {
        let node = self.nodes.get(key.index as usize)?;
        (node.generation == key.generation && node.waker.is_some()).then_some(key.index)
    }

    /// The slot that a deadline belongs to at the current tick.
    #[inline]
    fn slot_of(&self, deadline: u64) -> usize {
        // The lowest digit is set so that equal ticks count as a difference at level 0.
        let difference = (deadline ^ self.current) | (SLOTS as u64 - 1);
        let level = (u64::BITS - 1 - difference.leading_zeros()) / BITS;
        if level as usize >= LEVELS {
            return OVERFLOW;
        }
        let slot = (deadline >> (level * BITS)) as usize % SLOTS;
        level as usize * SLOTS + slot
    }

    /// Appends a node, which is not overdue, to the list of the slot that its deadline belongs to.
    #[inline]
    fn link(&mut self, index: u32) {
        self.link_at(index, self.nodes[index as usize].deadline);
    }

    /// Appends a node to the list of the slot that this tick belongs to.
    #[inline]
    fn link_at(&mut self, index: u32, deadline: u64) {
        let slot = self.slot_of(deadline);
        let list = self.in_slots[slot];
        if slot == OVERFLOW {
            self.overflow_floor = if self.lists[usize::from(list)].head == NIL {
                deadline
            } else {
                self.overflow_floor.min(deadline)
            };
        } else {
            self.occupied[slot / SLOTS] |= 1 << (slot % SLOTS);
        }
        self.append(index, list);
    }

    /// Makes a node the last one of a list.
    #[inline]
    fn append(&mut self, index: u32, list: u16) {
        let ends = &mut self.lists[usize::from(list)];
        let tail = std::mem::replace(&mut ends.tail, index);
        let node = &mut self.nodes[index as usize];
        node.list = list;
        node.next = NIL;
        node.prev = tail;
        if tail != NIL {
            self.nodes[tail as usize].next = index;
        } else {
            ends.head = index;
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
        if prev == NIL && next == NIL {
            let slot = usize::from(self.places[list]);
            if slot < OVERFLOW {
                self.vacate(slot);
            }
        }
    }

    /// Empties a list and returns its first node; the nodes stay linked to one another.
    fn take(&mut self, list: u16) -> u32 {
        let ends = &mut self.lists[usize::from(list)];
        ends.tail = NIL;
        std::mem::replace(&mut ends.head, NIL)
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
