//! Finds the source of an event: a slab whose keys carry a generation.
//!
//! A key is `generation << INDEX_BITS | index`. Removing a source changes the generation of its
//! slot, so an event on its way to that source finds nothing, and not the slot's next owner. The
//! generation wraps. That does no harm: an event outlives its source by one batch at most, and a
//! slot cannot be reused that often during a batch.

use std::io;

use crate::sync::Arc;

#[cfg(any(test, doc))]
use super::event::RESERVED;
use super::state::State;

/// Half of a key each: four billion sources, four billion generations (65 thousand of each on a
/// 32-bit system).
const INDEX_BITS: u32 = usize::BITS / 2;
const INDEX_MASK: usize = (1 << INDEX_BITS) - 1;

/// Indices from here on are never given out, so that no source has one of the keys from
/// [`RESERVED`] on.
const MAX_SOURCES: usize = INDEX_MASK - 1;

#[derive(Default)]
pub(super) struct Registry {
    slots: Vec<Slot>,
    /// Indices of the vacant slots.
    vacant: Vec<usize>,
    end: Option<End>,
}

/// Why nothing more can be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Failed,
}

struct Slot {
    /// Number of owners that this slot has had; its low bits are in the key.
    generation: usize,
    state: Option<Arc<State>>,
}

fn key(index: usize, generation: usize) -> usize {
    generation << INDEX_BITS | index
}

impl Registry {
    /// Adds a source and returns its key.
    pub(super) fn insert(&mut self, state: State) -> io::Result<(usize, Arc<State>)> {
        let index = match self.vacant.pop() {
            Some(index) => index,
            None if self.slots.len() == MAX_SOURCES => {
                return Err(io::Error::other("too many i/o sources in one runtime"));
            }
            None => {
                self.slots.push(Slot {
                    generation: 0,
                    state: None,
                });
                self.slots.len() - 1
            }
        };
        let slot = &mut self.slots[index];
        let state = Arc::new(state);
        slot.state = Some(Arc::clone(&state));
        Ok((key(index, slot.generation), state))
    }

    #[inline]
    pub(super) fn get(&self, wanted: usize) -> Option<&Arc<State>> {
        let index = wanted & INDEX_MASK;
        let slot = self.slots.get(index)?;
        if key(index, slot.generation) != wanted {
            return None;
        }
        slot.state.as_ref()
    }

    pub(super) fn remove(&mut self, wanted: usize) {
        if self.get(wanted).is_none() {
            return;
        }
        let index = wanted & INDEX_MASK;
        let slot = &mut self.slots[index];
        slot.state = None;
        slot.generation = slot.generation.wrapping_add(1);
        self.vacant.push(index);
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<State>> {
        self.slots.iter().filter_map(|slot| slot.state.as_ref())
    }

    /// Ends registration. The first reason stays.
    pub(super) fn end(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    pub(super) fn ended(&self) -> Option<End> {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_never_finds_the_new_owner() {
        let mut registry = Registry::default();
        let (old, _) = registry.insert(State::new()).unwrap();
        registry.remove(old);
        let (new, state) = registry.insert(State::new()).unwrap();
        assert_eq!(old & INDEX_MASK, new & INDEX_MASK);
        assert!(registry.get(old).is_none());
        assert!(Arc::ptr_eq(registry.get(new).unwrap(), &state));
        registry.remove(old);
        assert_eq!(registry.len(), 1);
        registry.remove(new);
        registry.remove(new);
        assert_eq!((registry.len(), registry.vacant.len()), (0, 1));
    }

    #[test]
    fn the_last_slot_s_last_key_is_not_reserved() {
        assert!(key(MAX_SOURCES - 1, usize::MAX) < RESERVED);
        let mut registry = Registry::default();
        let _ = registry.insert(State::new()).unwrap();
        assert!(registry.get(RESERVED).is_none());
    }
}
