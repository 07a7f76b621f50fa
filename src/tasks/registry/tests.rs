//! A registry without a scheduler.

use super::*;

impl Registry {
    /// How many tasks can be registered.
    pub(in crate::tasks) const ROOM: usize = SHARDS * Shard::SLOTS;
}

#[test]
fn a_slot_takes_16_bytes() {
    assert_eq!(std::mem::size_of::<Slot>(), 16);
}

#[test]
fn slots_are_used_again_and_memory_given_back() {
    let registry = Registry::lease().unwrap();
    let keys: Vec<u32> = (0..5000)
        .map(|_| registry.insert(Waker::noop()).unwrap())
        .collect();
    assert_eq!(registry.len(), 5000);
    let pieces = |shard: &CachePadded<Mutex<Shard>>| shard.lock().slots.pieces.len();
    let all: usize = registry.shards.iter().map(pieces).sum();
    assert!(
        (5000 / PIECE..5000 / PIECE + SHARDS + 1).contains(&all),
        "{all} pieces"
    );
    assert!(registry.remove(keys[17]).is_some());
    assert!(registry.remove(keys[17]).is_none());
    assert_eq!(registry.insert(Waker::noop()), Ok(keys[17]));
    for key in &keys {
        assert!(registry.remove(*key).is_some());
    }
    assert_eq!(registry.len(), 0);
    // Another shard may keep a little from the runtime that had this registry before.
    let (shard, _) = registry.slot(keys[0]);
    assert_eq!(shard.lock().slots.pieces.capacity(), 0);
    registry.release();
}

#[test]
fn threads_have_numbers_of_their_own_and_a_shard_each() {
    let threads: Vec<_> = (0..100)
        .map(|_| {
            crate::sync::thread::spawn(|| {
                assert_eq!(thread_number(), thread_number());
                (thread_number(), thread_shard())
            })
        })
        .collect();
    let mut numbers = std::collections::HashSet::new();
    let mut shards = std::collections::HashSet::new();
    for thread in threads {
        let (number, shard) = thread.join().unwrap();
        assert!(number != 0 && numbers.insert(number));
        assert!(shard < SHARDS);
        shards.insert(shard);
    }
    assert_eq!(shards.len(), SHARDS);
}

#[test]
fn a_closed_registry_that_gives_its_memory_back_stays_closed() {
    let registry = Registry::lease().unwrap();
    let keys: Vec<u32> = (0..Shard::KEEP + 1)
        .map(|_| registry.insert(Waker::noop()).unwrap())
        .collect();
    registry.close();
    for key in keys {
        assert!(registry.remove(key).is_some());
    }
    assert!(registry.insert(Waker::noop()).is_err());
    registry.release();
}

#[test]
fn registries_are_used_again() {
    let held = [Registry::lease().unwrap(), Registry::lease().unwrap()];
    assert_ne!(held[0].index(), held[1].index());
    let before = made();
    assert!(before >= 2);
    for _ in 0..1000 {
        Registry::lease().unwrap().release();
    }
    // Other tests lease registries, too.
    assert!(made() < before + 500, "{} more were made", made() - before);
    held.into_iter().for_each(Registry::release);
}

#[test]
fn closed_means_refused_until_leased_again() {
    let registry = Registry::lease().unwrap();
    registry.close();
    assert!(registry.insert(Waker::noop()).is_err());
    registry.release();
}
