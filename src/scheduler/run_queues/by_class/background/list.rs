//! A list in the order of its pushes, any of which can be taken out by its tag.
//!
//! # What it guarantees
//!
//! No step takes longer because the list is long: nothing is moved or counted anew when it grows or
//! shrinks. The exception is a vector of one pointer to each [`PIECE`] entries, which is copied as
//! it doubles: 47 KiB, some µs, for a million entries.
//!
//! # How
//!
//! Entries lie in pieces that never move, and are linked in both directions. Those that are empty
//! are linked, too. Beside them is a table of chains by the hash of the tag, which grows by one
//! chain with each entry more (linear hashing): the chain that is added takes over its part of one
//! other. With `n` chains, a hash belongs to the chain that its lowest bits say, as many as make up
//! for `n`, or one bit less if there is no such chain yet.

use std::mem;

/// Entries of 32 bytes: 16 KiB at a time.
const PIECE: usize = 512;

/// No entry.
const NONE: u32 = u32::MAX;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct TaggedList<T> {
    entries: Pieces<Entry<T>>,
    /// The first of each chain.
    chains: Pieces<u32>,
    first: u32,
    last: u32,
    /// The first empty entry.
    empty: u32,
    len: usize,
}

#[derive(Debug)]
struct Entry<T> {
    /// `None`: it is empty.
    content: Option<(u64, T)>,
    before: u32,
    /// Also of an empty one.
    after: u32,
    next_of_chain: u32,
}

impl<T> Default for TaggedList<T> {
    fn default() -> TaggedList<T> {
        TaggedList {
            entries: Pieces(Vec::new()),
            chains: Pieces(Vec::new()),
            first: NONE,
            last: NONE,
            empty: NONE,
            len: 0,
        }
    }
}

impl<T> TaggedList<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// To the end. No other has this tag.
    pub(super) fn push(&mut self, tag: u64, content: T) {
        debug_assert!(self.find(tag).is_none(), "a task is queued twice");
        self.len += 1;
        if self.chains.len() < self.len {
            self.add_chain();
        }
        let chain = chain_of(tag, self.chains.len());
        let entry = Entry {
            content: Some((tag, content)),
            before: self.last,
            after: NONE,
            next_of_chain: *self.chains.at(chain),
        };
        let index = match self.empty {
            NONE => self.entries.push(entry) as u32,
            index => {
                self.empty = mem::replace(self.entry(index), entry).after;
                index
            }
        };
        *self.chains.at(chain) = index;
        match mem::replace(&mut self.last, index) {
            NONE => self.first = index,
            last => self.entry(last).after = index,
        }
    }

    /// The first one.
    pub(super) fn pop(&mut self) -> Option<T> {
        let (tag, _) = self.entries.get(self.first)?.content.as_ref()?;
        self.extract(*tag)
    }

    /// The one with this tag.
    pub(super) fn extract(&mut self, tag: u64) -> Option<T> {
        let (index, before) = self.find(tag)?;
        let empty = self.empty;
        let entry = self.entry(index);
        let after = mem::replace(&mut entry.after, empty);
        let (ahead, next) = (entry.before, entry.next_of_chain);
        let content = entry.content.take();
        self.empty = index;
        match before {
            NONE => *self.chains.at(chain_of(tag, self.chains.len())) = next,
            before => self.entry(before).next_of_chain = next,
        }
        match ahead {
            NONE => self.first = after,
            ahead => self.entry(ahead).after = after,
        }
        match after {
            NONE => self.last = ahead,
            after => self.entry(after).before = ahead,
        }
        self.len -= 1;
        content.map(|(_, content)| content)
    }

    /// Entries, empty ones with them.
    #[cfg(test)]
    pub(super) fn num_places(&self) -> usize {
        self.entries.len()
    }

    /// What an empty list has beyond a piece, for who drops it where that may take a while.
    pub(super) fn take_memory(&mut self) -> Option<TaggedList<T>> {
        (self.len == 0 && self.entries.0.len() > 1).then(|| mem::take(self))
    }

    /// The entry with this tag, and the one before it in its chain.
    fn find(&self, tag: u64) -> Option<(u32, u32)> {
        let count = self.chains.len();
        if count == 0 {
            return None;
        }
        let (mut before, mut index) = (NONE, *self.chains.get(chain_of(tag, count) as u32)?);
        loop {
            let entry = self.entries.get(index)?;
            if matches!(entry.content, Some((other, _)) if other == tag) {
                return Some((index, before));
            }
            (before, index) = (index, entry.next_of_chain);
        }
    }

    /// One more chain, with what belongs to it from now on.
    fn add_chain(&mut self) {
        let added = self.chains.push(NONE);
        let count = added + 1;
        if added == 0 {
            return;
        }
        // Where the hashes of the new one belonged so far: without the highest bit.
        let split = added - (1 << added.ilog2());
        let mut index = mem::replace(self.chains.at(split), NONE);
        while let Some(entry) = self.entries.get_mut(index) {
            let tag = entry.content.as_ref().map_or(0, |(tag, _)| *tag);
            let chain = self.chains.at(chain_of(tag, count));
            let next = mem::replace(&mut entry.next_of_chain, *chain);
            *chain = mem::replace(&mut index, next);
        }
    }

    fn entry(&mut self, index: u32) -> &mut Entry<T> {
        self.entries.at(index as usize)
    }
}

/// Of so many.
fn chain_of(tag: u64, count: usize) -> usize {
    // Tags differ in some bits of an id that counts up, so a multiplication spreads them (Fibonacci
    // hashing). The highest bits are the best. Nobody from outside chooses one.
    let hash = (tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize;
    let bits = count.next_power_of_two();
    match hash & (bits - 1) {
        chain if chain < count => chain,
        later => later & (bits / 2 - 1),
    }
}

/// A vector that grows without moving what is in it.
#[derive(Debug)]
struct Pieces<V>(Vec<Vec<V>>);

impl<V> Pieces<V> {
    fn len(&self) -> usize {
        let last = self.0.last().map_or(0, Vec::len);
        self.0.len().saturating_sub(1) * PIECE + last
    }

    /// Gives its index.
    fn push(&mut self, value: V) -> usize {
        let index = self.len();
        if index % PIECE == 0 {
            self.0.push(Vec::with_capacity(PIECE));
        }
        if let Some(last) = self.0.last_mut() {
            last.push(value);
        }
        index
    }

    fn get(&self, index: u32) -> Option<&V> {
        let index = index as usize;
        self.0.get(index / PIECE)?.get(index % PIECE)
    }

    fn get_mut(&mut self, index: u32) -> Option<&mut V> {
        let index = index as usize;
        self.0.get_mut(index / PIECE)?.get_mut(index % PIECE)
    }

    /// One that is there.
    fn at(&mut self, index: usize) -> &mut V {
        &mut self.0[index / PIECE][index % PIECE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_stay_short_and_each_tag_has_one() {
        let mut list = TaggedList::default();
        for number in 0..5000_u64 {
            list.push(number << 18, number);
        }
        let lengths = (0..list.chains.len()).map(|chain| {
            let mut length = 0;
            let mut index = *list.chains.at(chain);
            while let Some(entry) = list.entries.get(index) {
                let (tag, _) = entry.content.as_ref().unwrap();
                assert_eq!(chain_of(*tag, 5000), chain);
                (index, length) = (entry.next_of_chain, length + 1);
            }
            length
        });
        let lengths = Vec::from_iter(lengths);
        assert_eq!((lengths.len(), lengths.iter().sum::<usize>()), (5000, 5000));
        assert!(lengths.into_iter().max() < Some(12));
    }

    #[test]
    fn entries_are_used_again_and_memory_is_given_back_when_all_are_empty() {
        let mut list = TaggedList::default();
        list.push(0, 0);
        for tag in 1..10_000 {
            list.push(tag, tag);
            assert_eq!(list.extract(tag), Some(tag));
        }
        assert_eq!((list.entries.len(), list.chains.len()), (2, 2));
        assert!(list.take_memory().is_none());
        (1..10_000).for_each(|tag| list.push(tag, tag));
        (1..10_000).for_each(|tag| assert_eq!(list.extract(10_000 - tag), Some(10_000 - tag)));
        assert!(list.take_memory().is_none(), "one is there");
        assert_eq!((list.pop(), list.pop()), (Some(0), None));
        assert_eq!(
            list.take_memory().map(|list| list.entries.len()),
            Some(10_000)
        );
        assert_eq!(
            (list.entries.len(), list.chains.len(), list.len()),
            (0, 0, 0)
        );
        list.push(7, 7);
        assert_eq!((list.extract(8), list.pop()), (None, Some(7)));
    }
}
