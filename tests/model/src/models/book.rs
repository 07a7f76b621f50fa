//! The book that a model keeps: what became of each task.

use std::sync::atomic::{AtomicUsize as Plain, Ordering::SeqCst};

use crate::sync::atomic::{AtomicUsize, Ordering};

pub(super) struct Book {
    /// How often each task has run, and was cancelled.
    fates: Vec<(Plain, Plain)>,
    /// Relaxed, so that it orders nothing; a checker must know of it, since the last worker does more than others.
    left: AtomicUsize,
}

impl Book {
    pub(super) fn new(tasks: usize) -> Book {
        Book {
            fates: (0..tasks).map(|_| Default::default()).collect(),
            left: AtomicUsize::new(tasks),
        }
    }

    /// True: it was the last one.
    pub(super) fn ran(&self, number: usize) -> bool {
        self.fates[number].0.fetch_add(1, SeqCst);
        self.is_last()
    }

    pub(super) fn cancelled(&self, number: usize) -> bool {
        self.fates[number].1.fetch_add(1, SeqCst);
        self.is_last()
    }

    fn is_last(&self) -> bool {
        self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }

    pub(super) fn check(&self) {
        for (number, (ran, cancelled)) in self.fates.iter().enumerate() {
            match ran.load(SeqCst) + cancelled.load(SeqCst) {
                0 => panic!("task {number} is lost"),
                1 => {}
                times => panic!("task {number} came out {times} times"),
            }
        }
    }
}
