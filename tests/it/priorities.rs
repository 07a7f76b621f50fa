//! Classes of tasks: who inherits which, what is lifted and falls back, by how many polls, and who sees it.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};

use executor::runtime::{Builder, TaskDump};
use executor::task::{self, Id, JoinSet, LocalTaskQueue, Priority, TaskQueue, yield_now};
use executor::{Handle, JoinHandle, Runtime, block_on, spawn, spawn_blocking, spawn_local};

use crate::common::{on_runtimes, processors, wait_until, within_patience};

use Priority::{Background, Interactive, Normal};

const ALL: [Priority; 3] = [Background, Normal, Interactive];

async fn here() -> Priority {
    task::priority()
}

fn of_class(class: Priority) -> task::Builder {
    task::Builder::new().priority(class)
}

/// The own class of a task, and the one that it has.
fn classes(dump: &TaskDump, id: Id) -> Option<(Priority, Priority)> {
    let task = dump.tasks().iter().find(|task| task.id() == id)?;
    task.own_priority().zip(task.priority())
}

#[track_caller]
fn wait_for_class(handle: &Handle, id: Id, class: (Priority, Priority)) {
    wait_until(&format!("{class:?}"), || {
        classes(&handle.dump_tasks(), id) == Some(class)
    });
}

#[test]
fn a_task_has_the_class_that_it_was_spawned_with_and_gives_it_on() {
    on_runtimes(|runtime| {
        for class in ALL {
            let asks = async move {
                let mut seen = vec![here().await];
                seen.push(spawn(here()).await.unwrap());
                seen.push(
                    task::Builder::new()
                        .name("named")
                        .spawn(here())
                        .await
                        .unwrap(),
                );
                seen.push(Handle::current().spawn(here()).await.unwrap());
                let job = || (task::priority(), spawn(here()));
                let (of_job, spawned) = spawn_blocking(job).await.unwrap();
                seen.extend([of_job, spawned.await.unwrap()]);
                let mut set = JoinSet::new();
                set.spawn(here());
                set.spawn_blocking(task::priority);
                while let Some(of_member) = set.join_next().await {
                    seen.push(of_member.unwrap());
                }
                yield_now().await;
                seen.push(spawn(here()).await.unwrap());
                seen
            };
            let seen = runtime.block_on(async { of_class(class).spawn(asks).await.unwrap() });
            assert_eq!(seen, [class; 9]);
            // Awaited by the thread, which lifts nothing.
            let other = async { [of_class(Normal).spawn(async { [spawn(here())] })] };
            let [spawned] = block_on(of_class(class).spawn(other)).unwrap();
            let [spawned] = block_on(spawned).unwrap();
            assert_eq!(block_on(spawned).unwrap(), Normal);
        }
    });
}

/// A `block_on` inside a task is a part of that task; its local tasks have a class as others.
#[test]
fn a_nested_block_on_belongs_to_the_task_around_it() {
    on_runtimes(|runtime| {
        let seen = runtime.handle().with_priority(Background).spawn(async {
            block_on(async {
                let nested = spawn(here()).await.unwrap();
                let local = spawn_local(async {
                    let handle = of_class(Interactive).spawn(here());
                    (here().await, handle.await.unwrap(), spawn(here()))
                });
                let (local, other, of_local) = local.await.unwrap();
                let inner = block_on(async { spawn(here()).await.unwrap() });
                [
                    nested,
                    local,
                    of_local.await.unwrap(),
                    inner,
                    spawn(here()).await.unwrap(),
                    other,
                ]
            })
        });
        let seen = runtime.block_on(seen).unwrap();
        assert_eq!(seen[..5], [Background; 5]);
        assert_eq!(seen[5], Interactive);
    });
}

#[test]
fn a_handle_with_a_class_gives_it_to_what_it_spawns() {
    on_runtimes(|runtime| {
        for class in ALL {
            let handle = runtime.handle().with_priority(class);
            let job = handle.spawn_blocking(task::priority);
            assert_eq!(handle.block_on(handle.spawn(here())).unwrap(), class);
            assert_eq!(handle.block_on(job).unwrap(), class);
            let clone = handle.clone();
            // Its tasks have that class wherever they are spawned, its `block_on` spawns with it.
            let spawned = of_class(Interactive).spawn(async move { [clone.spawn(here())] });
            let [spawned] = block_on(spawned).unwrap();
            assert_eq!(block_on(spawned).unwrap(), class);
            assert_eq!(
                handle.block_on(async { spawn(here()).await }).unwrap(),
                class
            );
            assert_eq!(
                block_on(runtime.spawn(here())).unwrap(),
                Normal,
                "nothing is left"
            );
            assert_eq!(
                block_on(handle.with_priority(Normal).spawn(here())).unwrap(),
                Normal
            );
        }
    });
}

#[test]
fn an_entered_handle_gives_its_class_until_it_is_left() {
    on_runtimes(|runtime| {
        let spawned = || block_on(spawn(here())).unwrap();
        let (low, high) = (
            runtime.handle().with_priority(Background),
            runtime.handle().with_priority(Interactive),
        );
        let outer = low.enter();
        assert_eq!(spawned(), Background);
        {
            let _plain = runtime.handle().enter();
            assert_eq!(spawned(), Background, "that one has no class");
            let _inner = high.enter();
            assert_eq!(spawned(), Interactive);
            assert_eq!(
                block_on(Handle::current().spawn(here())).unwrap(),
                Interactive
            );
        }
        assert_eq!(spawned(), Background);
        let inner = high.enter();
        drop(outer);
        assert_eq!(spawned(), Interactive, "guards may be dropped in any order");
        drop(inner);
        let _guard = runtime.handle().enter();
        assert_eq!(spawned(), Normal);
        // In a task it counts until it is dropped, and then the task's own class.
        let in_task = of_class(Interactive).spawn(async move {
            let entered = {
                let _guard = low.enter();
                spawn(here())
            };
            [entered, spawn(here())]
        });
        let [entered, left] = block_on(in_task).unwrap();
        assert_eq!(block_on(entered).unwrap(), Background);
        assert_eq!(block_on(left).unwrap(), Interactive);
    });
}

#[test]
fn a_task_that_becomes_normal_spawns_normal_tasks_from_then_on() {
    on_runtimes(|runtime| {
        let (go_on, told) = async_channel::bounded::<()>(1);
        let (sender, spawned) = mpsc::channel();
        let background = runtime.handle().with_priority(Background);
        let handle = background.spawn(async move {
            // The second time none, so that the last one with a class that is polled is this task.
            for spawns in [true, false, true, true] {
                sender.send(spawns.then(|| spawn(here()))).unwrap();
                let _ = told.recv().await;
            }
        });
        let next = || {
            let next = spawned.recv().unwrap();
            next.map(|spawned| block_on(spawned).unwrap())
        };
        assert_eq!(next(), Some(Background));
        block_on(go_on.send(())).unwrap();
        assert_eq!(next(), None);
        handle.set_priority(Normal);
        for _ in 0..2 {
            block_on(go_on.send(())).unwrap();
            assert_eq!(next(), Some(Normal));
        }
    });
}

/// Tasks of a queue are polled in its order, and have a class for what they spawn.
#[test]
fn tasks_of_a_queue_have_the_class_of_their_spawner() {
    within_patience(|| {
        let runtime = processors(1);
        let _guard = runtime.handle().enter();
        let queue = TaskQueue::new(|| ());
        let spawner = queue.spawner();
        let (sender, seen) = mpsc::channel();
        let tell = sender.clone();
        let in_task = of_class(Background).spawn(async move {
            drop(
                spawner.spawn(async move { tell.send((task::priority(), spawn(here()))).unwrap() }),
            );
        });
        block_on(in_task).unwrap();
        drop(queue.spawn(async move { sender.send((task::priority(), spawn(here()))).unwrap() }));
        assert_eq!(queue.run(usize::MAX), 2);
        for class in [Background, Normal] {
            let (of_queued, spawned) = seen.recv().unwrap();
            assert_eq!(of_queued, class);
            assert_eq!(block_on(spawned).unwrap(), class);
        }
        let local = LocalTaskQueue::new(|| ());
        let spawned = local.spawn_local(here());
        local.run(1);
        assert_eq!(block_on(spawned).unwrap(), Normal);
    });
}

/// The class of a task in each of its polls.
#[derive(Clone, Default)]
struct Polls(Arc<Mutex<Vec<Priority>>>);

impl Polls {
    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn note(&self) {
        self.0.lock().unwrap().push(task::priority());
    }

    #[track_caller]
    fn wait_for_last(&self, class: Priority) {
        wait_until(&format!("a poll that is {class:?}"), || {
            self.0.lock().unwrap().last() == Some(&class)
        });
    }
}

/// A task that waits for ever.
fn waits(polls: &Polls) -> impl Future<Output = ()> + Send + use<> {
    let polls = polls.clone();
    poll_fn(move |_| {
        polls.note();
        Poll::Pending
    })
}

#[test]
fn awaiting_a_handle_lifts_a_chain_and_its_drop_lets_it_fall() {
    on_runtimes(|runtime| {
        let handle = runtime.handle().clone();
        let (c_polls, b_polls) = (Polls::default(), Polls::default());
        let c = handle.with_priority(Background).spawn(waits(&c_polls));
        let c_id = c.id();
        let mut c = c;
        let counted = b_polls.clone();
        let b = runtime.spawn(poll_fn(move |cx| {
            counted.note();
            Pin::new(&mut c).poll(cx)
        }));
        let b_id = b.id();
        // By B alone.
        wait_for_class(&handle, c_id, (Background, Normal));
        c_polls.wait_for_last(Normal);
        b_polls.wait_for_last(Normal);
        let (let_go, gone) = async_channel::bounded::<()>(1);
        let a = handle.with_priority(Interactive).spawn(async move {
            let mut b = Some(b);
            let mut gone = std::pin::pin!(gone.recv());
            poll_fn(|cx| {
                if gone.as_mut().poll(cx).is_ready() {
                    drop(b.take());
                    return Poll::Ready(());
                }
                assert!(Pin::new(b.as_mut().unwrap()).poll(cx).is_pending());
                Poll::Pending
            })
            .await;
        });
        wait_for_class(&handle, b_id, (Normal, Interactive));
        wait_for_class(&handle, c_id, (Background, Interactive));
        b_polls.wait_for_last(Interactive);
        c_polls.wait_for_last(Interactive);
        block_on(let_go.send(())).unwrap();
        block_on(a).unwrap();
        wait_for_class(&handle, b_id, (Normal, Normal));
        let text = handle.dump_tasks().to_string();
        assert!(
            text.contains(", background, lifted to interactive: waiting"),
            "{text}"
        );
        assert_eq!(b_polls.count(), 2, "a fall wakes nobody");
    });
}

#[test]
fn a_thread_that_waits_lifts_nothing() {
    on_runtimes(|runtime| {
        let background = runtime.handle().with_priority(Background);
        let handle = background.spawn(async {
            yield_now().await;
            here().await
        });
        assert_eq!(block_on(handle).unwrap(), Background);
    });
}

/// The tasks wait, or are spawned when the set is lifted already. Those in a queue: see `background.rs`.
#[test]
fn awaiting_a_set_lifts_its_tasks_once_for_each_level() {
    on_runtimes(|runtime| {
        let handle = runtime.handle().clone();
        let polls: [Polls; 5] = Default::default();
        let counted = polls.clone();
        let (ids, told) = mpsc::channel();
        let (more, asked) = async_channel::bounded::<()>(1);
        let owner = runtime.spawn(async move {
            let mut set = JoinSet::new();
            let guard = Handle::current().with_priority(Background);
            let entered = guard.enter();
            for polls in &counted[..3] {
                ids.send(set.spawn(waits(polls)).id()).unwrap();
            }
            drop(entered);
            let by_hand = set.spawn(waits(&counted[3]));
            by_hand.set_priority(Background);
            ids.send(by_hand.id()).unwrap();
            let mut asked = std::pin::pin!(asked.recv());
            poll_fn(|cx| {
                assert!(set.poll_join_next(cx).is_pending());
                asked.as_mut().poll(cx).map(drop)
            })
            .await;
            ids.send(set.spawn(waits(&counted[4])).id()).unwrap();
            set.join_next().await
        });
        let first: Vec<_> = (0..4).map(|_| told.recv().unwrap()).collect();
        for &id in &first {
            wait_for_class(&handle, id, (Background, Normal));
        }
        let [first_polls @ .., later_polls] = &polls;
        for polls in first_polls {
            polls.wait_for_last(Normal);
        }
        owner.set_priority(Interactive);
        for &id in &first {
            wait_for_class(&handle, id, (Background, Interactive));
        }
        for polls in first_polls {
            polls.wait_for_last(Interactive);
        }
        block_on(more.send(())).unwrap();
        let later = told.recv().unwrap();
        wait_for_class(&handle, later, (Interactive, Interactive));
        later_polls.wait_for_last(Interactive);
        owner.abort();
        assert!(block_on(owner).unwrap_err().is_cancelled());
        wait_until("all have ended", || {
            runtime.metrics().num_alive_tasks() == 0
        });
        assert_eq!(later_polls.count(), 1, "it began with the level");
    });
}

#[test]
fn tasks_that_a_set_detaches_fall_back() {
    on_runtimes(|runtime| {
        let handle = runtime.handle().clone();
        let background = handle.with_priority(Background);
        let owner = runtime.spawn(async move {
            let mut set = JoinSet::new();
            let id = {
                let _guard = background.enter();
                set.spawn(pending::<()>()).id()
            };
            poll_fn(|cx| {
                assert!(set.poll_join_next(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            let lifted = classes(&Handle::current().dump_tasks(), id);
            set.detach_all();
            (id, lifted)
        });
        let (id, lifted) = block_on(owner).unwrap();
        assert_eq!(lifted, Some((Background, Normal)));
        wait_for_class(&handle, id, (Background, Background));
    });
}

/// Whatever the order: when all is quiet, everything that is awaited has the class of the last one.
#[test]
fn long_chains_are_lifted_while_they_grow() {
    const CHAINS: usize = 40;
    const LENGTH: usize = 20;

    fn link(left: usize, end: Arc<Mutex<Vec<Waker>>>, low: Arc<AtomicUsize>) -> JoinHandle<()> {
        of_class(Background).spawn(async move {
            if left > 0 {
                let next = link(left - 1, end, low.clone());
                yield_now().await;
                next.await.unwrap();
            } else {
                let mut is_over = false;
                poll_fn(|cx| {
                    end.lock().unwrap().push(cx.waker().clone());
                    // Woken by its lift, and by the test.
                    is_over |= task::priority() == Interactive;
                    if is_over {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .await;
            }
            if task::priority() != Interactive {
                low.fetch_add(1, Ordering::SeqCst);
            }
        })
    }
    on_runtimes(|runtime| {
        let _guard = runtime.handle().enter();
        let low = Arc::<AtomicUsize>::default();
        let all: Vec<_> = (0..CHAINS)
            .map(|number| {
                let low = low.clone();
                of_class(Interactive).spawn(async move {
                    let first = link(LENGTH, Arc::default(), low);
                    for _ in 0..number % 7 {
                        yield_now().await;
                    }
                    first.await.unwrap();
                })
            })
            .collect();
        for handle in all {
            block_on(handle).unwrap();
        }
        assert_eq!(low.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn hooks_and_dumps_say_the_class() {
    within_patience(|| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let [spawned, before] = [(); 2].map(|()| seen.clone());
        let runtime: Runtime = Builder::new()
            .worker_threads(1)
            .on_task_spawn(move |task| spawned.lock().unwrap().push(task.priority()))
            .on_before_task_poll(move |task| before.lock().unwrap().push(task.priority()))
            .build()
            .unwrap();
        for class in ALL {
            let handle = runtime.handle().with_priority(class).spawn(async {});
            runtime.block_on(handle).unwrap();
            assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), [class; 2]);
        }
        let waits = runtime
            .handle()
            .with_priority(Interactive)
            .spawn(pending::<()>());
        wait_for_class(runtime.handle(), waits.id(), (Interactive, Interactive));
        let dump = runtime.handle().dump_tasks();
        assert!(
            dump.to_string().contains(", interactive: waiting"),
            "{dump}"
        );
        let mut json = Vec::new();
        dump.write_json(&mut json).unwrap();
        let json = String::from_utf8(json).unwrap();
        let class = r#""priority":"interactive","own_priority":"interactive""#;
        assert!(json.contains(class), "{json}");
    });
}
