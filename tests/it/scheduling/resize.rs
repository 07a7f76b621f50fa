//! The number of processors changes while tasks run, block and wait: none is lost, no processor beyond the number runs any,
//! and what a processor leaves behind goes on elsewhere.
//!
//! A task that is forgotten is a hang; that is what the watch is for.

use std::collections::HashSet;
use std::future::{Future, pending};
use std::hint::spin_loop;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use executor::runtime::{Builder, Handle, RuntimeMetrics, worker_index};
use executor::task::yield_now;
use executor::time::sleep;
use executor::{JoinHandle, Runtime, block_in_place, spawn, spawn_blocking};

use crate::common::stuck::{Count, Stuck, WAYS, join};
use crate::common::{assert_all_usable, processors, wait_until, within_patience};

type Figure = fn(&RuntimeMetrics, usize) -> u64;

const SHORT: Duration = Duration::from_micros(300);

fn spin(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        spin_loop();
    }
}

/// As many tasks as there are processors, each in a poll at the same time, so that each is on a processor of its own. Each
/// has the index of its processor, and when all are there goes on with `then` in the same poll.
fn on_each<F, T>(
    runtime: &Runtime,
    then: impl Fn(usize) -> F + Send + Sync + 'static,
) -> Vec<JoinHandle<T>>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let (count, arrived, then) = (
        runtime.handle().worker_threads(),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(then),
    );
    let tasks = (0..count).map(|_| {
        let (arrived, then) = (arrived.clone(), then.clone());
        runtime.spawn(async move {
            arrived.fetch_add(1, SeqCst);
            while arrived.load(SeqCst) < count {
                thread::yield_now();
            }
            // A poll that takes its time may have lost its processor.
            then(worker_index().unwrap_or(0)).await
        })
    });
    tasks.collect()
}

/// Resizes until all tasks have ended, and then to this number.
fn resize_until_ended(runtime: &Runtime, tasks: Vec<JoinHandle<()>>, at_last: usize) {
    let mut numbers = [1, 4, 2, 6, 1, 3, 2, 5].into_iter().cycle();
    while tasks.iter().any(|task| !task.is_finished()) {
        runtime
            .handle()
            .set_worker_threads(numbers.next().unwrap())
            .unwrap();
        thread::sleep(Duration::from_micros(200));
    }
    join(runtime, tasks);
    runtime.handle().set_worker_threads(at_last).unwrap();
    assert_eq!(runtime.handle().worker_threads(), at_last);
    assert_all_usable(runtime);
}

/// Many tasks, each of which does this many times, while the number changes.
fn up_and_down<F>(times: usize, act: fn(usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    const TASKS: usize = 20;
    within_patience(move || {
        let runtime = processors(2);
        let done = Count::default();
        let tasks = (0..TASKS).map(|_| {
            let done = done.clone();
            runtime.spawn(async move {
                for time in 0..times {
                    act(time).await;
                    done.add();
                }
            })
        });
        resize_until_ended(&runtime, tasks.collect(), 3);
        assert_eq!(done.get(), TASKS * times);
    });
}

#[test]
fn up_and_down_while_tasks_run() {
    up_and_down(2000, |time| async move {
        match time % 3 {
            0 => drop(spawn(async {})),
            1 => spawn(yield_now()).await.unwrap(),
            _ => yield_now().await,
        }
    });
}

#[test]
fn up_and_down_while_tasks_block_in_place() {
    up_and_down(40, |_| async { block_in_place(|| thread::sleep(SHORT)) });
}

#[test]
fn up_and_down_while_tasks_block_unannounced() {
    up_and_down(20, |_| async { thread::sleep(Duration::from_millis(1)) });
}

#[test]
fn up_and_down_while_blocking_jobs_run() {
    up_and_down(100, |_| async {
        spawn_blocking(|| thread::sleep(SHORT)).await.unwrap()
    });
}

#[test]
fn up_and_down_while_tasks_compute() {
    up_and_down(3, |_| async {
        spin(Duration::from_millis(15));
        yield_now().await;
    });
}

#[test]
fn up_and_down_while_tasks_wait_for_timers() {
    up_and_down(50, |time| async move {
        let begin = Instant::now();
        let time = Duration::from_micros(100 * (time as u64 % 20));
        sleep(time).await;
        assert!(begin.elapsed() >= time);
    });
}

#[cfg(feature = "net")]
#[test]
fn up_and_down_while_tasks_wait_for_sockets() {
    use crate::common::streams::pair;
    use futures::io::{AsyncReadExt, AsyncWriteExt};
    up_and_down(4, |_| async {
        let (mut near, mut far) = pair();
        let echo = spawn(async move {
            let mut byte = [0];
            while far.read_exact(&mut byte).await.is_ok() {
                far.write_all(&byte).await.unwrap();
            }
        });
        for sent in 0..50 {
            near.write_all(&[sent]).await.unwrap();
            let mut byte = [0];
            near.read_exact(&mut byte).await.unwrap();
            assert_eq!(byte, [sent]);
        }
        drop(near);
        echo.await.unwrap();
    });
}

/// How many polls there are at once, and on which processors.
#[derive(Clone, Default)]
struct AtOnce(Arc<Polls>);

#[derive(Default)]
struct Polls {
    now: AtomicUsize,
    most: AtomicUsize,
    highest: AtomicUsize,
    count: AtomicUsize,
    stop: AtomicBool,
}

impl AtOnce {
    /// A crowd of tasks with short polls.
    fn start(runtime: &Runtime) -> (AtOnce, Vec<JoinHandle<()>>) {
        let polls = AtOnce::default();
        let tasks = (0..8).map(|_| {
            let polls = polls.clone();
            runtime.spawn(async move {
                while !polls.0.stop.load(SeqCst) {
                    polls.poll();
                    yield_now().await;
                }
            })
        });
        let tasks = tasks.collect();
        (polls, tasks)
    }

    fn poll(&self) {
        let Polls {
            now,
            most,
            highest,
            count,
            ..
        } = &*self.0;
        most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        highest.fetch_max(worker_index().unwrap_or(usize::MAX), SeqCst);
        spin(Duration::from_micros(20));
        now.fetch_sub(1, SeqCst);
        count.fetch_add(1, SeqCst);
    }

    /// The most at once, and the highest index, while so many polls end.
    fn during(&self, polls: usize) -> (usize, usize) {
        let Polls {
            most,
            highest,
            count,
            ..
        } = &*self.0;
        // The first of them may have begun before.
        let begin = count.load(SeqCst) + 8;
        wait_until("polls", || count.load(SeqCst) >= begin);
        most.store(0, SeqCst);
        highest.store(0, SeqCst);
        let end = count.load(SeqCst) + polls;
        wait_until("polls", || count.load(SeqCst) >= end);
        (most.load(SeqCst), highest.load(SeqCst))
    }

    /// From some moment on it is so.
    fn wait_for(&self, number: usize) {
        wait_until("so many polls at once", || {
            let (most, highest) = self.during(200);
            most == number && highest == number - 1
        });
    }

    fn stop(&self) {
        self.0.stop.store(true, SeqCst);
    }
}

#[test]
fn as_many_tasks_run_at_once_as_there_are_processors() {
    within_patience(|| {
        let runtime = processors(4);
        let (polls, tasks) = AtOnce::start(&runtime);
        for number in [1, 2, 1, 2] {
            runtime.handle().set_worker_threads(number).unwrap();
            polls.wait_for(number);
            let (most, highest) = polls.during(2000);
            assert!(
                most <= number && highest < number,
                "{most}, {highest} of {number}"
            );
        }
        polls.stop();
        join(&runtime, tasks);
    });
}

/// Their polls do not return, so they are asked in vain.
#[test]
fn processors_in_long_polls_retire() {
    within_patience(|| {
        for way in WAYS {
            let runtime = processors(4);
            let (begun, ends) = (Count::default(), Count::default());
            let (releases, stuck): (Vec<_>, Vec<_>) = (0..4)
                .map(|_| {
                    let ((release, wait), begun, ends) =
                        (mpsc::channel::<()>(), begun.clone(), ends.clone());
                    let task = runtime.spawn(async move {
                        begun.add();
                        assert!(!way.until(&wait));
                        ends.add();
                    });
                    (release, task)
                })
                .unzip();
            Stuck::Blocked.until_count(&begun, 4);
            runtime.handle().set_worker_threads(1).unwrap();
            // Though nobody waits for them.
            wait_until("all but one retire", || {
                runtime.metrics().retake_count() >= 3
            });
            assert_eq!(runtime.metrics().retake_count(), 3);
            let (polls, tasks) = AtOnce::start(&runtime);
            polls.wait_for(1);
            assert_eq!(polls.during(500), (1, 0));
            assert_eq!(ends.get(), 0);
            // The last one, and on a busy machine perhaps a poll of the crowd.
            assert!(runtime.metrics().retake_count() >= 4);
            drop(releases);
            join(&runtime, stuck);
            assert_eq!(polls.during(500), (1, 0));
            polls.stop();
            join(&runtime, tasks);
            assert_all_usable(&runtime);
        }
    });
}

#[test]
fn what_is_queued_on_a_processor_that_retires_runs() {
    within_patience(|| {
        for _ in 0..20 {
            let (runtime, ran) = (processors(4), Count::default());
            let (handle, count) = (runtime.handle().clone(), ran.clone());
            let tasks = on_each(&runtime, move |_| {
                let (handle, count) = (handle.clone(), count.clone());
                async move {
                    // One of them is in the next slot.
                    count.spawn(100);
                    handle.set_worker_threads(1).unwrap();
                }
            });
            join(&runtime, tasks);
            assert!(Stuck::Blocked.until(&ran.reaches(400)));
        }
    });
}

/// The poll goes on, and waits for what it has in its queue and its next slot.
#[test]
fn a_poll_that_goes_on_keeps_neither_queue_nor_next_slot_of_a_processor_that_retires() {
    within_patience(|| {
        for way in WAYS {
            let runtime = processors(2);
            let handle = runtime.handle().clone();
            let tasks = on_each(&runtime, move |_| {
                let handle = handle.clone();
                async move {
                    handle.set_worker_threads(1).unwrap();
                    for children in [1, 50] {
                        let ran = Count::default();
                        ran.spawn(children);
                        way.until_count(&ran, children);
                    }
                    way.until_another_ran();
                }
            });
            join(&runtime, tasks);
            assert_eq!(runtime.handle().worker_threads(), 1);
        }
    });
}

#[test]
fn timers_of_a_processor_that_retires_end_in_time() {
    const TIME: Duration = Duration::from_millis(30);
    within_patience(|| {
        for _ in 0..5 {
            let runtime = processors(4);
            let (armed, all_armed) = mpsc::channel();
            let tasks = on_each(&runtime, move |_| {
                let armed = armed.clone();
                async move {
                    let begin = Instant::now();
                    let mut sleep = pin!(sleep(TIME));
                    assert!(futures::poll!(&mut sleep).is_pending());
                    armed.send(()).unwrap();
                    sleep.await;
                    begin.elapsed()
                }
            });
            all_armed.iter().take(4).for_each(drop);
            runtime.handle().set_worker_threads(1).unwrap();
            for took in join(&runtime, tasks) {
                assert!(took >= TIME);
                // Nobody would look there again but by chance.
                assert!(took < TIME + Duration::from_secs(5), "{took:?}");
            }
        }
    });
}

/// And need not wait until the monitor finds that somebody is stuck, but for a busy machine now and then.
#[test]
fn a_new_processor_takes_what_waits() {
    within_patience(|| {
        let mut at_once = 0;
        for _ in 0..20 {
            let runtime = processors(1);
            let arrived = Arc::new(AtomicUsize::new(0));
            let tasks = (0..4).map(|_| {
                let arrived = arrived.clone();
                runtime.spawn(async move {
                    arrived.fetch_add(1, SeqCst);
                    while arrived.load(SeqCst) < 4 {
                        thread::yield_now();
                    }
                    worker_index()
                })
            });
            let tasks: Vec<_> = tasks.collect();
            runtime.handle().set_worker_threads(4).unwrap();
            let used = HashSet::<_>::from_iter(join(&runtime, tasks));
            let is_each_its_own = (0..4).all(|index| used.contains(&Some(index)));
            at_once += usize::from(is_each_its_own && runtime.metrics().retake_count() == 0);
        }
        assert!(at_once > 0);
    });
}

#[test]
fn a_number_that_cannot_be_is_an_error_and_changes_nothing() {
    let runtime = Builder::new()
        .worker_threads(2)
        .max_worker_threads(5)
        .max_threads(9)
        .build()
        .unwrap();
    let few = Builder::new()
        .worker_threads(2)
        .max_threads(3)
        .build()
        .unwrap();
    for (runtime, wrong) in [
        (&runtime, 0),
        (&runtime, 6),
        (&runtime, usize::MAX),
        (&few, 4),
        (&few, 0),
    ] {
        let error = runtime.handle().set_worker_threads(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(runtime.handle().worker_threads(), 2);
    }
    runtime.handle().set_worker_threads(5).unwrap();
    few.handle().set_worker_threads(3).unwrap();
    assert_all_usable(&runtime);
    let error = Builder::new()
        .worker_threads(6)
        .max_worker_threads(5)
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("max_worker_threads"), "{error}");
}

#[test]
fn a_runtime_that_has_shut_down_says_so() {
    within_patience(|| {
        let runtime = processors(2);
        let handle = runtime.handle().clone();
        drop(runtime);
        assert!(handle.set_worker_threads(1).is_err());
        // One whose last poll goes on.
        let runtime = processors(2);
        let handle = runtime.handle().clone();
        let (release, wait) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        drop(runtime.spawn(async move {
            begun.send(()).unwrap();
            let _ = wait.recv();
        }));
        has_begun.recv().unwrap();
        runtime.shutdown_background();
        assert!(handle.set_worker_threads(1).is_err());
        assert!(handle.set_worker_threads(4).is_err());
        drop(release);
    });
}

#[test]
fn a_shutdown_amid_resizes_ends_and_drops_each_future_once() {
    within_patience(|| {
        for round in 0..40 {
            let (runtime, drops) = (processors(1 + round % 3), Count::default());
            let resizers: Vec<_> = (0..2)
                .map(|thread| {
                    let handle = runtime.handle().clone();
                    thread::spawn(move || {
                        let mut numbers = [4, 1, 3, 2, 6].into_iter().cycle().skip(thread);
                        while handle.set_worker_threads(numbers.next().unwrap()).is_ok() {}
                    })
                })
                .collect();
            for task in 0..50 {
                let dropped = drops.drops();
                drop(runtime.spawn(async move {
                    let _dropped = dropped;
                    match task % 5 {
                        0 => thread::sleep(SHORT),
                        1 => sleep(SHORT).await,
                        2 => block_in_place(|| thread::sleep(SHORT)),
                        _ => yield_now().await,
                    }
                    pending::<()>().await
                }));
            }
            thread::sleep(Duration::from_micros(200 * round as u64));
            drop(runtime);
            assert_eq!(drops.get(), 50);
            for resizer in resizers {
                resizer.join().unwrap();
            }
        }
    });
}

#[test]
fn figures_of_processors_that_have_retired_stay() {
    within_patience(|| {
        let runtime = processors(4);
        let sum = |metrics: &RuntimeMetrics, figure: fn(&RuntimeMetrics, usize) -> u64| -> u64 {
            (0..metrics.num_workers())
                .map(|worker| figure(metrics, worker))
                .sum()
        };
        let (mut polls, mut parks, mut busy) = (0, 0, 0);
        for number in [4, 1, 3, 1, 5, 2] {
            runtime.handle().set_worker_threads(number).unwrap();
            let tasks = on_each(&runtime, |_| async { yield_now().await });
            join(&runtime, tasks);
            let metrics = runtime.metrics();
            assert_eq!(metrics.worker_threads(), number);
            assert_eq!(
                metrics.num_workers(),
                if number == 5 || number == 2 { 5 } else { 4 }
            );
            let all: [(&mut u64, Figure); 3] = [
                (&mut polls, RuntimeMetrics::worker_poll_count),
                (&mut parks, RuntimeMetrics::worker_park_count),
                (&mut busy, |of, worker| {
                    of.worker_total_busy_duration(worker).as_nanos() as u64
                }),
            ];
            for (before, figure) in all {
                let now = sum(&metrics, figure);
                assert!(now >= *before, "{now} after {before}: {metrics}");
                *before = now;
            }
        }
        assert_eq!(runtime.metrics().num_alive_tasks(), 0);
        assert!(runtime.metrics().to_string().starts_with("2 processors"));
    });
}

/// What an earlier runtime had is used again.
#[test]
fn a_runtime_has_no_figures_of_an_earlier_one() {
    within_patience(|| {
        for _ in 0..10 {
            let many = processors(3);
            many.handle().set_worker_threads(7).unwrap();
            assert_all_usable(&many);
            drop(many);
            let few = processors(2);
            let metrics = few.metrics();
            assert_eq!((metrics.num_workers(), metrics.worker_threads()), (2, 2));
            assert_all_usable(&few);
        }
    });
}

#[test]
fn threads_that_are_too_many_end() {
    within_patience(|| {
        for keep_alive in [Duration::ZERO, Duration::from_millis(10)] {
            let builder = Builder::new()
                .worker_threads(2)
                .thread_keep_alive(keep_alive);
            let runtime = builder.build().unwrap();
            for _ in 0..3 {
                runtime.handle().set_worker_threads(8).unwrap();
                assert_all_usable(&runtime);
                runtime.handle().set_worker_threads(1).unwrap();
                // The monitor, a worker, and another one that may be about to go.
                wait_until("threads end", || runtime.metrics().num_threads() <= 2);
            }
        }
    });
}

/// It is called on the way of a resize, which may need a thread.
#[test]
fn a_hook_that_names_threads_may_resize() {
    within_patience(|| {
        let handle: Arc<OnceLock<Handle>> = Arc::default();
        let (of_hook, called) = (handle.clone(), Arc::new(AtomicUsize::new(0)));
        let calls = called.clone();
        let runtime = Builder::new().worker_threads(1).thread_name_fn(move || {
            if let Some(handle) = of_hook.get() {
                let number = 2 + calls.fetch_add(1, SeqCst) % 2;
                handle.set_worker_threads(number).unwrap();
            }
            "named".to_owned()
        });
        let runtime = runtime.build().unwrap();
        handle.set(runtime.handle().clone()).unwrap();
        let (begun, has_begun) = mpsc::channel();
        let stuck = Count::default();
        let wait = stuck.clone();
        let task = runtime.spawn(async move {
            begun.send(()).unwrap();
            Stuck::Spinning.until_count(&wait, 1);
        });
        has_begun.recv().unwrap();
        let behind = runtime.spawn(async move { stuck.add() });
        runtime.handle().set_worker_threads(2).unwrap();
        runtime.block_on(behind).unwrap();
        runtime.block_on(task).unwrap();
        wait_until("a thread is named", || called.load(SeqCst) > 0);
        assert_all_usable(&runtime);
    });
}

#[test]
fn many_who_resize_at_once_leave_one_of_their_numbers() {
    within_patience(|| {
        let runtime = processors(2);
        for _ in 0..20 {
            let tasks = (1..=6).map(|number| {
                runtime.spawn(async move {
                    Handle::current().set_worker_threads(number).unwrap();
                    yield_now().await;
                    Handle::current().set_worker_threads(number).unwrap();
                })
            });
            join(&runtime, tasks.collect());
            assert!((1..=6).contains(&runtime.handle().worker_threads()));
            assert_all_usable(&runtime);
        }
    });
}
