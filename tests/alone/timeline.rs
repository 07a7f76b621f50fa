//! Timelines: valid in the trace event format, complete, and true.

mod format;

use std::collections::BTreeSet;
use std::future::pending;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use crate::common::{wait_until, within_patience};
use crate::turn;
use executor::runtime::Builder;
use executor::task::{self, yield_now};
use executor::{Runtime, trace};
use format::Timeline;
use serde_json::Value;

fn recorded(body: impl FnOnce()) -> Timeline {
    trace::start();
    body();
    let mut json = Vec::new();
    trace::stop(&mut json).unwrap();
    Timeline::parse(&json)
}

fn named<F>(runtime: &Runtime, name: &str, future: F) -> executor::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let _entered = runtime.handle().enter();
    task::Builder::new().name(name).spawn(future)
}

#[test]
fn every_poll_of_every_task_is_a_slice() {
    let _turn = turn();
    within_patience(|| {
        for workers in [1, 2, 4] {
            let runtime = Builder::new().worker_threads(workers).build().unwrap();
            let line = std::cell::Cell::new(0);
            let timeline = recorded(|| {
                let tasks: Vec<_> = (0..10)
                    .map(|number| {
                        named(&runtime, &format!("yields {number}"), async move {
                            for _ in 0..100 * number {
                                yield_now().await;
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    runtime.block_on(task).unwrap();
                }
                line.set(line!() + 1);
                runtime.block_on(runtime.spawn(async {})).unwrap();
                wait_until("all are gone", || runtime.metrics().num_alive_tasks() == 0);
                // The end of a poll is written after its task has gone.
                drop(runtime);
            });
            assert_eq!(timeline.lost, 0);
            for number in 0..10 {
                let mut polls = timeline.polls_of(&format!("yields {number}"));
                // On a busy machine one may lose its processor, and go on in another lane.
                polls.retain(|slice| slice.poll != "goes on without the processor");
                assert_eq!(polls.len(), 100 * number + 1);
                let ends = polls.iter().filter(|slice| slice.poll == "task finished");
                assert_eq!(ends.count(), 1, "and its end is known");
                let tasks: BTreeSet<u64> = polls.iter().map(|slice| slice.task).collect();
                assert_eq!(tasks.len(), 1);
            }
            let unnamed = timeline.polls_of(&format!("timeline.rs:{}", line.get()));
            assert_eq!(
                unnamed.len(),
                1,
                "it is called after the line that spawned it"
            );
        }
    });
}

#[test]
fn arrows_lead_from_each_wake_to_the_poll_that_follows() {
    let _turn = turn();
    within_patience(|| {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        const TURNS: usize = 50;
        let timeline = recorded(|| {
            let (ping, pong) = (async_channel::bounded(1), async_channel::bounded(1));
            let (to, from) = (ping.0, pong.1);
            let one = named(&runtime, "one", async move {
                for _ in 0..TURNS {
                    to.send(()).await.unwrap();
                    from.recv().await.unwrap();
                }
            });
            let (to, from) = (pong.0, ping.1);
            let two = named(&runtime, "two", async move {
                for _ in 0..TURNS {
                    from.recv().await.unwrap();
                    to.send(()).await.unwrap();
                }
            });
            runtime.block_on(one).unwrap();
            runtime.block_on(two).unwrap();
            drop(runtime);
        });
        // Each poll follows a spawn or a wake: none yields, and with one worker none is woken while it is polled.
        for (name, other) in [("one", "two"), ("two", "one")] {
            let polls = timeline.polls_of(name);
            for slice in polls {
                let mut led = timeline.arrows.iter().filter(|arrow| &arrow.to == slice);
                let from = &led.next().expect("one").from;
                assert!(from.name == other || from.name == format!("spawn {name}"));
                assert_eq!(led.count(), 0, "{slice:?}");
            }
        }
    });
}

#[test]
fn an_arrow_leads_from_the_task_that_spawns_a_job_to_the_job() {
    let _turn = turn();
    within_patience(|| {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        let timeline = recorded(|| {
            let spawner = named(&runtime, "spawner", async {
                executor::spawn_blocking(|| ()).await.unwrap();
            });
            runtime.block_on(spawner).unwrap();
            drop(runtime);
        });
        let to_job = timeline.arrows.iter().find(|arrow| {
            arrow.to.name.starts_with("timeline.rs:")
                && timeline.lane(&arrow.to).starts_with("thread")
        });
        assert_eq!(to_job.expect("the job's").from.name, "spawner");
    });
}

#[test]
fn each_theft_is_a_mark_in_the_lane_of_the_thief() {
    let _turn = turn();
    within_patience(|| {
        let runtime = Builder::new().worker_threads(2).build().unwrap();
        let handle = runtime.handle().clone();
        let counted = std::cell::Cell::new([0; 2]);
        let timeline = recorded(|| {
            let parent = named(&runtime, "parent", async {
                let (bring, wait) = mpsc::channel();
                let children: Vec<_> = (0..100)
                    .map(|_| {
                        let bring = bring.clone();
                        executor::spawn(async move { _ = bring.send(()) })
                    })
                    .collect();
                // Whoever runs them has stolen them, or got the processor after a retake.
                wait.recv().unwrap();
                for child in children {
                    child.await.unwrap();
                }
            });
            runtime.block_on(parent).unwrap();
            // Counted before they are recorded, and both before the tasks run.
            drop(runtime);
            let metrics = handle.metrics();
            counted.set([0, 1].map(|index| metrics.worker_steal_count(index)));
        });
        for (index, count) in counted.get().into_iter().enumerate() {
            let lane = format!("processor {index}");
            let marks = timeline.marks.iter().filter(|(mark, at, _)| {
                mark == "steal" && timeline.lanes.get(at).is_some_and(|name| *name == lane)
            });
            assert_eq!(marks.count() as u64, count, "{lane}");
        }
        assert_ne!(counted.get(), [0; 2]);
    });
}

#[test]
fn a_poll_that_loses_its_processor_goes_on_in_the_lane_of_its_thread() {
    let _turn = turn();
    within_patience(|| {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        let timeline = recorded(|| {
            // Another task has to run for it to go on: only a retake makes that possible.
            let stuck = named(&runtime, "stuck", async {
                let (bring, wait) = mpsc::channel();
                drop(executor::spawn(async move { bring.send(()).unwrap() }));
                wait.recv().unwrap();
            });
            runtime.block_on(stuck).unwrap();
            let away = named(&runtime, "away", async {
                let (bring, wait) = mpsc::channel();
                drop(executor::spawn(async move { bring.send(()).unwrap() }));
                executor::block_in_place(|| wait.recv().unwrap());
            });
            runtime.block_on(away).unwrap();
            let job = runtime.spawn_blocking(|| ());
            runtime.block_on(job).unwrap();
            drop(runtime);
        });
        assert_eq!(timeline.num_marks("retake"), 1);
        assert!(timeline.num_marks("handoff") >= 1);
        for name in ["stuck", "away"] {
            let mut slices = timeline.polls_of(name);
            slices.sort_by_key(|slice| slice.begin);
            let both = [slices[0], slices[1]];
            assert_eq!(both[0].poll, "goes on without the processor", "{slices:?}");
            assert_eq!(timeline.lane(both[0]), "processor 0");
            assert!(
                timeline.lane(both[1]).contains("without a processor"),
                "{slices:?}"
            );
            assert_eq!(both[0].end, both[1].begin, "one goes over into the other");
        }
        let job = timeline.slices.iter().find(|slice| {
            slice.name.starts_with("timeline.rs:") && timeline.lane(slice).starts_with("thread")
        });
        assert_eq!(job.expect("the job's").poll, "task finished");
    });
}

#[test]
fn a_poll_that_goes_on_is_drawn_to_the_end() {
    let _turn = turn();
    within_patience(|| {
        let runtime = Builder::new().worker_threads(2).build().unwrap();
        let (release, held) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        trace::start();
        let stuck = named(&runtime, "stuck", async move {
            begun.send(()).unwrap();
            let _ = held.recv();
        });
        begins.recv().unwrap();
        let mut json = Vec::new();
        trace::snapshot(&mut json).unwrap();
        let timeline = Timeline::parse(&json);
        let polls = timeline.polls_of("stuck");
        assert!(
            polls.iter().any(|slice| slice.poll == "still running"),
            "{polls:?}"
        );
        drop(release);
        runtime.block_on(stuck).unwrap();
        let mut json = Vec::new();
        trace::stop(&mut json).unwrap();
        Timeline::parse(&json);
    });
}

#[test]
fn what_is_overwritten_is_counted() {
    let _turn = turn();
    within_patience(|| {
        const EVENTS: u64 = 4096;
        const POLLS: u64 = 10_000;
        let runtime = Builder::new()
            .worker_threads(1)
            .trace_events(EVENTS as usize)
            .build()
            .unwrap();
        let timeline = recorded(|| {
            let yields = named(&runtime, "yields", async {
                for _ in 1..POLLS {
                    yield_now().await;
                }
            });
            runtime.block_on(yields).unwrap();
            drop(runtime);
        });
        let polls = timeline.polls_of("yields").len() as u64;
        assert!(polls <= EVENTS, "a poll is an event at least");
        assert!(
            polls > EVENTS / 4 && timeline.lost > POLLS - EVENTS,
            "{polls} {}",
            timeline.lost
        );
        assert_eq!(
            timeline.polls_of("yields").last().unwrap().poll,
            "task finished"
        );
    });
}

#[test]
fn recordings_begin_and_end_as_they_are_told() {
    let _turn = turn();
    within_patience(|| {
        let error = trace::stop(Vec::new()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        trace::start();
        runtime
            .block_on(named(&runtime, "before", async {}))
            .unwrap();
        let timeline = recorded(|| {
            runtime
                .block_on(named(&runtime, "after", async {}))
                .unwrap();
            // A runtime that begins while it is recorded takes part.
            let other = Builder::new().worker_threads(1).build().unwrap();
            other.block_on(named(&other, "other", async {})).unwrap();
            drop(other);
            wait_until("all are gone", || runtime.metrics().num_alive_tasks() == 0);
        });
        assert_eq!(timeline.polls_of("before").len(), 0, "it began anew");
        assert_eq!(timeline.polls_of("other").len(), 1);
        runtime
            .block_on(named(&runtime, "later", async {}))
            .unwrap();
        let mut json = Vec::new();
        trace::snapshot(&mut json).unwrap();
        assert_eq!(
            Timeline::parse(&json).polls_of("later").len(),
            0,
            "it had ended"
        );
        struct Full;
        impl std::io::Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        trace::start();
        let error = trace::stop(Full).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        assert!(
            trace::stop(Vec::new()).is_err(),
            "it has ended all the same"
        );
    });
}

#[test]
fn a_runtime_that_has_ended_keeps_its_name_in_the_timeline() {
    let _turn = turn();
    within_patience(|| {
        let path = file("name.json");
        let runtime = |name: &str| Builder::new().worker_threads(1).thread_name(name);
        let timeline = recorded(|| {
            let writes = runtime("writes").trace_to(&path).build().unwrap();
            writes.block_on(writes.spawn(async {})).unwrap();
            drop(writes);
            // With room for more, so that it does not use the same scheduler again.
            let other = runtime("other").max_worker_threads(100).build().unwrap();
            other.block_on(other.spawn(async {})).unwrap();
            drop(other);
        });
        assert_eq!(read(&path).runtimes, ["writes (1)"]);
        let names = timeline.runtimes.iter().map(|name| name.split(' ').next());
        let names: BTreeSet<_> = names.flatten().collect();
        assert_eq!(names, BTreeSet::from(["other", "writes"]));
    });
}

#[test]
fn a_snapshot_shows_no_recording_that_has_ended() {
    let _turn = turn();
    within_patience(|| {
        let snapshot = || {
            let mut json = Vec::new();
            trace::snapshot(&mut json).unwrap();
            Timeline::parse(&json)
        };
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        trace::start();
        runtime.block_on(named(&runtime, "old", async {})).unwrap();
        wait_until("it has ended", || !snapshot().polls_of("old").is_empty());
        trace::stop(std::io::sink()).unwrap();
        assert_eq!(snapshot().slices.len(), 0);
        let path = file("flight.json");
        let flies = Builder::new()
            .worker_threads(1)
            .flight_recorder(&path)
            .build()
            .unwrap();
        flies.block_on(named(&flies, "flies", async {})).unwrap();
        wait_until("it is written", || !snapshot().polls_of("flies").is_empty());
        assert_eq!(snapshot().polls_of("old").len(), 0, "of another runtime");
        drop(flies);
        assert_eq!(snapshot().slices.len(), 0);
    });
}

/// A file of this process and test.
fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("executor-{}-{name}", std::process::id()))
}

fn read(path: &PathBuf) -> Timeline {
    let json = std::fs::read(path).unwrap();
    std::fs::remove_file(path).unwrap();
    Timeline::parse(&json)
}

#[test]
fn a_runtime_writes_its_whole_life_to_a_file() {
    let _turn = turn();
    within_patience(|| {
        let path = file("life.json");
        let runtime = Builder::new()
            .worker_threads(2)
            .trace_to(&path)
            .build()
            .unwrap();
        let ends = named(&runtime, "ends", yield_now());
        runtime.block_on(ends).unwrap();
        let waits = named(&runtime, "waits", pending::<()>());
        drop(runtime);
        let timeline = read(&path);
        assert_eq!(timeline.polls_of("ends").len(), 2);
        assert!(
            !timeline.polls_of("waits").is_empty(),
            "cancelled by a poll"
        );
        drop(waits);
        let nowhere = file("there is no such folder").join("life.json");
        let error = Builder::new().trace_to(nowhere).build().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        assert!(error.to_string().contains("trace_to"), "{error}");
    });
}

#[test]
fn a_flight_recorder_writes_what_led_to_a_panic_or_a_stall() {
    let _turn = turn();
    within_patience(|| {
        for stalls in [false, true] {
            let path = file(if stalls { "stall.json" } else { "panic.json" });
            let runtime = Builder::new()
                .worker_threads(1)
                .on_stall(|_| {})
                .flight_recorder(&path)
                .build()
                .unwrap();
            runtime
                .block_on(named(&runtime, "before", async {}))
                .unwrap();
            let (release, held) = mpsc::channel::<()>();
            let culprit = named(&runtime, "culprit", async move {
                if stalls {
                    let _ = held.recv();
                } else {
                    panic!("by intention");
                }
            });
            // Until it can be parsed: it may just be written.
            let whole = || {
                let json = std::fs::read(&path).unwrap_or_default();
                serde_json::from_slice::<Value>(&json).is_ok()
            };
            wait_until("it is written", whole);
            let timeline = read(&path);
            // It is written after the timeline.
            let path = path.with_extension("tasks.txt");
            wait_until("so are the tasks", || {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                text.contains("\"culprit\"") && text.contains(" task")
            });
            std::fs::remove_file(path).unwrap();
            assert_eq!(timeline.polls_of("before").len(), 1);
            let polls = timeline.polls_of("culprit");
            assert!(!polls.is_empty());
            if stalls {
                assert!(polls.iter().any(|slice| slice.poll == "still running"));
            }
            drop(release);
            let _ = runtime.block_on(culprit);
        }
    });
}

#[test]
fn queues_are_counted_while_tasks_run() {
    let _turn = turn();
    within_patience(|| {
        let runtime = Builder::new().worker_threads(2).build().unwrap();
        trace::start();
        let runs = named(&runtime, "runs", async {
            loop {
                executor::time::sleep(Duration::from_millis(1)).await;
            }
        });
        // The monitor looks at them, when it comes to it.
        wait_until("each has been looked at", || {
            let mut json = Vec::new();
            trace::snapshot(&mut json).unwrap();
            let counters = Timeline::parse(&json).counters;
            [
                "queue of processor 0",
                "queue of processor 1",
                "global queue",
            ]
            .iter()
            .all(|name| counters.contains(*name))
        });
        runs.abort();
        drop(runtime);
        let mut json = Vec::new();
        trace::stop(&mut json).unwrap();
        assert_eq!(Timeline::parse(&json).counters.len(), 4, "and that of jobs");
    });
}

#[test]
fn names_are_written_as_they_are() {
    let _turn = turn();
    within_patience(|| {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        let names = [
            "</script>",
            "\"\\\"",
            "\u{1}\n\t\u{7f}",
            "\u{2028}\u{2029}",
            "Grüße 𓀀",
            "%s {} $x",
        ];
        let timeline = recorded(|| {
            for name in names {
                runtime.block_on(named(&runtime, name, async {})).unwrap();
            }
            drop(runtime);
        });
        for name in names {
            assert_eq!(timeline.polls_of(name).len(), 1, "{name:?}");
        }
    });
}

#[test]
fn each_runtime_has_its_own_lanes() {
    let _turn = turn();
    within_patience(|| {
        let runtimes = [1, 2, 3].map(|workers| {
            let runtime = Builder::new().worker_threads(workers).build();
            runtime.unwrap()
        });
        let timeline = recorded(|| {
            for (runtime, name) in runtimes.iter().zip(["first", "second", "third"]) {
                // From one to another, too.
                let wakes = named(&runtimes[0], "wakes", yield_now());
                let tasks = [(); 20].map(|()| named(runtime, name, yield_now()));
                runtime
                    .block_on(named(runtime, name, wakes))
                    .unwrap()
                    .unwrap();
                for task in tasks {
                    runtime.block_on(task).unwrap();
                }
            }
            drop(runtimes);
        });
        let mut processes = BTreeSet::new();
        for name in ["first", "second", "third"] {
            let polls = timeline.polls_of(name);
            assert!(polls.len() >= 41, "{}", polls.len());
            let of = BTreeSet::from_iter(polls.iter().map(|slice| slice.lane.0));
            assert_eq!(of.len(), 1, "a runtime is a process");
            processes.extend(of);
        }
        assert_eq!(processes.len(), 3);
    });
}

const CHILD: &str = "EXECUTOR_TEST_TIMELINE_CHILD";

#[test]
#[ignore = "the_environment_asks_for_timelines_of_all_runtimes starts it in a process of its own"]
fn child_uses_the_default_runtime() {
    assert!(std::env::var_os(CHILD).is_some());
    executor::run(async {
        let task = task::Builder::new().name("default").spawn(yield_now());
        task.await.unwrap();
        executor::time::sleep(Duration::from_millis(1)).await;
    });
    let other = Builder::new().worker_threads(1).build().unwrap();
    other.block_on(named(&other, "other", async {})).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn the_environment_asks_for_timelines_of_all_runtimes() {
    let _turn = turn();
    let path = file("environment.json");
    let output = crate::common::ignored(module_path!(), "child_uses_the_default_runtime")
        .env(CHILD, "1")
        .env("EXECUTOR_TRACE", &path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    // The default runtime's at the end of the process, the other one's at its own.
    assert_eq!(read(&path).polls_of("default").len(), 2);
    let second = path.with_file_name(format!(
        "{}-2.json",
        path.file_stem().unwrap().to_str().unwrap()
    ));
    assert_eq!(read(&second).polls_of("other").len(), 1);
}

#[cfg(target_os = "linux")]
mod at_exit {
    use std::process::exit;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::thread;
    use std::time::Instant;

    use super::*;

    static POLLS: AtomicU64 = AtomicU64::new(0);
    static BEFORE: AtomicU64 = AtomicU64::new(0);

    /// More than eight workers poll until they are held, also if the thread that exits waits for a CPU for some turns
    /// first (15 ms are 50,000). Without that it is as much as they can while a file is written.
    const MEANWHILE: u64 = 300_000;

    extern "C" fn before_the_writer() {
        BEFORE.store(POLLS.load(Relaxed), Relaxed);
    }

    extern "C" fn after_the_writer() {
        let meanwhile = POLLS.load(Relaxed) - BEFORE.load(Relaxed);
        if BEFORE.load(Relaxed) == 0 || meanwhile > MEANWHILE {
            eprintln!("{meanwhile} polls while the timeline was written");
            // SAFETY: it does not return.
            unsafe { libc::_exit(1) };
        }
    }

    fn at_exit(f: extern "C" fn()) {
        // SAFETY: a function of this program that takes nothing and does not unwind.
        assert_eq!(unsafe { libc::atexit(f) }, 0);
    }

    #[test]
    #[ignore = "two_tasks_that_exit_at_once_on_a_busy_machine_end_the_process starts it in a process of its own"]
    fn child_exits_from_two_tasks_at_once() {
        assert!(std::env::var_os(CHILD).is_some());
        at_exit(after_the_writer);
        executor::run(async {
            // The default runtime has asked to be called in between.
            at_exit(before_the_writer);
            let yields = || async {
                loop {
                    POLLS.fetch_add(1, Relaxed);
                    yield_now().await;
                }
            };
            for _ in 0..32 {
                drop(executor::spawn(yields()));
            }
            while POLLS.load(Relaxed) < 100_000 {
                yield_now().await;
            }
            let both = std::sync::Arc::new(Barrier::new(2));
            for _ in 0..2 {
                let both = both.clone();
                drop(executor::spawn(async move {
                    both.wait();
                    exit(0)
                }));
            }
            pending::<()>().await
        });
    }

    /// One of the two writes the timeline; the other never goes on, nor could anybody else end the process meanwhile.
    #[test]
    fn two_tasks_that_exit_at_once_on_a_busy_machine_end_the_process() {
        let _turn = turn();
        let turns = || {
            for turn in 0..4 {
                let name = format!("exit-{turn}-{:?}.json", thread::current().id());
                let path = file(&name);
                let begin = Instant::now();
                let mut child =
                    crate::common::ignored(module_path!(), "child_exits_from_two_tasks_at_once")
                        .env(CHILD, "1")
                        .env("EXECUTOR_DEBUG", "stall=0")
                        .env("EXECUTOR_WORKER_THREADS", "8")
                        .env("EXECUTOR_TRACE", &path)
                        .stdout(std::process::Stdio::null())
                        .spawn()
                        .unwrap();
                let status = loop {
                    if let Some(status) = child.try_wait().unwrap() {
                        break status;
                    }
                    if begin.elapsed() > 2 * crate::common::PATIENCE {
                        child.kill().unwrap();
                        child.wait().unwrap();
                        panic!("hung");
                    }
                    thread::sleep(Duration::from_millis(5));
                };
                assert!(status.success(), "{status}");
                let json = std::fs::read(&path).unwrap();
                std::fs::remove_file(&path).unwrap();
                assert!(json.ends_with(b"}\n"), "it is whole");
            }
        };
        // Each is the others' load.
        thread::scope(|scope| {
            let all = [(); 3].map(|()| scope.spawn(turns));
            for one in all {
                one.join().unwrap();
            }
        });
    }
}
