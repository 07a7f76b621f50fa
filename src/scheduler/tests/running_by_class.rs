//! Tasks of several classes on a scheduler with threads.

use std::future::Future;
use std::task::Poll;

use super::*;
use crate::scheduler::lifecycle::settings::{Lease, Settings};
use crate::scheduler::submit::OnWorkers;
use crate::sync::atomic::{AtomicBool, AtomicUsize};
use crate::sync::{Condvar, thread};
use crate::tasks::class::Class;
use crate::tasks::{JoinHandle, Meta, Priority, create, current_tag, yield_now};
use Priority::{Background, Interactive, Normal};

static KEPT: Mutex<Vec<Arc<Lease>>> = Mutex::new(Vec::new());

/// A scheduler that runs until this goes.
struct Running(Arc<Lease>);

impl Running {
    fn new(processors: usize, background_limit: usize) -> Running {
        let settings = Settings {
            background_limit: Some(background_limit),
            ..settings(processors, 64)
        };
        Running(Lease::open(settings, || Box::new(NoObserver), |_| ()).unwrap())
    }

    fn shared(&self) -> &'static Shared {
        self.0.shared()
    }

    fn spawn<T: Send + 'static>(
        &self,
        class: Priority,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        spawn(self.shared(), class, future)
    }

    fn retakes(&self) -> u64 {
        self.shared().snapshot().retakes
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared().close();
        assert!(self.shared().wait_closed(None));
        assert!(self.shared().is_settled());
        let by_class = &self.shared().queues.by_class;
        assert_eq!(by_class.permits.num_running(), 0);
        assert_eq!(
            (by_class.num_interactive(), by_class.num_background()),
            (0, 0)
        );
        // Other tests have another observer, so this scheduler is not used again.
        KEPT.lock().push(self.0.clone());
    }
}

fn spawn<T: Send + 'static>(
    shared: &'static Shared,
    class: Priority,
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let (runnable, handle) = create::<_, OnWorkers>(future, 0, shared.registry);
    runnable.metadata().put_class(Class::of(class));
    if class != Normal {
        shared.use_classes();
    }
    shared.submit_new(runnable);
    handle
}

/// Waits on a thread that is no worker.
fn join<T>(handle: JoinHandle<T>) -> T {
    futures::executor::block_on(handle).unwrap()
}

/// Whoever waits is blocked until it is open.
#[derive(Default)]
struct Latch(Mutex<bool>, Condvar);

impl Latch {
    fn open(&self) {
        *self.0.lock() = true;
        self.1.notify_all();
    }

    fn wait(&self) {
        let mut is_open = self.0.lock();
        while !*is_open {
            is_open = self.1.wait(is_open);
        }
    }
}

fn spin_until(flag: &AtomicBool) {
    while !flag.load(Ordering::Acquire) {
        std::hint::spin_loop();
    }
}

/// How many polls go on, and how many did at most.
#[derive(Default)]
struct Gate {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        // Others may come in meanwhile.
        (0..20).for_each(|_| thread::yield_now());
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn no_more_background_polls_go_on_at_once_than_the_limit_says() {
    for limit in [1, 2] {
        let running = Running::new(4, limit);
        let gate = Arc::new(Gate::default());
        let handles = Vec::from_iter((0..100).map(|_| {
            let gate = gate.clone();
            running.spawn(Background, async move {
                for _ in 0..20 {
                    gate.pass();
                    yield_now().await;
                }
            })
        }));
        handles.into_iter().for_each(join);
        assert_eq!(gate.most.load(Ordering::SeqCst), limit);
        let polls = running.shared().snapshot().background.polls;
        assert_eq!(polls, 100 * 21);
    }
}

/// It waits for another one of its class, which needs the only permit.
#[test]
fn a_background_poll_that_blocks_gives_its_permit_up() {
    for announced in [false, true] {
        let running = Running::new(2, 1);
        let latch = Arc::new(Latch::default());
        let begun = Arc::new(AtomicBool::new(false));
        let waits = {
            let (latch, begun) = (latch.clone(), begun.clone());
            running.spawn(Background, async move {
                begun.store(true, Ordering::Release);
                let _region = announced.then(enter_blocking);
                latch.wait();
            })
        };
        spin_until(&begun);
        let opens = running.spawn(Background, async move { latch.open() });
        join(waits);
        join(opens);
        assert_eq!(running.retakes() > 0, !announced);
    }
}

/// While other processors are idle, and beside work that takes all of them.
#[test]
fn a_background_poll_that_spins_gives_its_permit_up_after_a_while() {
    for flood in [false, true] {
        let running = Running::new(2, 1);
        let [flag, stop] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let spins = {
            let flag = flag.clone();
            running.spawn(Background, async move { spin_until(&flag) })
        };
        let floods = Vec::from_iter((0..3).filter(|_| flood).map(|_| {
            let stop = stop.clone();
            running.spawn(Normal, async move {
                while !stop.load(Ordering::Acquire) {
                    yield_now().await;
                }
            })
        }));
        let ends = running.spawn(
            Background,
            async move { flag.store(true, Ordering::Release) },
        );
        join(spins);
        join(ends);
        stop.store(true, Ordering::Release);
        floods.into_iter().for_each(join);
    }
}

/// The poll that goes on is longer than any time slice, so the task that waits for it to end would
/// never run.
#[test]
fn an_interactive_task_does_not_wait_for_a_poll_that_goes_on() {
    for class in [Background, Normal, Interactive] {
        let running = Running::new(1, 1);
        let [begun, flag] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let spins = {
            let [begun, flag] = [begun.clone(), flag.clone()];
            running.spawn(class, async move {
                begun.store(true, Ordering::Release);
                spin_until(&flag);
            })
        };
        spin_until(&begun);
        let ends = running.spawn(
            Interactive,
            async move { flag.store(true, Ordering::Release) },
        );
        join(spins);
        join(ends);
        assert!(running.retakes() > 0);
    }
}

/// Of all classes, in whatever queue, beside a poll that holds the only processor.
#[test]
fn a_shutdown_drops_each_queued_future_once() {
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    for inside in [false, true] {
        let running = Running::new(1, 1);
        let shared = running.shared();
        let dropped = Arc::new(AtomicUsize::new(0));
        let latch = Arc::new(Latch::default());
        let spawn_all = {
            let dropped = dropped.clone();
            move || {
                for number in 0..300 {
                    let counts = Counts(dropped.clone());
                    let class = [Interactive, Normal, Background][number % 3];
                    drop(spawn(shared, class, async move {
                        let _counts = counts;
                        std::future::pending::<()>().await;
                    }));
                }
            }
        };
        let begun = Arc::new(AtomicBool::new(false));
        let (within, closed) = (begun.clone(), latch.clone());
        let (inner, outer) = match inside {
            true => (Some(spawn_all), None),
            false => (None, Some(spawn_all)),
        };
        let gate = running.spawn(Background, async move {
            if let Some(spawn_all) = inner {
                spawn_all();
            }
            within.store(true, Ordering::Release);
            closed.wait();
        });
        spin_until(&begun);
        if let Some(spawn_all) = outer {
            spawn_all();
        }
        shared.close();
        latch.open();
        drop(gate);
        drop(running);
        assert_eq!(dropped.load(Ordering::SeqCst), 300);
    }
}

/// Tasks that yield, wake each other from elsewhere and change their classes all the time: each comes
/// to its end.
#[test]
fn nothing_is_lost_while_classes_change() {
    const TASKS: usize = 60;
    const TURNS: usize = 300;
    for (processors, limit) in [(1, 1), (2, 1), (3, 2)] {
        let running = Running::new(processors, limit);
        let shared = running.shared();
        let done = Arc::new(AtomicBool::new(false));
        let wakers: Arc<Mutex<Vec<std::task::Waker>>> = Arc::default();
        let tags = Arc::new(Mutex::new([0; TASKS]));
        let other = {
            let (wakers, tags, done) = (wakers.clone(), tags.clone(), done.clone());
            thread::spawn(move || {
                while !done.load(Ordering::Acquire) {
                    let woken = std::mem::take(&mut *wakers.lock());
                    woken.into_iter().for_each(std::task::Waker::wake);
                    let tags = *tags.lock();
                    tags.into_iter().for_each(|tag| shared.reclassed(tag));
                }
            })
        };
        let handles = Vec::from_iter((0..TASKS).map(|number| {
            let (wakers, tags) = (wakers.clone(), tags.clone());
            let future = async move {
                for turn in 0..TURNS {
                    let class = [Interactive, Normal, Background][(number + turn / 3) % 3];
                    let class = Class::of(class);
                    Meta::put_class_here(class);
                    let tag = current_tag().unwrap();
                    tags.lock()[number] = tag;
                    shared.reclassed(tag);
                    match turn % 4 {
                        0 => {
                            let mut woken = false;
                            std::future::poll_fn(|cx| {
                                if std::mem::replace(&mut woken, true) {
                                    return Poll::Ready(());
                                }
                                wakers.lock().push(cx.waker().clone());
                                Poll::Pending
                            })
                            .await;
                        }
                        1 => drop(spawn(shared, class.own, async {})),
                        2 if number % 10 == 0 && turn % 100 == 2 => {
                            let _region = enter_blocking();
                            thread::yield_now();
                        }
                        _ => yield_now().await,
                    }
                }
            };
            running.spawn([Interactive, Normal, Background][number % 3], future)
        }));
        handles.into_iter().for_each(join);
        done.store(true, Ordering::Release);
        other.join().unwrap();
    }
}

/// Also one that gave its processor away, and its permit with it, and has got one back.
#[test]
fn a_processor_shows_the_class_of_its_poll() {
    let running = Running::new(2, 1);
    let shared = running.shared();
    for (class, blocks) in [
        (Interactive, false),
        (Background, false),
        (Background, true),
    ] {
        let look = move || {
            let seen = |core: &Core| {
                let has_permit = core.processor.permit.load(Ordering::Relaxed) != 0;
                (core.processor.class(), has_permit)
            };
            this_thread::with_core(shared, seen)
        };
        // Another worker may have been faster.
        let seen = std::iter::repeat_with(|| {
            join(running.spawn(class, async move {
                if blocks {
                    drop(enter_blocking());
                }
                look()
            }))
        });
        let seen = seen.flatten().next();
        assert_eq!(seen, Some((class, class == Background && !blocks)));
    }
}
