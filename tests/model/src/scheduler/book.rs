//! The book that a model keeps: what became of each token, and of each wake-up.

use std::sync::Mutex as PlainMutex;
use std::sync::atomic::{AtomicUsize as Plain, Ordering::SeqCst};

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::tasks::Runnable;

/// What became of the tokens, and of the wake-ups.
pub(super) struct Book {
    fates: Vec<(Plain, Plain)>,
    /// Relaxed, so that it orders nothing; a checker must know of it, since the last worker does more than others.
    left: AtomicUsize,
    /// Searches begun by a wake-up, and ended.
    searches: PlainMutex<(usize, usize)>,
}

impl Book {
    pub(super) fn new(tokens: usize) -> Book {
        Book {
            fates: (0..tokens).map(|_| Default::default()).collect(),
            left: AtomicUsize::new(tokens),
            searches: PlainMutex::default(),
        }
    }

    /// True: it was the last one.
    pub(super) fn ran(&self, token: Runnable) -> bool {
        self.fates[token.metadata().number].0.fetch_add(1, SeqCst);
        self.is_last()
    }

    pub(super) fn cancelled(&self, number: usize) -> bool {
        self.fates[number].1.fetch_add(1, SeqCst);
        self.is_last()
    }

    fn is_last(&self) -> bool {
        self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// The wake budget: as long as one search lasts, nobody else is woken, however much is submitted.
    pub(super) fn search_begins(&self) {
        let mut searches = self.searches.lock().expect("nobody panics with it");
        searches.0 += 1;
        let (begun, ended) = *searches;
        drop(searches);
        assert!(begun <= ended + 1, "a wake-up too many");
    }

    /// Called before the end is published.
    pub(super) fn search_ends(&self) {
        self.searches.lock().expect("nobody panics with it").1 += 1;
    }

    pub(super) fn check(&self) {
        for (number, (ran, cancelled)) in self.fates.iter().enumerate() {
            match ran.load(SeqCst) + cancelled.load(SeqCst) {
                0 => panic!("token {number} is lost"),
                1 => {}
                times => panic!("token {number} came out {times} times"),
            }
        }
    }
}
