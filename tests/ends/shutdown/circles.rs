//! Runtimes that are dropped by each other's tasks and jobs: no drop waits for a thread that waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use executor::{Handle, Runtime, block_on};

use crate::common::{PATIENCE, processors, within_patience};

/// How a thread of a runtime ends another runtime.
#[derive(Clone, Copy, Debug)]
enum Way {
    Task,
    Job,
    NestedBlockOn,
    TimeOut,
    Destructor,
}

const WAYS: [Way; 5] = [
    Way::Task,
    Way::Job,
    Way::NestedBlockOn,
    Way::TimeOut,
    Way::Destructor,
];

impl Way {
    /// On a thread of `on`: waits until everybody is there, ends `victim`, and says so.
    fn end(self, on: &Handle, victim: Runtime, all: Arc<Barrier>, ended: Sender<()>) {
        let end = move || {
            all.wait();
            match self {
                Way::TimeOut => drop(victim.shutdown_timeout(2 * PATIENCE)),
                Way::NestedBlockOn => block_on(async { block_on(async { drop(victim) }) }),
                _ => drop(victim),
            }
            ended.send(()).unwrap();
        };
        match self {
            Way::Job => drop(on.spawn_blocking(end)),
            Way::Destructor => {
                let guard = OnDrop(Some(end));
                let task = on.spawn(async move {
                    let _guard = guard;
                    std::future::pending::<()>().await;
                });
                task.abort();
            }
            _ => drop(on.spawn(async move { end() })),
        }
    }
}

struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|f| f());
    }
}

/// Each of a ring of runtimes ends the next one, by its own way, all at the same time.
fn ring(ways: &[Way], workers: usize) {
    let count = ways.len();
    let mut runtimes: Vec<_> = (0..count).map(|_| processors(workers)).collect();
    let handles: Vec<_> = runtimes
        .iter()
        .map(|runtime| runtime.handle().clone())
        .collect();
    let all = Arc::new(Barrier::new(count));
    let (ended, ends) = mpsc::channel();
    runtimes.rotate_left(1);
    for ((way, on), victim) in ways.iter().zip(&handles).zip(runtimes) {
        way.end(on, victim, all.clone(), ended.clone());
    }
    for _ in 0..count {
        ends.recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("{ways:?} with {workers} workers each: hung"));
    }
    // In the background or not, all of it is shut down.
    for handle in handles {
        assert!(block_on(handle.spawn(async {})).unwrap_err().is_cancelled());
    }
}

#[test]
fn two_runtimes_that_drop_each_other_both_end() {
    for workers in [1, 2, 8] {
        for here in WAYS {
            for there in WAYS {
                ring(&[here, there], workers);
            }
        }
    }
}

#[test]
fn a_ring_of_runtimes_that_drop_the_next_one_ends() {
    for way in WAYS {
        for count in [1, 3, 5] {
            ring(&vec![way; count], 1);
        }
    }
    ring(&WAYS, 2);
}

/// Again and again, without a barrier: whoever comes second finds the other's wait, or its end.
#[test]
fn drops_that_race_for_the_last_edge_of_a_circle_end() {
    within_patience(|| {
        for _ in 0..100 {
            let (one, two) = (processors(1), processors(1));
            let handles = [one.handle().clone(), two.handle().clone()];
            let (ended, ends) = mpsc::channel();
            for (on, victim) in handles.iter().zip([two, one]) {
                let ended = ended.clone();
                drop(on.spawn(async move {
                    drop(victim);
                    ended.send(()).unwrap();
                }));
            }
            // A task that the other's end has cancelled drops its runtime all the same, and its sender.
            drop(ended);
            while ends.recv().is_ok() {}
        }
    });
}

/// A thread of no runtime that spawns onto a runtime which is shut down ends the task there and then, and what the task owns:
/// a runtime whose task waits for the first one, and so for this very task.
#[test]
fn a_runtime_that_is_dropped_by_a_refused_spawn_ends() {
    within_patience(|| {
        for as_job in [false, true] {
            let (one, two) = (processors(1), processors(1));
            let (on_one, on_two) = (one.handle().clone(), two.handle().clone());
            let (begin, begun) = mpsc::channel();
            let (let_go, go) = mpsc::channel();
            let ended = begun_job(&two, go);
            let dropping = on_one.spawn(async move {
                begin.send(()).unwrap();
                drop(two);
            });
            begun.recv().unwrap();
            // It is shut down, and waits for the job.
            while block_on(on_two.spawn(async {})).is_ok() {}
            let owner = move || drop(one);
            match as_job {
                true => drop(on_two.spawn_blocking(owner)),
                false => drop(on_two.spawn(async move { owner() })),
            }
            drop(let_go);
            block_on(dropping).unwrap();
            // Either drop may have been the one that did not wait.
            crate::common::wait_until("the job has ended", || ended.load(Ordering::SeqCst));
        }
    });
}

/// A job that has begun, and says whether it has come to its end.
fn begun_job(runtime: &Runtime, go: Receiver<()>) -> Arc<AtomicBool> {
    let ended = Arc::new(AtomicBool::new(false));
    let (begin, begun) = mpsc::channel();
    let end = ended.clone();
    drop(runtime.spawn_blocking(move || {
        begin.send(()).unwrap();
        let _ = go.recv();
        end.store(true, Ordering::SeqCst);
    }));
    begun.recv().unwrap();
    ended
}

/// Where there is no circle, a drop waits, wherever it is.
#[test]
fn a_drop_inside_another_runtimes_task_waits_for_what_has_begun() {
    within_patience(|| {
        for workers in [1, 2] {
            let (one, two) = (processors(workers), processors(1));
            let (let_go, go) = mpsc::channel();
            let ended = begun_job(&two, go);
            let dropping = one.spawn(async move {
                drop(two);
                ended.load(Ordering::SeqCst)
            });
            // On the processor that the drop has given away.
            let releasing = one.spawn(async move { drop(let_go) });
            one.block_on(releasing).unwrap();
            assert!(one.block_on(dropping).unwrap(), "it did not wait");
        }
    });
}

/// Two that wait for a third make no circle: both wait.
#[test]
fn a_chain_of_drops_waits_to_its_end() {
    within_patience(|| {
        let (one, two, three) = (processors(1), processors(1), processors(1));
        let (let_go, go) = mpsc::channel();
        let ended = begun_job(&three, go);
        let (on_one, on_two) = (one.handle().clone(), two.handle().clone());
        let (inner, outer) = (ended.clone(), ended);
        let (begin, begun) = mpsc::channel();
        let middle = on_two.spawn(async move {
            begin.send(()).unwrap();
            drop(three);
            inner.load(Ordering::SeqCst)
        });
        begun.recv().unwrap();
        let first = on_one.spawn(async move {
            drop(two);
            outer.load(Ordering::SeqCst)
        });
        drop(let_go);
        assert!(one.block_on(first).unwrap());
        assert!(one.block_on(middle).unwrap());
    });
}

/// A shutdown with a time-out that would wait for itself does not use its time up.
#[test]
fn a_time_out_is_not_waited_for_where_the_wait_would_be_in_vain() {
    within_patience(|| {
        let begin = Instant::now();
        ring(&[Way::TimeOut, Way::TimeOut], 1);
        assert!(begin.elapsed() < PATIENCE + Duration::from_secs(1));
    });
}
