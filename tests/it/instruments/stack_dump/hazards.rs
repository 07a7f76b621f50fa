//! A dump polls tasks. How often, from where, and what becomes of tasks that do something else meanwhile.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::panic::panic_any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::{dump_all, of, until_they_wait};
use crate::common::stuck::{Stuck, WAYS};
use crate::common::{PATIENCE, on_runtimes, processors, wait_until, within_patience};
use executor::runtime::{Builder, TaskDump, TaskState};
use executor::task::Id;
use executor::{Handle, JoinHandle, Runtime, block_on, spawn_blocking};

/// A leaf that counts its polls, keeps a waker as an `AtomicWaker` does, and ends when told to.
#[derive(Default)]
struct Leaf {
    polls: AtomicUsize,
    waker: Mutex<Option<Waker>>,
    is_over: AtomicBool,
}

impl Leaf {
    async fn wait(self: Arc<Self>) {
        poll_fn(|cx| {
            self.polls.fetch_add(1, SeqCst);
            let mut kept = self.waker.lock().unwrap();
            if !(kept.as_ref()).is_some_and(|kept| kept.will_wake(cx.waker())) {
                *kept = Some(cx.waker().clone());
            }
            match self.is_over.load(SeqCst) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    fn polls(&self) -> usize {
        self.polls.load(SeqCst)
    }

    /// The waker stays, as it does in a leaf that wakes by reference.
    fn wake(&self) {
        let kept = self.waker.lock().unwrap().clone();
        kept.expect("it was polled").wake();
    }

    fn end(&self) {
        self.is_over.store(true, SeqCst);
        self.wake();
    }
}

/// Tasks that wait in leaves.
struct Crowd {
    leaves: Vec<Arc<Leaf>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn spawn(handle: &Handle, count: usize) -> Crowd {
        let leaves: Vec<Arc<Leaf>> = (0..count).map(|_| Arc::default()).collect();
        let tasks = (leaves.iter())
            .map(|leaf| handle.spawn(leaf.clone().wait()))
            .collect();
        let crowd = Crowd { leaves, tasks };
        crowd.until_waiting(handle);
        crowd
    }

    fn ids(&self) -> Vec<Id> {
        self.tasks.iter().map(JoinHandle::id).collect()
    }

    fn until_waiting(&self, handle: &Handle) {
        until_they_wait(handle, &self.ids());
    }

    #[track_caller]
    fn assert_polls(&self, each: usize) {
        let wrong = |polls: &usize| *polls != each;
        let wrong: Vec<usize> = self.polls().into_iter().filter(wrong).collect();
        assert!(wrong.is_empty(), "{each} each: {} {wrong:?}", wrong.len());
    }

    fn polls(&self) -> Vec<usize> {
        self.leaves.iter().map(|leaf| leaf.polls()).collect()
    }

    /// A dump that shows each leaf, and has polled each once.
    #[track_caller]
    fn dump(&self, handle: &Handle) -> TaskDump {
        // A poll of the dump before may not be quite over.
        self.until_waiting(handle);
        let before = self.polls();
        let dump = dump_all(handle);
        let more = |(before, now)| now - before;
        let more = (before.into_iter().zip(self.polls())).map(more);
        assert!(more.eq(vec![1; self.leaves.len()]));
        let stacks = |id| of(&dump, id).stacks().len();
        assert!(self.ids().into_iter().all(|id| stacks(id) == 1));
        dump
    }

    /// Nothing is lost: the real event ends each of them.
    #[track_caller]
    fn end(self) {
        self.leaves.iter().for_each(|leaf| leaf.end());
        for task in self.tasks {
            block_on(task).unwrap();
        }
    }
}

#[test]
pub(super) fn each_task_that_waits_is_polled_once_for_a_dump() {
    on_runtimes(|runtime| {
        let handle = runtime.handle();
        let crowd = Crowd::spawn(handle, 1000);
        let finished = runtime.spawn(async {});
        wait_until("it has finished", || finished.is_finished());
        crowd.assert_polls(1);
        for dumps in 1..=10 {
            assert_eq!(crowd.dump(handle).tasks().len(), 1000);
            crowd.assert_polls(1 + dumps);
        }
        // A dump that polls nobody, and one that was over before it began.
        crowd.until_waiting(handle);
        assert_eq!(handle.dump_stacks(Duration::ZERO).num_unreached(), 1000);
        crowd.until_waiting(handle);
        crowd.assert_polls(11);
        crowd.end();
    });
}

#[test]
fn a_task_that_is_being_polled_is_left_alone() {
    within_patience(|| {
        let runtime = processors(2);
        let handle = runtime.handle();
        let crowd = Crowd::spawn(handle, 3);
        for way in WAYS {
            let (release, held) = mpsc::channel::<()>();
            let (told, tell) = mpsc::channel();
            let mut polls = 0;
            let busy = runtime.spawn(poll_fn(move |cx| {
                polls += 1;
                match polls {
                    // The task is registered when its second poll gets stuck.
                    1 => {
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    }
                    2 => {
                        told.send(()).unwrap();
                        way.until(&held);
                        Poll::Ready(polls)
                    }
                    _ => panic!("it was woken for nothing"),
                }
            }));
            tell.recv().unwrap();
            let dump = crowd.dump(handle);
            // It may have the stack of its thread. What was asked has a future.
            assert_eq!(of(&dump, busy.id()).future(), None);
            drop(release);
            assert_eq!(block_on(busy).unwrap(), 2);
        }
        crowd.assert_polls(3);
        crowd.end();
    });
}

/// All tasks lie in the queue of a stuck processor that nobody can take over.
fn with_all_queued(body: fn(&Runtime, &Crowd, &mut dyn FnMut())) {
    within_patience(move || {
        let builder = Builder::new().worker_threads(1).max_threads(1);
        let runtime = builder.build().unwrap();
        // As many as a dump asks at once.
        let crowd = Crowd::spawn(runtime.handle(), 16);
        let (release, held) = mpsc::channel::<()>();
        let (told, tell) = mpsc::channel();
        let blocker = runtime.spawn(async move {
            told.send(()).unwrap();
            let _ = held.recv();
        });
        tell.recv().unwrap();
        let mut release = Some(release);
        body(&runtime, &crowd, &mut || drop(release.take()));
        block_on(blocker).unwrap();
        let ended = crowd.tasks.iter().all(JoinHandle::is_finished);
        if !ended {
            crowd.until_waiting(runtime.handle());
            crowd.end();
        }
    });
}

/// Waits until all have been asked: they were woken.
fn until_queued(runtime: &Runtime, crowd: &Crowd) {
    wait_until("they are asked", || {
        let dump = runtime.handle().dump_tasks();
        let of_crowd = |id| of(&dump, id).state() == TaskState::Queued;
        crowd.ids().into_iter().all(of_crowd)
    });
}

#[test]
fn a_task_that_lies_in_a_queue_is_polled_once_for_its_wake_and_for_the_dump() {
    with_all_queued(|runtime, crowd, release| {
        // Neither the first nor the last that are asked: `until_queued` waits for those.
        for leaf in &crowd.leaves[4..12] {
            leaf.wake();
        }
        let handle = runtime.handle().clone();
        let dump = thread::spawn(move || dump_all(&handle));
        until_queued(runtime, crowd);
        release();
        let dump = dump.join().unwrap();
        crowd.assert_polls(2);
        let mut all = crowd.ids().into_iter().map(|id| of(&dump, id));
        assert!(all.all(|task| task.stacks().len() == 1));
    });
}

#[test]
fn a_task_that_is_aborted_while_it_is_asked_answers_and_is_gone() {
    with_all_queued(|runtime, crowd, release| {
        let handle = runtime.handle().clone();
        let dump = thread::spawn(move || dump_all(&handle));
        until_queued(runtime, crowd);
        crowd.tasks.iter().for_each(JoinHandle::abort);
        release();
        let dump = dump.join().unwrap();
        crowd.assert_polls(1);
        for id in crowd.ids() {
            assert!(dump.tasks().iter().all(|task| task.id() != id));
        }
        wait_until("they are gone", || {
            crowd.tasks.iter().all(JoinHandle::is_finished)
        });
    });
}

#[test]
fn a_dump_of_stuck_workers_returns_in_time_and_nothing_is_lost() {
    for way in WAYS {
        for count in [1, 2] {
            within_patience(move || stuck(way, count));
        }
    }
}

fn stuck(way: Stuck, count: usize) {
    let builder = Builder::new().worker_threads(count).max_threads(count);
    let runtime = builder.build().unwrap();
    let handle = runtime.handle();
    let crowd = Crowd::spawn(handle, 300);
    let mut releases = Vec::new();
    let mut blockers = Vec::new();
    for _ in 0..count {
        let (release, held) = mpsc::channel::<()>();
        let (told, tell) = mpsc::channel();
        blockers.push(runtime.spawn(async move {
            told.send(()).unwrap();
            way.until(&held);
        }));
        releases.push(release);
        tell.recv().unwrap();
    }
    for dumps in 1..=3 {
        let within = Duration::from_millis(20 * dumps);
        let begin = Instant::now();
        let dump = handle.dump_stacks(within);
        assert!(begin.elapsed() >= within);
        assert_eq!(dump.num_unreached(), 300);
    }
    crowd.assert_polls(1);
    releases.clear();
    for blocker in blockers {
        block_on(blocker).unwrap();
    }
    crowd.until_waiting(handle);
    // Those that were asked in vain have been polled once, the others not at all.
    assert!(crowd.polls().iter().all(|polls| [1, 2].contains(polls)));
    crowd.dump(handle);
    crowd.end();
}

#[test]
fn two_dumps_at_once_each_reach_all() {
    on_runtimes(|runtime| {
        let handle = runtime.handle();
        let crowd = Crowd::spawn(handle, 500);
        // How often each leaf was shown. One that is in the other dump's poll may be left alone.
        let shown = Mutex::new(HashMap::<Id, usize>::new());
        for _ in 0..10 {
            crowd.until_waiting(handle);
            let dump = || {
                let dump = dump_all(handle);
                for task in dump.tasks() {
                    *shown.lock().unwrap().entry(task.id()).or_default() += task.stacks().len();
                }
                dump.tasks().len()
            };
            let listed = thread::scope(|scope| {
                let dumps = [(); 2].map(|()| scope.spawn(dump));
                dumps.map(|dump| dump.join().unwrap())
            });
            assert_eq!(listed, [500, 500]);
        }
        let shown = shown.into_inner().unwrap();
        for (leaf, id) in crowd.leaves.iter().zip(crowd.ids()) {
            assert_eq!(leaf.polls(), 1 + shown[&id]);
        }
        assert!(shown.values().sum::<usize>() > 9000);
        crowd.end();
    });
}

#[test]
fn a_dump_can_be_made_from_everywhere() {
    on_runtimes(|runtime| {
        let handle = runtime.handle();
        let crowd = Arc::new(Crowd::spawn(handle, 100));
        let dump = || {
            let (crowd, handle) = (crowd.clone(), handle.clone());
            move || drop(crowd.dump(&handle))
        };
        let here = dump();
        block_on(runtime.spawn(async move { here() })).unwrap();
        // In a task that has waited.
        let here = dump();
        let task = runtime.spawn(async move {
            executor::task::yield_now().await;
            here();
        });
        block_on(task).unwrap();
        block_on(runtime.spawn_blocking(dump())).unwrap();
        runtime.block_on(async { dump()() });
        block_on(async { dump()() });
        let other = processors(1);
        let here = dump();
        block_on(other.spawn(async move { here() })).unwrap();
        let here = dump();
        let from_job = async move { spawn_blocking(here).await.unwrap() };
        block_on(other.spawn(from_job)).unwrap();
        crowd.assert_polls(8);
        Arc::into_inner(crowd).expect("the others have ended").end();
    });
}

/// Its task holds the only thread.
#[test]
fn a_dump_by_the_only_thread_there_may_be_returns_in_time() {
    within_patience(|| {
        let builder = Builder::new().worker_threads(1).max_threads(1);
        let runtime = builder.build().unwrap();
        let crowd = Crowd::spawn(runtime.handle(), 10);
        let task = runtime.spawn(async {
            let dump = Handle::current().dump_stacks(Duration::from_millis(20));
            dump.num_unreached()
        });
        assert_eq!(block_on(task).unwrap(), 10);
        crowd.until_waiting(runtime.handle());
        // Those that were asked in vain have been polled once, the others not at all.
        assert!(crowd.polls().iter().all(|polls| [1, 2].contains(polls)));
        crowd.end();
    });
}

/// Polled by a dump they come to their end, each in its way.
#[test]
fn a_task_that_ends_panics_or_blocks_in_a_dump_does_what_it_would_have_done() {
    fn second<T>(f: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> + Send
    where
        T: Send + 'static,
    {
        let mut f = Some(f);
        let mut polls = 0;
        poll_fn(move |_| {
            polls += 1;
            match polls {
                1 => Poll::Pending,
                _ => Poll::Ready(f.take().expect("polled once more")()),
            }
        })
    }

    on_runtimes(|runtime| {
        let handle = runtime.handle();
        let crowd = Crowd::spawn(handle, 100);
        let ends = runtime.spawn(second(|| 7));
        let panics = runtime.spawn(second(|| panic_any(8_u8)));
        until_they_wait(handle, &[ends.id(), panics.id()]);
        let dump = crowd.dump(handle);
        assert_eq!(dump.tasks().len(), 100);
        assert_eq!(dump.num_unlisted(), 0);
        assert_eq!(block_on(ends).unwrap(), 7);
        let payload = block_on(panics).unwrap_err().into_panic();
        assert_eq!(payload.downcast_ref(), Some(&8_u8));
        crowd.assert_polls(2);

        for (way, polls) in WAYS.into_iter().zip(3..) {
            let (release, held) = mpsc::channel::<()>();
            let blocks = runtime.spawn(second(move || way.until(&held)));
            until_they_wait(handle, &[blocks.id()]);
            let asks = handle.clone();
            let dump = thread::spawn(move || dump_all(&asks));
            // Elsewhere, or by who takes the processor over.
            wait_until("the others are polled", || {
                crowd.polls().iter().all(|&seen| seen == polls)
            });
            drop(release);
            let dump = dump.join().unwrap();
            assert!(dump.tasks().iter().all(|task| task.id() != blocks.id()));
            assert!(!block_on(blocks).unwrap());
        }
        crowd.end();
    });
}

/// After a hundred dumps the leaf still has a waker that wakes it, and the same that it had.
#[test]
pub(super) fn the_real_event_wakes_a_task_that_was_dumped_a_hundred_times() {
    on_runtimes(|runtime| {
        let handle = runtime.handle();
        let crowd = Crowd::spawn(handle, 1);
        let leaf = crowd.leaves[0].clone();
        let first = leaf.waker.lock().unwrap().clone().unwrap();
        for _ in 0..100 {
            crowd.dump(handle);
            let kept = leaf.waker.lock().unwrap();
            assert!(kept.as_ref().unwrap().will_wake(&first));
        }
        crowd.assert_polls(101);
        crowd.end();
    });
}

#[test]
fn a_waker_that_is_lent_to_another_thread_is_real_and_its_stack_is_not_taken() {
    on_runtimes(|runtime| {
        let (give, take) = mpsc::channel();
        let mut polls = 0;
        let task = runtime.spawn(poll_fn(move |cx| {
            polls += 1;
            if polls == 3 {
                return Poll::Ready(());
            }
            let waker = cx.waker();
            let clone = thread::scope(|scope| scope.spawn(|| waker.clone()).join().unwrap());
            give.send(clone).unwrap();
            Poll::Pending
        }));
        let stale = take.recv().unwrap();
        until_they_wait(runtime.handle(), &[task.id()]);
        let dump = dump_all(runtime.handle());
        assert!(of(&dump, task.id()).stacks().is_empty());
        let kept = take.recv().unwrap();
        assert!(kept.will_wake(&stale), "the task's own waker");
        kept.wake();
        block_on(task).unwrap();
    });
}

#[test]
fn a_dump_while_the_runtime_ends_returns() {
    within_patience(|| {
        for round in 0..30 {
            let runtime = processors(1 + round % 2);
            let handle = runtime.handle().clone();
            let crowd = Crowd::spawn(&handle, 200);
            let (begun, begins) = mpsc::channel();
            let dumps = thread::spawn(move || {
                loop {
                    let dump = handle.dump_stacks(Duration::MAX);
                    let _ = begun.send(());
                    assert_eq!(dump.num_unreached(), 0);
                    if dump.tasks().len() < 200 {
                        break;
                    }
                }
                wait_until("nobody is left", || {
                    let dump = handle.dump_stacks(Duration::MAX);
                    assert_eq!(dump.num_unreached(), 0);
                    dump.tasks().is_empty()
                });
            });
            begins.recv().unwrap();
            drop(runtime);
            dumps.join().unwrap();
            for task in crowd.tasks {
                assert!(block_on(task).unwrap_err().is_cancelled());
            }
        }
    });
}

/// The task that blocks the shutdown is listed; who waits is asked, and cancelled instead.
#[test]
fn a_dump_while_a_blocked_task_holds_the_end_up_returns() {
    within_patience(|| {
        let builder = Builder::new().worker_threads(1).max_threads(1);
        let runtime = builder.build().unwrap();
        let handle = runtime.handle().clone();
        // As many as a dump asks at once.
        let crowd = Crowd::spawn(&handle, 16);
        let (release, held) = mpsc::channel::<()>();
        let (told, tell) = mpsc::channel();
        let blocked = runtime.spawn(async move {
            told.send(()).unwrap();
            let _ = held.recv();
        });
        tell.recv().unwrap();
        let asks = handle.clone();
        let dump = thread::spawn(move || asks.dump_stacks(Duration::MAX));
        until_queued(&runtime, &crowd);
        let report = runtime.shutdown_timeout(Duration::from_millis(50));
        assert!(!report.is_complete());
        of(&handle.dump_stacks(Duration::ZERO), blocked.id());
        drop(release);
        let dump = dump.join().unwrap();
        assert_eq!(dump.num_unreached(), 0);
        for id in crowd.ids() {
            assert!(dump.tasks().iter().all(|task| task.id() != id));
        }
    });
}

#[test]
fn a_runtime_without_tasks_and_the_shortest_and_the_longest_time() {
    on_runtimes(|runtime| {
        for within in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            let dump = runtime.handle().dump_stacks(within);
            assert_eq!((dump.tasks().len(), dump.num_unreached()), (0, 0));
        }
        let crowd = Crowd::spawn(runtime.handle(), 10);
        let dump = runtime.handle().dump_stacks(Duration::MAX);
        assert_eq!((dump.tasks().len(), dump.num_unreached()), (10, 0));
        crowd.end();
    });
}

/// Tasks come, go and are woken all the time while two threads dump. A dump wakes whom an earlier dump
/// has stranded, so the crowd goes on after the last one.
#[test]
fn nothing_is_lost_in_a_crowd_that_changes_while_it_is_dumped() {
    on_runtimes(|runtime| {
        let handle = runtime.handle().clone();
        for _ in 0..3 {
            let is_over = Arc::new(AtomicBool::new(false));
            let pairs: Vec<_> = (0..50)
                .map(|_| talkers(&runtime, is_over.clone()))
                .collect();
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for dumps in 0..30 {
                            let within = match dumps % 5 {
                                4 => PATIENCE,
                                millis => Duration::from_millis(millis),
                            };
                            handle.dump_stacks(within);
                        }
                    });
                }
            });
            is_over.store(true, SeqCst);
            for pair in pairs {
                block_on(pair).unwrap();
            }
        }
        wait_until("all have ended", || handle.metrics().num_alive_tasks() == 0);
    });
}

/// Two tasks that answer each other, and one of which spawns others, until it is over.
fn talkers(runtime: &Runtime, is_over: Arc<AtomicBool>) -> JoinHandle<()> {
    let (send, receive) = async_channel::bounded::<u32>(1);
    let (answer, answered) = async_channel::bounded::<u32>(1);
    runtime.spawn(async move {
        while let Ok(token) = receive.recv().await {
            answer.send(token.wrapping_add(1)).await.unwrap();
        }
    });
    runtime.spawn(async move {
        let mut token = 0_u32;
        while !is_over.load(SeqCst) {
            executor::spawn(executor::task::yield_now()).await.unwrap();
            send.send(token).await.unwrap();
            token = token.wrapping_add(1);
            assert_eq!(answered.recv().await.unwrap(), token);
        }
    })
}
