//! The queue of what waits in class `Background`: first in first out, and any of it can be taken
//! out by its tag.
//!
//! # What it guarantees
//!
//! A runnable that was pushed is given out once, by [`BackgroundQueue::pop`] or by
//! [`BackgroundQueue::extract`]. Both take the same time however long the queue is.
//!
//! # How
//!
//! Each runnable has a number, the next one of the queue, and an index leads from its tag to the
//! number. Who takes one out of the middle leaves its place empty, and `pop` passes over such
//! places. When more than half of the places are empty, those that are left move together. A push
//! or an extraction pays for that with a constant, as each place that moves stands for one that was
//! left empty since the last time.
//!
//! All is under one lock, which is held for some 50 ns. No code of the user's runs under it:
//! runnables are moved, and never dropped.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Places beyond which empty ones are worth closing up, and memory is worth giving back.
const SMALL: usize = 64;

/// See the module's documentation. `T` is a runnable; the models use a number.
#[derive(Debug)]
pub(crate) struct BackgroundQueue<T> {
    places: Mutex<Places<T>>,
    /// How many are queued. Written under the lock; read without it as a hint, or after a fence
    /// (see [`super`]): `Relaxed`.
    len: AtomicUsize,
}

#[derive(Debug)]
struct Places<T> {
    /// With the tag, for when the numbers change.
    queue: VecDeque<Option<(u64, T)>>,
    /// The number of the first place.
    first: u64,
    /// From tags to numbers: of all that are queued.
    numbers: HashMap<u64, u64, BuildHasherDefault<TagHasher>>,
}

impl<T> Default for Places<T> {
    fn default() -> Places<T> {
        Places {
            queue: VecDeque::new(),
            first: 0,
            numbers: HashMap::default(),
        }
    }
}

impl<T> BackgroundQueue<T> {
    pub(crate) fn new() -> BackgroundQueue<T> {
        BackgroundQueue {
            places: Mutex::new(Places::default()),
            len: AtomicUsize::new(0),
        }
    }

    /// How many are queued.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Queues it under its tag, unless `belongs` says under the lock that its place is elsewhere.
    /// Then it comes back.
    ///
    /// Who changes what `belongs` asks for, and calls [`BackgroundQueue::extract`] afterwards,
    /// either finds it here, or its lock comes first and the change is seen by `belongs`.
    pub(crate) fn push_if(
        &self,
        tag: u64,
        runnable: T,
        belongs: impl Fn(&T) -> bool,
    ) -> Result<(), T> {
        let mut places = self.places.lock();
        if !belongs(&runnable) {
            return Err(runnable);
        }
        places.push(tag, runnable);
        self.len.store(places.numbers.len(), Ordering::Relaxed);
        Ok(())
    }

    /// The one that has waited for longest.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut places = self.places.lock();
        let popped = places.pop();
        self.len.store(places.numbers.len(), Ordering::Relaxed);
        popped
    }

    /// The one with this tag, if it is queued.
    pub(crate) fn extract(&self, tag: u64) -> Option<T> {
        let mut places = self.places.lock();
        let extracted = places.extract(tag);
        self.len.store(places.numbers.len(), Ordering::Relaxed);
        extracted
    }
}

impl<T> Places<T> {
    fn push(&mut self, tag: u64, runnable: T) {
        let number = self.first + self.queue.len() as u64;
        self.queue.push_back(Some((tag, runnable)));
        let other = self.numbers.insert(tag, number);
        debug_assert!(other.is_none(), "a task is queued twice");
    }

    fn pop(&mut self) -> Option<T> {
        let popped = loop {
            let place = self.queue.pop_front()?;
            self.first += 1;
            if place.is_some() {
                break place;
            }
        };
        let (tag, runnable) = popped?;
        self.numbers.remove(&tag);
        self.tidy();
        Some(runnable)
    }

    fn extract(&mut self, tag: u64) -> Option<T> {
        let number = self.numbers.remove(&tag)?;
        let index = usize::try_from(number - self.first).ok()?;
        let (_, runnable) = self.queue.get_mut(index)?.take()?;
        self.tidy();
        Some(runnable)
    }

    /// Gives back what one large crowd took, and closes up.
    fn tidy(&mut self) {
        let (queued, places) = (self.numbers.len(), self.queue.len());
        if queued == 0 && self.queue.capacity() > SMALL {
            *self = Places {
                first: self.first + places as u64,
                ..Places::default()
            };
        } else if places > SMALL && 2 * queued < places {
            self.first += places as u64;
            self.queue.retain(Option::is_some);
            let tags = self.queue.iter().flatten().map(|(tag, _)| *tag);
            self.numbers = tags.zip(self.first..).collect();
        }
    }
}

/// Tags differ in some bits of an id that counts up, so a multiplication spreads them (Fibonacci
/// hashing). Nobody from outside chooses one.
#[derive(Debug, Default)]
struct TagHasher(u64);

impl Hasher for TagHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let product = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // The table goes by the lowest bits and by the highest, and the highest are the best.
        self.0 = product ^ product >> 32;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn push(queue: &BackgroundQueue<u64>, tag: u64) {
        assert_eq!(queue.push_if(tag, tag, |_| true), Ok(()));
    }

    #[test]
    fn what_does_not_belong_comes_back() {
        let queue = BackgroundQueue::new();
        assert_eq!(queue.push_if(1, 7, |runnable| *runnable != 7), Err(7));
        assert_eq!((queue.len(), queue.pop()), (0, None));
    }

    #[test]
    fn a_crowd_leaves_no_memory_behind() {
        let queue = BackgroundQueue::new();
        (0..10_000).for_each(|tag| push(&queue, tag));
        (0..10_000).for_each(|tag| assert_eq!(queue.extract(9_999 - tag), Some(9_999 - tag)));
        let places = queue.places.lock();
        assert!(places.queue.capacity() <= SMALL && places.numbers.capacity() <= 2 * SMALL);
    }

    /// The first one stays, and others come and go behind it.
    #[test]
    fn empty_places_do_not_add_up() {
        let queue = BackgroundQueue::new();
        push(&queue, 0);
        for tag in 1..10_000 {
            push(&queue, tag);
            assert_eq!(queue.extract(tag), Some(tag));
        }
        assert!(queue.places.lock().queue.len() <= SMALL + 1);
        assert_eq!((queue.pop(), queue.pop()), (Some(0), None));
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push,
        Pop,
        /// The one with this tag, of those that were ever pushed.
        Extract(prop::sample::Index),
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_list(
            steps in prop::collection::vec(
                prop_oneof![
                    4 => Just(Step::Push),
                    1 => Just(Step::Pop),
                    3 => any::<prop::sample::Index>().prop_map(Step::Extract),
                ],
                0..600,
            ),
        ) {
            let (queue, mut list, mut next) = (BackgroundQueue::new(), VecDeque::new(), 1);
            for step in steps {
                match step {
                    Step::Push => {
                        push(&queue, next << 18);
                        list.push_back(next << 18);
                        next += 1;
                    }
                    Step::Pop => prop_assert_eq!(queue.pop(), list.pop_front()),
                    Step::Extract(index) => {
                        let tag = (index.index(next as usize) as u64) << 18;
                        let place = list.iter().position(|other| *other == tag);
                        prop_assert_eq!(queue.extract(tag), place.and_then(|at| list.remove(at)));
                    }
                }
                prop_assert_eq!(queue.len(), list.len());
            }
            prop_assert!(std::iter::from_fn(|| queue.pop()).eq(list));
        }
    }
}
