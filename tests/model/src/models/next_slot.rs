//! The next slot: what goes in comes out once, as its waker left it.

use crate::checker::explore;
use crate::runner::Check;
use crate::scheduler::processor::next_slot::NextSlot;
use crate::sync::{Arc, Hole, thread, with_hole};
use crate::tasks::{Id, Meta, Runnable};

pub(super) const CHECKS: &[Check] = &[
    Check::model("next-slot", || next_slot(None)),
    Check::twin("next-slot/thief-tears", "came out 2 times", || {
        next_slot(Some(Flaw::Thief(Hole::TornSwap)))
    }),
    Check::twin("next-slot/owner-tears", "came out 2 times", || {
        next_slot(Some(Flaw::Owner(Hole::TornSwap)))
    }),
    Check::twin("next-slot/stranger-puts", "is lost", || {
        next_slot(Some(Flaw::StrangerPuts))
    }),
    Check::twin("next-slot/owner-relaxed", "Causality violation", || {
        next_slot(Some(Flaw::Owner(Hole::Relaxed)))
    })
    .loom_only(),
    Check::twin("next-slot/thief-relaxed", "Causality violation", || {
        next_slot(Some(Flaw::Thief(Hole::Relaxed)))
    })
    .loom_only(),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Owner(Hole),
    Thief(Hole),
    /// Somebody fills the slot who is not its owner.
    StrangerPuts,
}

/// A runnable of no scheduler, with a number.
fn token(number: usize) -> Runnable {
    let meta = Meta::new(Id::next(), number as u32, 0);
    let (runnable, task) = (async_task::Builder::new().metadata(meta))
        .spawn(|_| async {}, |_: async_task::Runnable<Meta>| ());
    task.detach();
    Runnable::new(runnable)
}

const TOKENS: usize = if cfg!(executor_loom) { 3 } else { 20 };
/// Tries of the thief.
const TRIES: usize = if cfg!(executor_loom) { 2 } else { 20 };

/// The owner fills the slot again and again, a thief empties it.
fn next_slot(flaw: Option<Flaw>) -> usize {
    explore(3, move || {
        let slot = Arc::new(NextSlot::new());
        let letters = Arc::new(Letters::new());
        let hole = match flaw {
            Some(Flaw::Thief(hole)) => Some(hole),
            _ => None,
        };
        let thief = {
            let (slot, letters) = (slot.clone(), letters.clone());
            thread::spawn(move || {
                with_hole(hole, || {
                    if flaw == Some(Flaw::StrangerPuts) {
                        letters.write(TOKENS);
                        return slot.put(token(TOKENS)).into_iter().collect();
                    }
                    let mut out = Vec::new();
                    for _ in 0..TRIES {
                        if let Some(token) = slot.steal() {
                            letters.read(&token);
                            out.push(token);
                        }
                    }
                    out
                })
            })
        };
        let hole = match flaw {
            Some(Flaw::Owner(hole)) => Some(hole),
            _ => None,
        };
        let mut out = with_hole(hole, || {
            let mut out = Vec::new();
            for number in 0..TOKENS {
                letters.write(number);
                out.extend(slot.put(token(number)));
            }
            out.extend(slot.take());
            out
        });
        out.extend::<Vec<Runnable>>(thief.join().expect("the thief panicked"));
        out.extend(slot.take());
        check(out, TOKENS + usize::from(flaw == Some(Flaw::StrangerPuts)));
    })
}

fn check(out: Vec<Runnable>, tokens: usize) {
    let mut times = vec![0; tokens];
    for token in &out {
        times[token.metadata().spawn_site()] += 1;
    }
    if let Some(number) = times.iter().position(|times| *times != 1) {
        // Dropping twice what came out twice would be worse than what the test is about.
        std::mem::forget(out);
        match times[number] {
            // The other end of a torn swap. Name the doubled one, if there is one.
            0 if times.iter().all(|times| *times < 2) => panic!("token {number} is lost"),
            _ => panic!("a token came out 2 times"),
        }
    }
}

/// What comes with each token: a plain write before it is put, a plain read after it is taken. Loom sees whether one
/// happens before the other.
struct Letters {
    #[cfg(executor_loom)]
    cells: Vec<loom::cell::UnsafeCell<()>>,
}

impl Letters {
    #[cfg(executor_loom)]
    fn new() -> Letters {
        Letters {
            cells: (0..=TOKENS).map(|_| Default::default()).collect(),
        }
    }

    #[cfg(executor_loom)]
    fn write(&self, number: usize) {
        self.cells[number].with_mut(|_| ());
    }

    #[cfg(executor_loom)]
    fn read(&self, token: &Runnable) {
        self.cells[token.metadata().spawn_site()].with(|_| ());
    }

    #[cfg(executor_shuttle)]
    fn new() -> Letters {
        Letters {}
    }

    #[cfg(executor_shuttle)]
    fn write(&self, _: usize) {}

    #[cfg(executor_shuttle)]
    fn read(&self, _: &Runnable) {}
}
