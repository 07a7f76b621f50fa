//! Dumps of what is no task of the scheduler: the futures of `block_on`s, and the tasks of local sets and task queues.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::common::{wait_until, within_patience};
use executor::Handle;
use executor::runtime::{Builder, TaskDump, TaskStack};
use executor::task::TaskQueue;

const WITHIN: Duration = Duration::from_secs(20);

/// Waits until somebody wakes the waker that it keeps, and counts its polls.
#[derive(Clone, Default)]
struct Leaf {
    polls: Arc<AtomicUsize>,
    waker: Arc<Mutex<Option<Waker>>>,
    is_open: Arc<AtomicUsize>,
}

impl Leaf {
    async fn wait(&self) {
        poll_fn(|cx| {
            self.polls.fetch_add(1, SeqCst);
            if self.is_open.load(SeqCst) != 0 {
                return Poll::Ready(());
            }
            let mut waker = self.waker.lock().unwrap();
            if waker
                .as_ref()
                .is_none_or(|waker| !waker.will_wake(cx.waker()))
            {
                *waker = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    fn open(&self) {
        self.is_open.store(1, SeqCst);
        let waker = self.waker.lock().unwrap().take();
        waker.expect("it waits").wake();
    }

    fn is_waiting(&self) -> bool {
        self.waker.lock().unwrap().is_some()
    }
}

/// Whether a frame of the stack is in this file, where it is known.
fn is_here(stack: &TaskStack) -> bool {
    let mut files = stack
        .frames()
        .filter_map(|frame| Some(frame.file()?.to_owned()));
    files.any(|file| file.ends_with(file!())) || stack.frames().all(|frame| frame.file().is_none())
}

fn runtime() -> executor::Runtime {
    Builder::new().worker_threads(2).build().unwrap()
}

/// Dumps until the `block_on` is listed, which it is from its first park on.
fn dump_with_block_on(handle: &Handle) -> TaskDump {
    let mut dump = handle.dump_stacks(WITHIN);
    wait_until("the block_on is listed and asked", || {
        let asked = |dump: &TaskDump| {
            dump.block_ons().len() == 1 && !dump.block_ons()[0].stacks().is_empty()
        };
        let is_asked = asked(&dump);
        if !is_asked {
            dump = handle.dump_stacks(WITHIN);
        }
        is_asked
    });
    dump
}

#[test]
fn a_block_on_is_listed_with_the_place_where_it_waits_and_goes_on_when_it_is_woken() {
    within_patience(|| {
        let runtime = runtime();
        let (leaf, handle) = (Leaf::default(), runtime.handle().clone());
        let waits = leaf.clone();
        let line = line!() + 1;
        let waiting = thread::spawn(move || runtime.block_on(waits.wait()));
        wait_until("it waits", || leaf.is_waiting());
        let dump = dump_with_block_on(&handle);
        let [block_on] = dump.block_ons() else {
            panic!("{dump}");
        };
        let location = block_on.location();
        assert_eq!((location.file(), location.line()), (file!(), line));
        assert_eq!(block_on.stacks().len(), 1, "{:?}", block_on.stacks());
        assert!(is_here(&block_on.stacks()[0]), "{}", block_on.stacks()[0]);
        assert!(block_on.future().unwrap().contains("wait"), "{block_on:?}");
        assert_eq!(dump.num_unreached(), 0);
        // Each dump polls it once.
        let before = leaf.polls.load(SeqCst);
        for _ in 0..5 {
            dump_with_block_on(&handle);
        }
        let polls = leaf.polls.load(SeqCst) - before;
        assert!(polls >= 5, "{polls}");
        leaf.open();
        waiting.join().unwrap();
        assert_eq!(handle.dump_stacks(WITHIN).block_ons().len(), 0);
    });
}

#[test]
fn a_block_on_that_ends_or_panics_when_it_is_asked_does_that() {
    within_patience(|| {
        let runtime = Arc::new(runtime());
        for panics in [false, true] {
            let second = {
                let (mut polls, leaf) = (0, Leaf::default());
                (leaf.clone(), async move {
                    poll_fn(|cx| {
                        polls += 1;
                        *leaf.waker.lock().unwrap() = Some(cx.waker().clone());
                        match polls {
                            1 => Poll::Pending,
                            _ if panics => panic!("in the poll of a dump"),
                            _ => Poll::Ready(()),
                        }
                    })
                    .await;
                })
            };
            let (leaf, future) = second;
            let its = runtime.clone();
            let waiting = thread::spawn(move || its.block_on(future));
            wait_until("it waits", || leaf.is_waiting());
            wait_until("it was asked", || {
                runtime.handle().dump_stacks(WITHIN);
                waiting.is_finished()
            });
            assert_eq!(waiting.join().is_err(), panics);
        }
    });
}

#[test]
fn local_tasks_are_listed_with_the_runtime_of_their_block_on() {
    within_patience(|| {
        let runtime = runtime();
        let (leaf, handle) = (Leaf::default(), runtime.handle().clone());
        let waits = leaf.clone();
        let waiting = thread::spawn(move || {
            runtime.block_on(async move {
                let local = executor::spawn_local(async move { waits.wait().await });
                local.await.unwrap();
            });
        });
        wait_until("it waits", || leaf.is_waiting());
        let before = leaf.polls.load(SeqCst);
        let dump = handle.dump_stacks(WITHIN);
        assert_eq!(dump.num_unreached(), 0, "{dump}");
        assert_eq!(dump.num_unlisted(), 0, "{dump}");
        let [local] = dump.tasks() else {
            panic!("{dump}");
        };
        assert_eq!(local.location().unwrap().file(), file!());
        assert_eq!(local.stacks().len(), 1);
        assert!(is_here(&local.stacks()[0]), "{}", local.stacks()[0]);
        assert_eq!(leaf.polls.load(SeqCst), before + 1);
        leaf.open();
        waiting.join().unwrap();
    });
}

#[test]
fn tasks_of_a_queue_are_asked_when_their_thread_runs_it_and_counted_if_it_does_not() {
    within_patience(|| {
        let runtime = runtime();
        let handle = runtime.handle().clone();
        let (leaf, other) = (Leaf::default(), Leaf::default());
        let (wake, woken) = mpsc::channel();
        let entered = handle.enter();
        let queue = TaskQueue::new(move || {
            let _ = wake.send(());
        });
        drop(entered);
        for leaf in [leaf.clone(), other.clone()] {
            queue.spawn(async move { leaf.wait().await });
        }
        assert_eq!(queue.run(usize::MAX), 2);
        // Nobody runs it.
        let dump = handle.dump_stacks(Duration::from_millis(20));
        assert_eq!(dump.tasks().len(), 2);
        assert_eq!(dump.num_unreached(), 2, "{dump}");
        let dumps = thread::spawn({
            let handle = handle.clone();
            move || handle.dump_stacks(WITHIN)
        });
        while !dumps.is_finished() {
            let _ = woken.recv_timeout(Duration::from_millis(1));
            queue.run(usize::MAX);
        }
        let dump = dumps.join().unwrap();
        assert_eq!(dump.num_unreached(), 0);
        assert!(dump.tasks().iter().all(|task| task.stacks().len() == 1));
        for leaf in [leaf, other] {
            leaf.open();
        }
        queue.run(usize::MAX);
        assert_eq!(queue.num_alive_tasks(), 0);
    });
}

#[test]
fn a_dump_within_a_block_on_does_not_wait_for_itself() {
    within_patience(|| {
        let runtime = runtime();
        let handle = runtime.handle().clone();
        runtime.block_on(async {
            while handle.dump_stacks(Duration::ZERO).block_ons().is_empty() {
                executor::time::sleep(Duration::from_millis(1)).await;
            }
            let dump = || handle.dump_stacks(Duration::MAX);
            let by_another = thread::scope(|scope| scope.spawn(dump).join().unwrap());
            for dump in [dump(), by_another] {
                assert_eq!(dump.block_ons().len(), 1);
                assert!(dump.block_ons()[0].stacks().is_empty());
            }
        });
    });
}
