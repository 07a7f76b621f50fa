//! Hooks around tasks: each is called exactly as often as what it is for happens, whatever becomes of the task.

use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use crate::common::{wait_until, within_patience};
use executor::Handle;
use executor::runtime::{Builder, TaskMeta};
use executor::task::{self, Id, yield_now};

/// What the hooks have seen.
#[derive(Default)]
struct Seen {
    tasks: Mutex<HashMap<Id, Calls>>,
    names: Mutex<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Calls {
    spawned: usize,
    before: usize,
    after: usize,
    terminated: usize,
}

impl Seen {
    fn note(&self, task: &TaskMeta, change: impl FnOnce(&mut Calls)) {
        change(self.tasks.lock().unwrap().entry(task.id()).or_default());
    }

    fn of(&self, id: Id) -> Calls {
        self.tasks
            .lock()
            .unwrap()
            .get(&id)
            .copied()
            .unwrap_or_default()
    }
}

fn hooked(workers: usize, seen: &Arc<Seen>) -> Builder {
    let [spawned, before, after, terminated] = [(); 4].map(|()| seen.clone());
    Builder::new()
        .worker_threads(workers)
        .on_task_spawn(move |task| {
            if let Some(name) = task.name() {
                spawned.names.lock().unwrap().push(name.to_owned());
            }
            spawned.note(task, |calls| calls.spawned += 1);
        })
        .on_before_task_poll(move |task| before.note(task, |calls| calls.before += 1))
        .on_after_task_poll(move |task| after.note(task, |calls| calls.after += 1))
        .on_task_terminate(move |task| terminated.note(task, |calls| calls.terminated += 1))
}

fn calls(polls: usize) -> Calls {
    Calls {
        spawned: 1,
        before: polls,
        after: polls,
        terminated: 1,
    }
}

#[test]
fn a_task_is_seen_from_its_spawn_to_its_end_poll_by_poll() {
    within_patience(|| {
        let seen = Arc::new(Seen::default());
        let runtime = hooked(2, &seen).build().unwrap();
        let foreign = runtime.spawn(async {
            yield_now().await;
            yield_now().await;
        });
        let parent = runtime.spawn(async {
            let child = task::Builder::new().name("child").spawn(async {});
            let id = child.id();
            child.await.unwrap();
            id
        });
        let panics = runtime.spawn(async { panic!("on purpose") });
        let job = runtime.spawn_blocking(|| ());
        let ids = [foreign.id(), panics.id(), job.id()];
        let (parent_id, child) = (parent.id(), runtime.block_on(parent).unwrap());
        runtime.block_on(foreign).unwrap();
        assert!(runtime.block_on(panics).unwrap_err().is_panic());
        runtime.block_on(job).unwrap();
        drop(runtime);
        assert_eq!(seen.of(ids[0]), calls(3));
        assert_eq!(seen.of(ids[1]), calls(1), "it panics in its poll");
        assert_eq!(seen.of(ids[2]), calls(1), "a job is polled once");
        assert_eq!(seen.of(child), calls(1));
        // It may find the child ended at its first poll.
        let parent = seen.of(parent_id);
        assert!(parent == calls(1) || parent == calls(2), "{parent:?}");
        assert_eq!(*seen.names.lock().unwrap(), ["child"]);
        assert_eq!(seen.tasks.lock().unwrap().len(), 5, "there were no others");
    });
}

#[test]
fn whatever_ends_a_task_is_told_once() {
    within_patience(|| {
        let seen = Arc::new(Seen::default());
        let runtime = hooked(1, &seen).build().unwrap();
        let handle = runtime.handle().clone();
        let aborted = runtime.spawn(pending::<()>());
        wait_until("it waits", || seen.of(aborted.id()).after == 1);
        aborted.abort();
        let id = aborted.id();
        assert!(runtime.block_on(aborted).unwrap_err().is_cancelled());
        wait_until("it has ended", || seen.of(id) == calls(2));
        let left = runtime.spawn(pending::<()>());
        wait_until("it waits", || seen.of(left.id()).after == 1);
        drop(runtime);
        assert_eq!(seen.of(left.id()), calls(2), "cancelled by a poll");
        // The hooks have gone with the runtime.
        let late = [handle.spawn(async {}), handle.spawn_blocking(|| ())];
        for late in late {
            assert_eq!(seen.of(late.id()), Calls::default());
        }
    });
}

#[test]
fn hooks_may_panic_spawn_and_block() {
    within_patience(|| {
        let spawned = Arc::new(AtomicUsize::new(0));
        let count = spawned.clone();
        let runtime = Builder::new()
            .worker_threads(1)
            .on_task_spawn(move |task| {
                count.fetch_add(1, SeqCst);
                if task.name() == Some("first") {
                    let inner = executor::spawn(async {});
                    // The processor is given away for it, in the middle of a spawn.
                    executor::block_on(inner).unwrap();
                }
            })
            .on_before_task_poll(|_| panic!("on purpose"))
            .on_after_task_poll(|_| panic!("on purpose"))
            .on_task_terminate(|_| panic!("on purpose"))
            .build()
            .unwrap();
        let outer = runtime.spawn(async {
            let first = task::Builder::new().name("first").spawn(async { 7 });
            first.await.unwrap()
        });
        assert_eq!(runtime.block_on(outer).unwrap(), 7);
        drop(runtime);
        assert_eq!(spawned.load(SeqCst), 3);
    });
}

#[test]
fn without_hooks_for_polls_the_others_are_called_all_the_same() {
    within_patience(|| {
        let ended = Arc::new(AtomicUsize::new(0));
        let count = ended.clone();
        let runtime = Builder::new()
            .worker_threads(2)
            .on_task_terminate(move |_| {
                count.fetch_add(1, SeqCst);
            })
            .build()
            .unwrap();
        for _ in 0..1000 {
            drop(runtime.spawn(yield_now()));
        }
        drop(runtime);
        assert_eq!(ended.load(SeqCst), 1000);
    });
}

/// The runtime lets go of its hooks between the two.
#[test]
fn who_is_told_of_a_spawn_is_told_of_the_end_while_the_runtime_ends() {
    within_patience(|| {
        const THREADS: usize = 2;
        let told = Arc::new(Mutex::new(Vec::new()));
        let (spawned, terminated) = (told.clone(), told.clone());
        let stopping = Arc::new(AtomicUsize::new(0));
        let (may_end, ends) = mpsc::channel::<()>();
        let (has_ended, ended) = mpsc::channel::<()>();
        let [ends, ended] = [ends, ended].map(|channel| Arc::new(Mutex::new(channel)));
        let count = stopping.clone();
        let may_end = Mutex::new(Some(may_end));
        let runtime = Builder::new()
            .worker_threads(1)
            .on_thread_stop(move || {
                count.fetch_add(1, SeqCst);
                // Until all ends of the channel have gone.
                let _ = ends.lock().unwrap().recv();
            })
            .on_task_spawn(move |_| {
                spawned.lock().unwrap().push("spawned");
                drop(may_end.lock().unwrap().take());
                let _ = ended.lock().unwrap().recv();
            })
            .on_task_terminate(move |_| terminated.lock().unwrap().push("terminated"))
            .build()
            .unwrap();
        let handle = runtime.handle().clone();
        let dropper = thread::spawn(move || {
            drop(runtime);
            drop(has_ended);
        });
        // The janitor has found everything settled, and the runtime waits for its threads.
        wait_until("all threads are ending", || {
            stopping.load(SeqCst) == THREADS
        });
        let late = handle.spawn(async {});
        dropper.join().unwrap();
        assert!(handle.block_on(late).unwrap_err().is_cancelled());
        assert_eq!(*told.lock().unwrap(), ["spawned", "terminated"]);
    });
}

/// A chain of destructors that is deeper than those that end inside each other.
#[test]
fn a_task_whose_end_is_put_off_has_ended_when_that_is_told() {
    const LENGTH: usize = 100;

    struct Chain {
        left: usize,
        handle: Handle,
        dropped: Arc<Mutex<Vec<Id>>>,
    }

    impl Drop for Chain {
        fn drop(&mut self) {
            if self.left != 0 {
                link(self.left - 1, &self.handle, &self.dropped);
            }
            self.dropped.lock().unwrap().push(task::id());
        }
    }

    fn link(left: usize, handle: &Handle, dropped: &Arc<Mutex<Vec<Id>>>) {
        let chain = Chain {
            left,
            handle: handle.clone(),
            dropped: dropped.clone(),
        };
        drop(handle.spawn(async move {
            let _chain = chain;
            pending::<()>().await;
        }));
    }

    within_patience(|| {
        let dropped = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::new(Mutex::new(Vec::new()));
        let (seen, tell) = (dropped.clone(), told.clone());
        let runtime = Builder::new()
            .worker_threads(1)
            .on_task_terminate(move |task| {
                let was_dropped = seen.lock().unwrap().contains(&task.id());
                tell.lock().unwrap().push(was_dropped);
            })
            .build()
            .unwrap();
        let handle = runtime.handle().clone();
        let (release, held) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        // While it runs the hooks stay.
        drop(runtime.spawn_blocking(move || {
            begun.send(()).unwrap();
            let _ = held.recv();
        }));
        begins.recv().unwrap();
        runtime.shutdown_background();
        link(LENGTH - 1, &handle, &dropped);
        assert_eq!(dropped.lock().unwrap().len(), LENGTH);
        assert_eq!(*told.lock().unwrap(), [true; LENGTH]);
        drop(release);
    });
}
