//! The rules of the tokio context itself: which one it is, where it is, and that it is gone afterwards.

use std::collections::HashMap;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use executor::{Builder, Handle, block_in_place};
use libraries_tokio_context::context::{id, of_process, tokio_runtime, with_own_tokio};
use libraries_tokio_context::{bounded, output, processors};
use tokio::runtime::Id;

/// The ids found in all kinds of places of a runtime.
fn ids_inside(runtime: &executor::Runtime) -> Vec<Option<Id>> {
    let task = runtime.spawn(async {
        let mut found = vec![id()];
        found.push(block_in_place(id));
        found.push(id());
        found.push(executor::block_on(async { id() }));
        found.push(output(executor::spawn(async { id() })).await);
        found.push(output(executor::spawn_blocking(id)).await);
        found.push(
            output(executor::spawn_blocking(|| {
                executor::block_on(async { id() })
            }))
            .await,
        );
        found
    });
    runtime.block_on(async {
        let mut found = output(task).await;
        found.push(id());
        found.push(output(executor::spawn_local(async { id() })).await);
        found
    })
}

#[test]
fn all_runtimes_share_the_context_of_the_process() {
    bounded(|| {
        let expected = of_process();
        for count in [1, 2, 4] {
            let runtime = processors(count);
            let found = ids_inside(&runtime);
            assert_eq!(found, vec![expected; found.len()]);
        }
        let found = executor::run(async { id() });
        assert_eq!(found, expected);
    });
}

#[test]
fn a_runtime_with_a_handle_of_its_own_uses_that_alone() {
    bounded(|| {
        let tokio = tokio_runtime();
        let expected = Some(tokio.handle().id());
        assert_ne!(expected, of_process());
        for count in [1, 2] {
            let runtime = with_own_tokio(&tokio, count);
            let found = ids_inside(&runtime);
            assert_eq!(found, vec![expected; found.len()]);
        }
    });
}

#[test]
fn a_nested_block_on_of_another_runtime_changes_the_context_and_puts_it_back() {
    bounded(|| {
        let tokio = tokio_runtime();
        let own = Some(tokio.handle().id());
        let process = of_process();
        let (outer, inner) = (processors(1), with_own_tokio(&tokio, 1));
        let task = outer.spawn(async move {
            let before = id();
            let inside = inner.block_on(async { id() });
            (before, inside, id())
        });
        assert_eq!(outer.block_on(output(task)), (process, own, process));
    });
}

#[test]
fn each_thread_is_in_the_context_from_its_first_hook_to_its_last() {
    bounded(|| {
        let tokio = tokio_runtime();
        let found = Arc::new(Mutex::new((Vec::new(), Vec::new())));
        let (started, stopped) = (found.clone(), found.clone());
        let runtime = Builder::new()
            .worker_threads(2)
            .tokio_handle(tokio.handle().clone())
            .on_thread_start(move || started.lock().unwrap().0.push(id()))
            .on_thread_stop(move || stopped.lock().unwrap().1.push(id()))
            .build()
            .unwrap();
        // Each task blocks until all have met, and each job, so that each has a thread of its own.
        let (meeting, met) = (
            Arc::new(std::sync::Barrier::new(8)),
            Arc::new(Mutex::new(HashMap::new())),
        );
        let note = {
            let met = met.clone();
            move || {
                meeting.wait();
                met.lock().unwrap().insert(thread::current().id(), id());
            }
        };
        let mut handles = Vec::new();
        for _ in 0..4 {
            let (in_task, in_job) = (note.clone(), note.clone());
            handles.push(runtime.spawn(async move { in_task() }));
            handles.push(runtime.spawn_blocking(in_job));
        }
        for handle in handles {
            runtime.block_on(output(handle));
        }
        drop(runtime);
        let expected = Some(tokio.handle().id());
        let met: Vec<_> = met.lock().unwrap().values().copied().collect();
        assert_eq!(met, [expected; 8]);
        let (started, stopped) = std::mem::take(&mut *found.lock().unwrap());
        assert!(started.len() >= 8, "{}", started.len());
        assert_eq!(started, vec![expected; started.len()]);
        assert_eq!(stopped, started);
    });
}

#[test]
fn a_context_around_is_not_adopted_and_is_there_again_afterwards() {
    bounded(|| {
        let tokio = tokio_runtime();
        let (around, process) = (Some(tokio.handle().id()), of_process());
        let inside_and_after = move || {
            let inside = executor::block_on(async {
                let task = output(executor::spawn(async { id() })).await;
                assert_eq!(task, id());
                id()
            });
            let panicked =
                catch_unwind(|| executor::block_on(async { resume_unwind(Box::new(())) }));
            assert!(panicked.is_err());
            (inside, id())
        };
        assert_eq!(
            tokio.block_on(async { inside_and_after() }),
            (process, around)
        );
        let task = tokio.spawn(async move { inside_and_after() });
        assert_eq!(tokio.block_on(task).unwrap(), (process, around));
        let guard = tokio.enter();
        assert_eq!(inside_and_after(), (process, around));
        drop(guard);
        assert_eq!(inside_and_after(), (process, None));
    });
}

/// It would panic if the thread of a runtime that is built inside another's context inherited that.
#[test]
fn a_runtime_built_inside_tokio_outlives_it() {
    bounded(|| {
        let tokio = tokio_runtime();
        let runtime = tokio.block_on(async { processors(2) });
        tokio.shutdown_timeout(Duration::ZERO);
        let task = runtime.spawn(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            tokio::spawn(async { 7 }).await.unwrap()
        });
        assert_eq!(runtime.block_on(output(task)), 7);
    });
}

#[test]
fn a_thread_outside_has_no_context_before_and_after() {
    bounded(|| {
        assert_eq!(id(), None);
        let inside = executor::block_on(async { id() });
        assert_ne!(inside, None);
        assert_eq!(id(), None);
        let panicked = catch_unwind(|| executor::block_on(async { resume_unwind(Box::new(())) }));
        assert!(panicked.is_err());
        assert_eq!(id(), None);
        let runtime = processors(1);
        drop(runtime.spawn(async {}));
        drop(runtime.spawn_blocking(|| ()));
        let entered = runtime.handle().enter();
        assert_eq!(id(), None, "an entered handle enters no context of tokio");
        drop(entered);
        drop(runtime);
        assert_eq!(id(), None);
    });
}

/// Like a library's object whose end talks to tokio.
struct NeedsContext(mpsc::Sender<Option<Id>>);

impl Drop for NeedsContext {
    fn drop(&mut self) {
        let _ = self.0.send(id());
    }
}

/// A future that never ends and has been polled once when the receiver hears of it.
async fn stays(needs: NeedsContext, polled: mpsc::Sender<()>) {
    let _needs = needs;
    polled.send(()).unwrap();
    pending::<()>().await;
}

#[test]
fn futures_that_a_shutdown_or_an_abort_drops_are_dropped_in_the_context() {
    bounded(|| {
        let tokio = tokio_runtime();
        let expected = Some(tokio.handle().id());
        let (tx, dropped) = mpsc::channel();
        let (polled, is_polled) = mpsc::channel();
        for aborted in [true, false] {
            let runtime = with_own_tokio(&tokio, 2);
            let tasks: Vec<_> = (0..20)
                .map(|_| runtime.spawn(stays(NeedsContext(tx.clone()), polled.clone())))
                .collect();
            for _ in 0..20 {
                is_polled.recv().unwrap();
            }
            if aborted {
                tasks.iter().for_each(executor::JoinHandle::abort);
                for task in tasks {
                    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
                }
            }
            drop(runtime);
            let found: Vec<_> = dropped.try_iter().collect();
            assert_eq!(found, [expected; 20], "aborted: {aborted}");
        }
    });
}

/// One thread for tasks and one for jobs, both of which are stuck until the runtime has been told to end.
#[test]
fn what_is_still_queued_at_a_shutdown_is_dropped_in_the_context() {
    bounded(|| {
        let tokio = tokio_runtime();
        let expected = Some(tokio.handle().id());
        let runtime = Builder::new()
            .worker_threads(1)
            .max_threads(1)
            .max_blocking_threads(1)
            .tokio_handle(tokio.handle().clone())
            .build()
            .unwrap();
        let (begun, has_begun) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel::<()>();
        let goes_on = Arc::new(Mutex::new(goes_on));
        let stuck = move || {
            begun.send(()).unwrap();
            let _ = goes_on.lock().unwrap().recv();
        };
        let in_task = stuck.clone();
        drop(runtime.spawn(async move { in_task() }));
        drop(runtime.spawn_blocking(stuck));
        for _ in 0..2 {
            has_begun.recv().unwrap();
        }
        let (tx, dropped) = mpsc::channel();
        for _ in 0..10 {
            let (of_task, of_job) = (NeedsContext(tx.clone()), NeedsContext(tx.clone()));
            drop(runtime.spawn(async move { drop(of_task) }));
            drop(runtime.spawn_blocking(move || drop(of_job)));
        }
        drop(tx);
        runtime.shutdown_background();
        drop(go_on);
        let found: Vec<_> = dropped.iter().collect();
        assert_eq!(found, [expected; 20]);
    });
}

#[test]
fn the_futures_of_a_block_on_are_dropped_in_the_context() {
    bounded(|| {
        let (tx, dropped) = mpsc::channel();
        let expected = of_process();
        let (polled, is_polled) = mpsc::channel();
        let needs = || NeedsContext(tx.clone());
        executor::block_on(async {
            drop(executor::spawn_local(stays(needs(), polled)));
            poll_fn(|cx| match is_polled.try_recv() {
                Ok(()) => Poll::Ready(()),
                Err(_) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            })
            .await;
            let _kept = needs();
        });
        let needs_it = needs();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            executor::block_on(async move {
                let _needs_it = needs_it;
                resume_unwind(Box::new(()))
            })
        }));
        assert!(panicked.is_err());
        let found: Vec<_> = dropped.try_iter().collect();
        assert_eq!(found, [expected; 3]);
    });
}

#[test]
fn handles_and_free_functions_reach_the_context_of_their_runtime() {
    bounded(|| {
        let tokio = tokio_runtime();
        let own = Some(tokio.handle().id());
        let runtime = with_own_tokio(&tokio, 2);
        let handle: Handle = runtime.handle().clone();
        assert_eq!(handle.block_on(async { id() }), own);
        let entered = handle.enter();
        assert_eq!(executor::block_on(async { id() }), own);
        let task = executor::spawn(async { id() });
        assert_eq!(executor::block_on(output(task)), own);
        drop(entered);
        assert_ne!(executor::block_on(async { id() }), own);
    });
}

/// tokio's locals may be gone by then: there is no context, and no panic.
#[test]
fn a_block_on_while_the_thread_ends_does_not_panic() {
    static ANSWERS: AtomicUsize = AtomicUsize::new(0);
    struct AtEnd;
    impl Drop for AtEnd {
        fn drop(&mut self) {
            ANSWERS.fetch_add(executor::block_on(async { 1 }), Relaxed);
        }
    }
    thread_local! {
        static AT_END: AtEnd = const { AtEnd };
    }
    bounded(|| {
        for first in [true, false] {
            thread::spawn(move || {
                if first {
                    AT_END.with(|_| ());
                }
                executor::block_on(async { tokio::task::yield_now().await });
                AT_END.with(|_| ());
            })
            .join()
            .unwrap();
        }
        assert_eq!(ANSWERS.load(Relaxed), 2);
    });
}

/// Many threads at once start their first runtime: one context comes of it.
#[test]
fn whoever_is_first_all_get_the_same_context() {
    bounded(|| {
        let start = Arc::new(std::sync::Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let start = start.clone();
                thread::spawn(move || {
                    start.wait();
                    processors(1).block_on(async { id() })
                })
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), of_process());
        }
    });
}
