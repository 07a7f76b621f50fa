//! Lost wake-ups: one token at a time, so that whoever takes it has just gone to sleep, or is about to, and one that is lost is a
//! hang. And its opposite: a runtime with nothing to do that does something.
//!
//! The memory of x86 reorders a store and a later load, which is what the protocols of going to sleep fence against. The models
//! (`tests/model/`) show the same without luck.

use std::future::poll_fn;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use executor::{Runtime, block_on};
use futures::task::AtomicWaker;

use crate::common::{processors, within_patience};

/// Each test goes on for so long, at full speed.
const SOAK: Duration = Duration::from_millis(if cfg!(debug_assertions) { 400 } else { 4000 });

/// Until the time is over; each round after a pause of its own, from none to about 20 µs, so that the token meets the other side
/// at every stage of going to sleep. Gives the number of rounds.
fn soak(mut round: impl FnMut(usize)) -> usize {
    let begin = Instant::now();
    let mut rounds = 0;
    while begin.elapsed() < SOAK {
        round(rounds);
        rounds += 1;
        for _ in 0..rounds * 37 % 800 {
            spin_loop();
        }
    }
    rounds
}

/// Takes tokens, one by one.
#[derive(Default)]
struct Mailbox {
    waker: AtomicWaker,
    sent: AtomicUsize,
    taken: AtomicUsize,
    polls: AtomicUsize,
    closed: AtomicBool,
}

impl Mailbox {
    fn send(&self) {
        self.sent.fetch_add(1, SeqCst);
        self.waker.wake();
    }

    fn close(&self) {
        self.closed.store(true, SeqCst);
        self.waker.wake();
    }

    /// Waits without sleeping until all is taken.
    fn await_empty(&self) {
        while self.taken.load(SeqCst) != self.sent.load(SeqCst) {
            thread::yield_now();
        }
    }

    /// Takes all that come, and calls `each` for each one.
    async fn serve(self: Arc<Self>, each: impl Fn()) {
        poll_fn(|cx| {
            self.polls.fetch_add(1, SeqCst);
            self.waker.register(cx.waker());
            let (sent, taken) = (self.sent.load(SeqCst), self.taken.load(SeqCst));
            if sent == taken {
                let closed = self.closed.load(SeqCst);
                return if closed {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                };
            }
            assert_eq!(sent, taken + 1, "one at a time");
            self.taken.store(sent, SeqCst);
            each();
            Poll::Pending
        })
        .await;
    }
}

fn on_one_and_two(body: fn(Runtime)) {
    within_patience(move || [1, 2].into_iter().map(processors).for_each(body));
}

#[test]
fn a_task_that_a_foreign_thread_wakes_gets_each_token() {
    on_one_and_two(|runtime| {
        let mailbox = Arc::new(Mailbox::default());
        let task = runtime.spawn(mailbox.clone().serve(|| ()));
        let rounds = soak(|_| {
            mailbox.send();
            mailbox.await_empty();
        });
        mailbox.close();
        runtime.block_on(task).unwrap();
        assert_eq!(mailbox.taken.load(SeqCst), rounds);
        // One for each token and one at each end; the first may have come with the first token.
        let polls = mailbox.polls.load(SeqCst);
        assert!(
            polls == rounds + 1 || polls == rounds + 2,
            "{polls} {rounds}"
        );
    });
}

#[test]
fn a_task_that_a_foreign_thread_spawns_runs_each_time() {
    on_one_and_two(|runtime| {
        let ran = Arc::new(AtomicUsize::new(0));
        let rounds = soak(|round| {
            let inner = ran.clone();
            drop(runtime.spawn(async move {
                inner.fetch_add(1, SeqCst);
            }));
            while ran.load(SeqCst) == round {
                thread::yield_now();
            }
        });
        assert_eq!(ran.load(SeqCst), rounds);
        assert_eq!(runtime.metrics().spawned_tasks_count(), rounds as u64);
    });
}

/// There and back, so that both the worker and the thread in `block_on` sleep between two tokens.
#[test]
fn a_block_on_and_a_task_that_wake_each_other_get_each_token() {
    on_one_and_two(|runtime| {
        let (there, back) = (Arc::new(Mailbox::default()), Arc::new(Mailbox::default()));
        let answer = back.clone();
        let task = runtime.spawn(there.clone().serve(move || answer.send()));
        let rounds = soak(|round| {
            there.send();
            runtime.block_on(poll_fn(|cx| {
                back.waker.register(cx.waker());
                match back.sent.load(SeqCst) == round + 1 {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            }));
        });
        there.close();
        runtime.block_on(task).unwrap();
        assert_eq!(back.sent.load(SeqCst), rounds);
    });
}

/// The token goes round among tasks that spread over the workers, of which each sleeps in between.
#[test]
fn tasks_of_two_runtimes_hand_each_token_on() {
    within_patience(|| {
        let runtimes = [processors(1), processors(1)];
        let boxes: Vec<Arc<Mailbox>> = (0..4).map(|_| Arc::default()).collect();
        let tasks: Vec<_> = (0..4)
            .map(|place| {
                let next = boxes.get(place + 1).cloned();
                let serve = boxes[place].clone().serve(move || {
                    if let Some(next) = &next {
                        next.send();
                    }
                });
                runtimes[place % 2].spawn(serve)
            })
            .collect();
        let rounds = soak(|_| {
            boxes[0].send();
            boxes[0].await_empty();
            boxes[3].await_empty();
            while boxes[3].taken.load(SeqCst) != boxes[0].sent.load(SeqCst) {
                thread::yield_now();
            }
        });
        for mailbox in &boxes {
            mailbox.close();
            assert_eq!(mailbox.taken.load(SeqCst), rounds);
        }
        for task in tasks {
            block_on(task).unwrap();
        }
    });
}

/// Jobs one at a time: each comes when the thread of the last one has just gone idle.
#[test]
fn a_job_that_comes_alone_runs_each_time() {
    on_one_and_two(|runtime| {
        let mut ran = 0;
        let rounds = soak(|_| {
            let job = runtime.spawn_blocking(|| 1);
            ran += runtime.block_on(job).unwrap();
        });
        assert_eq!(ran, rounds);
    });
}

/// What the whole process has done, by the kernel's count of the times that its threads were put to sleep or moved aside.
#[cfg(target_os = "linux")]
fn switches() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let of_thread = |path: std::path::PathBuf| -> Option<u64> {
        let status = std::fs::read_to_string(path.join("status")).ok()?;
        let counts = status.lines().filter_map(|line| {
            let (name, count) = line.split_once("ctxt_switches:")?;
            // The other kind says what else the machine does.
            (name == "voluntary_").then(|| count.trim().parse::<u64>().ok())?
        });
        Some(counts.sum())
    };
    threads
        .filter_map(|thread| of_thread(thread.ok()?.path()))
        .sum()
}

/// Polls, and times that a worker parked, of the whole runtime until now.
fn polls_and_parks(runtime: &Runtime) -> (u64, u64) {
    let metrics = runtime.metrics();
    let sum = |figure: &dyn Fn(usize) -> u64| (0..metrics.num_workers()).map(figure).sum();
    (
        sum(&|worker| metrics.worker_poll_count(worker)),
        sum(&|worker| metrics.worker_park_count(worker)),
    )
}

/// The CPU time of the process.
#[cfg(target_os = "linux")]
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Alone in its process: nothing else goes to sleep there.
#[test]
#[cfg(target_os = "linux")]
fn an_idle_runtime_does_nothing_at_all() {
    if !crate::common::alone(module_path!(), "an_idle_runtime_does_nothing_at_all") {
        return;
    }
    within_patience(|| {
        let runtime = processors(4);
        // It has worked, and has tasks that wait.
        let wakers = Arc::new(std::sync::Mutex::new(Vec::<std::task::Waker>::new()));
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let wakers = wakers.clone();
                runtime.spawn(poll_fn(move |cx| {
                    wakers.lock().unwrap().push(cx.waker().clone());
                    Poll::<()>::Pending
                }))
            })
            .collect();
        crate::common::wait_until("all wait", || wakers.lock().unwrap().len() == 100);
        runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
        // Until nothing moves for a while: workers lie down, the monitor falls asleep.
        let window = Duration::from_millis(300);
        let look = || {
            let (polls, parks) = polls_and_parks(&runtime);
            (switches(), polls, parks)
        };
        // A thread that goes round and round does not move either.
        let rests = |before: Duration| cpu_time() - before < window / 20;
        let mut before = look();
        assert!(before.1 >= 100 && before.2 > 0, "{before:?}: it has worked");
        let mut quiet = 0;
        for _ in 0..20 {
            let cpu_before = cpu_time();
            thread::sleep(window);
            let now = look();
            // This thread's own sleep is one.
            let idle = now == (before.0 + 1, before.1, before.2) && rests(cpu_before);
            quiet = if idle { quiet + 1 } else { 0 };
            before = now;
            if quiet == 3 {
                break;
            }
        }
        assert_eq!(quiet, 3, "no three windows in a row without a move");
        drop(tasks);
    });
}

/// A runtime that is woken for one task at a time goes to sleep as often as that, and not more.
#[test]
fn a_task_that_comes_alone_wakes_one_worker() {
    within_patience(|| {
        const TASKS: u64 = 1000;
        let runtime = processors(4);
        let begin = polls_and_parks(&runtime);
        for _ in 0..TASKS {
            let before = polls_and_parks(&runtime);
            runtime.block_on(runtime.spawn(async {})).unwrap();
            // Whoever polled it lies down again, so the next task has to wake somebody.
            crate::common::wait_until("a worker lies down", || {
                polls_and_parks(&runtime).1 > before.1
            });
        }
        let end = polls_and_parks(&runtime);
        assert_eq!(end.0 - begin.0, TASKS, "polls");
        // The one that is woken wakes nobody, as it finds nothing more. A few more come from the start, and from a worker that
        // is up still when the next task comes.
        let slept = end.1 - begin.1;
        assert!(
            slept <= TASKS + TASKS / 10,
            "{slept} sleeps for {TASKS} tasks"
        );
    });
}
