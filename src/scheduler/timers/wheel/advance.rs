//! Advancing a wheel, in pieces: steps 1 and 2 of [`super`], and what is left of large slots.

use std::task::Waker;

use super::{DETACHED, List, MOVES, NIL, OVERFLOW, SLOTS, Wheel};

impl Wheel {
    /// Brings the wheel towards tick `now` and moves the wakers of timers with a deadline up to it
    /// to `fired`: at most `piece` that have fallen due since, in the order of their ticks, and as
    /// many of the backlog. Returns their number. There are more if
    /// [`next_expiry`](Wheel::next_expiry) is not after `now`. Does nothing if `now` is before the
    /// current tick.
    pub(crate) fn advance(&mut self, now: u64, piece: usize, fired: &mut Vec<Waker>) -> usize {
        if now < self.current {
            return 0;
        }
        let before = fired.len();
        let moves = piece.saturating_mul(MOVES);
        if !self.undealt.is_empty() {
            self.deal_on(moves);
        }
        let had_backlog = !self.backlog.is_empty();
        let mut left = piece;
        loop {
            let Some((slot, start)) = self.earliest().filter(|&(_, start)| start <= now) else {
                self.current = now;
                break;
            };
            debug_assert!(start >= self.current);
            self.current = start;
            let is_done = if slot < SLOTS {
                self.fire(slot, &mut left, fired)
            } else {
                self.cascade(slot, moves);
                true
            };
            if !is_done || left == 0 {
                break;
            }
        }
        if had_backlog {
            self.fire_backlog(piece, fired);
        }
        let count = fired.len() - before;
        if count > 0 {
            self.shrink_if_empty();
        }
        count
    }

    /// Moves the wakers of a slot of level 0, all of which are due, to `fired`, `left` of them at
    /// most. Its rest goes to the backlog. False: it is still there.
    fn fire(&mut self, slot: usize, left: &mut usize, fired: &mut Vec<Waker>) -> bool {
        let list = self.in_slots[slot];
        // Half of what is left, so that the next slots have some of the piece, too.
        let mut share = left.div_ceil(2);
        *left -= share;
        self.fire_list(list, &mut share, fired);
        *left += share;
        if self.lists[usize::from(list)].head == NIL {
            self.vacate(slot);
            return true;
        }
        let detached = self.detach(slot);
        self.backlog.extend(detached);
        detached.is_some()
    }

    /// Fires from the front of a list.
    fn fire_list(&mut self, list: u16, left: &mut usize, fired: &mut Vec<Waker>) {
        let mut index = self.lists[usize::from(list)].head;
        while index != NIL && *left > 0 {
            let next = self.nodes[index as usize].next;
            fired.extend(self.release(index));
            *left -= 1;
            index = next;
        }
        self.cut_front(list, index);
    }

    /// A piece of what is left of large slots: the lists have their turn one after the other.
    #[cold]
    fn fire_backlog(&mut self, piece: usize, fired: &mut Vec<Waker>) {
        let mut left = piece;
        while left > 0 {
            let Some(list) = self.backlog.pop_front() else {
                break;
            };
            self.fire_list(list, &mut left, fired);
            match self.lists[usize::from(list)].head {
                NIL => self.give_back(list),
                _ => self.backlog.push_back(list),
            }
        }
    }

    /// Deals the timers of a slot out anew: from one whose first tick is current, to lower levels;
    /// from the overflow list, those of the current stretch to the levels and the others back
    /// again.
    fn cascade(&mut self, slot: usize, moves: usize) {
        let list = self.in_slots[slot];
        if slot == OVERFLOW {
            let head = self.take(list);
            self.deal(head, usize::MAX);
            return;
        }
        let head = self.lists[usize::from(list)].head;
        let mut rest = self.deal(head, moves);
        if rest != NIL {
            self.cut_front(list, rest);
            if let Some(detached) = self.detach(slot) {
                self.undealt.push_back(detached);
                return;
            }
            rest = self.deal(rest, usize::MAX);
        }
        self.cut_front(list, rest);
        self.vacate(slot);
    }

    /// Links nodes anew, from this one on. Gives the one that it comes to at the end.
    fn deal(&mut self, mut index: u32, moves: usize) -> u32 {
        let mut left = moves;
        while index != NIL && left > 0 {
            let next = self.nodes[index as usize].next;
            self.link(index);
            index = next;
            left -= 1;
        }
        index
    }

    /// Goes on with a slot that is being dealt out.
    #[cold]
    fn deal_on(&mut self, moves: usize) {
        let Some(list) = self.undealt.pop_front() else {
            return;
        };
        let mut rest = self.lists[usize::from(list)].head;
        let mut joined = None;
        for _ in 0..moves {
            if rest == NIL {
                break;
            }
            let node = &self.nodes[rest as usize];
            let (next, deadline) = (node.next, node.deadline);
            if deadline <= self.current && joined.is_none_or(|(of, _)| of != deadline) {
                joined = self.backlog_of(deadline).map(|list| (deadline, list));
            }
            match joined {
                Some((of, backlog)) if of == deadline => self.append(rest, backlog),
                _ => self.link_at(rest, deadline.max(self.current)),
            }
            rest = next;
        }
        self.cut_front(list, rest);
        match rest {
            NIL => self.give_back(list),
            _ => self.undealt.push_front(list),
        }
    }

    /// The list of the backlog whose last timer has this deadline.
    fn backlog_of(&self, deadline: u64) -> Option<u16> {
        let mut lists = self.backlog.iter().copied();
        lists.find(|&list| match self.lists[usize::from(list)].tail {
            NIL => false,
            tail => self.nodes[tail as usize].deadline == deadline,
        })
    }

    /// A list begins with this node from now on; those before it have been released, or linked
    /// elsewhere.
    fn cut_front(&mut self, list: u16, head: u32) {
        let ends = &mut self.lists[usize::from(list)];
        ends.head = head;
        match head {
            NIL => ends.tail = NIL,
            _ => self.nodes[head as usize].prev = NIL,
        }
    }

    /// Takes the list out of a slot, which gets an empty one. `None`: there is none.
    #[cold]
    fn detach(&mut self, slot: usize) -> Option<u16> {
        self.num_spare = self.num_spare.checked_sub(1)?;
        let other = self.spare[self.num_spare];
        self.lists[usize::from(other)] = List::EMPTY;
        self.places[usize::from(other)] = slot as u16;
        let detached = std::mem::replace(&mut self.in_slots[slot], other);
        self.places[usize::from(detached)] = DETACHED;
        self.vacate(slot);
        Some(detached)
    }

    /// An empty list that was detached may be used again.
    fn give_back(&mut self, list: u16) {
        self.spare[self.num_spare] = list;
        self.num_spare += 1;
    }
}
