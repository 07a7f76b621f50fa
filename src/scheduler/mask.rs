//! A set of small numbers that all threads read, and that grows with the number of processors by
//! one bit each.
//!
//! So whoever looks for the few processors, or timer wheels, that have something reads a word for
//! 64 of them, and not each. Who may change which bit, and when, is the caller's protocol:
//! [`super::run_queues::marks`], [`super::timers`]. What holds in any case: a bit is changed by one
//! thread at a time, and by a read-modify-write, since the other bits of its word are others'.

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicU64, Ordering};

const BITS: usize = u64::BITS as usize;

/// See the module's documentation.
pub(crate) struct Mask {
    /// Each on a line of its own: 64 processors meet on it, and not all.
    ///
    /// Written with release and read with acquire: who sees a bit set sees what was done before,
    /// such as the filling of the place that it stands for. That a change is seen in time, the
    /// fences of the caller's protocol make sure.
    words: Box<[CachePadded<AtomicU64>]>,
}

impl Mask {
    /// For the numbers below `room`, none of which is in the set.
    pub(crate) fn new(room: usize) -> Mask {
        let words = (0..room.div_ceil(BITS)).map(|_| AtomicU64::new(0).into());
        Mask {
            words: words.collect(),
        }
    }

    fn word(&self, number: usize) -> (&AtomicU64, u64) {
        (&self.words[number / BITS], 1 << (number % BITS))
    }

    #[inline]
    pub(crate) fn contains(&self, number: usize) -> bool {
        let (word, bit) = self.word(number);
        word.load(Ordering::Acquire) & bit != 0
    }

    /// Not beside another change of this bit.
    #[inline]
    pub(crate) fn insert(&self, number: usize) {
        if !self.contains(number) {
            let (word, bit) = self.word(number);
            word.fetch_or(bit, Ordering::Release);
        }
    }

    /// Not beside another change of this bit.
    #[inline]
    pub(crate) fn remove(&self, number: usize) {
        if self.contains(number) {
            let (word, bit) = self.word(number);
            word.fetch_and(!bit, Ordering::Release);
        }
    }

    /// Those in the set, in their order. A word is read when the first of its numbers would come.
    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        let words = self.words.iter().enumerate();
        words.flat_map(|(at, word)| {
            bits(word.load(Ordering::Acquire)).map(move |bit| at * BITS + bit)
        })
    }

    /// Those in the set, and those in `last`, which holds what is in the set afterwards.
    pub(crate) fn iter_with_last<'a>(
        &'a self,
        last: &'a mut Vec<u64>,
    ) -> impl Iterator<Item = usize> + 'a {
        last.resize(self.words.len(), 0);
        let words = self.words.iter().zip(last).enumerate();
        words.flat_map(|(at, (word, last))| {
            let now = word.load(Ordering::Acquire);
            let either = now | std::mem::replace(last, now);
            bits(either).map(move |bit| at * BITS + bit)
        })
    }
}

/// Which bits of a word are set, from the lowest on.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = word.trailing_zeros() as usize;
        word &= word.wrapping_sub(1);
        (lowest < BITS).then_some(lowest)
    })
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_order_each_once_whatever_its_word() {
        for room in [1, 63, 64, 65, 128, 300] {
            let mask = Mask::new(room);
            assert_eq!(mask.iter().count(), 0);
            for number in (0..room).rev() {
                assert!(!mask.contains(number));
                mask.insert(number);
                mask.insert(number);
                assert!(mask.contains(number));
            }
            assert!(mask.iter().eq(0..room), "{room}");
            for number in (0..room).filter(|number| number % 3 != 0) {
                mask.remove(number);
                mask.remove(number);
                assert!(!mask.contains(number));
            }
            assert!(mask.iter().eq((0..room).step_by(3)), "{room}");
        }
    }

    #[test]
    fn what_has_gone_since_the_last_time_comes_once_more() {
        let mask = Mask::new(130);
        let mut last = Vec::new();
        let mut next = || mask.iter_with_last(&mut last).collect::<Vec<_>>();
        mask.insert(3);
        mask.insert(129);
        assert_eq!(next(), [3, 129]);
        mask.remove(129);
        mask.insert(64);
        assert_eq!(next(), [3, 64, 129]);
        assert_eq!(next(), [3, 64]);
        mask.remove(3);
        mask.remove(64);
        assert_eq!(next(), [3, 64]);
        assert_eq!(next(), [0; 0]);
    }
}
