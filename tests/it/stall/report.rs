//! Stalls are named, once each; the number of threads has a limit, and at the limit nothing breaks.

use std::future::pending;
use std::hint::spin_loop;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use executor::runtime::{Builder, StallReport};
use executor::{Runtime, task};

use crate::common::stuck::Stuck;
use crate::common::{PATIENCE, processors, wait_until, within_patience};

/// What is a stall in the tests: soon found.
const THRESHOLD: Duration = Duration::from_millis(10);

/// A runtime, and the reports of its stalls.
fn reporting(builder: Builder) -> (Runtime, Receiver<StallReport>) {
    let (report, reports) = mpsc::channel();
    let runtime = builder
        .stall_threshold(THRESHOLD)
        .on_stall(move |stall| report.send(stall.clone()).unwrap())
        .build()
        .unwrap();
    (runtime, reports)
}

fn next(reports: &Receiver<StallReport>) -> StallReport {
    reports.recv_timeout(PATIENCE).expect("a report")
}

/// Blocks until its other end is dropped.
fn blocked(released: Receiver<()>) {
    assert!(released.recv().is_err());
}

fn spinning(stop: &AtomicBool) {
    while !stop.load(SeqCst) {
        spin_loop();
    }
}

#[test]
fn a_blocked_task_is_named_once() {
    within_patience(|| {
        let (runtime, reports) = reporting(Builder::new().worker_threads(1));
        for round in 0..3 {
            let (release, released) = mpsc::channel();
            let _entered = runtime.handle().enter();
            let line = line!() + 3;
            let stuck = task::Builder::new()
                .name(format!("stuck {round}"))
                .spawn(async move { blocked(released) });
            let report = next(&reports);
            assert_eq!(report.id(), stuck.id());
            assert_eq!(report.name(), Some(&*format!("stuck {round}")));
            let location = report.location().unwrap();
            assert_eq!((location.file(), location.line()), (file!(), line));
            assert!(report.duration() >= THRESHOLD, "{report}");
            assert!(report.is_blocked(), "{report}");
            // Nobody waits for it, but who comes later must find a processor.
            assert!(report.is_retaken(), "{report}");
            let text = report.to_string();
            assert!(
                text.contains(&format!("task {} \"stuck {round}\"", stuck.id())),
                "{text}"
            );
            assert!(text.contains(file!()), "{text}");
            drop(release);
            runtime.block_on(stuck).unwrap();
        }
        drop(runtime);
        assert_eq!(reports.try_iter().count(), 0, "once per stall");
    });
}

#[test]
fn a_spinning_task_is_named_once_whether_or_not_anybody_waits() {
    within_patience(|| {
        let (runtime, reports) = reporting(Builder::new().worker_threads(1));
        for waits in [false, true] {
            let stop = Arc::new(AtomicBool::new(false));
            let stops = stop.clone();
            let stuck = runtime.spawn(async move { spinning(&stops) });
            let waiting = waits.then(|| runtime.spawn(async {}));
            if let Some(waiting) = waiting {
                runtime.block_on(waiting).unwrap();
            }
            let report = next(&reports);
            assert_eq!((report.id(), report.name()), (stuck.id(), None));
            assert!(!report.is_blocked(), "{report}");
            // It may be found stuck before anybody waits for it.
            assert!(waits || !report.is_retaken(), "{report}");
            stop.store(true, SeqCst);
            runtime.block_on(stuck).unwrap();
            assert_eq!(runtime.metrics().retake_count(), u64::from(waits));
        }
        drop(runtime);
        assert_eq!(reports.try_iter().count(), 0, "once per stall");
    });
}

/// It loses its processor when it has computed for 10 ms, and ends at that moment.
#[test]
fn a_computing_task_that_ends_as_soon_as_it_is_saved_is_named_once() {
    const STALLS: usize = 20;
    within_patience(|| {
        let (runtime, reports) = reporting(Builder::new().worker_threads(1));
        for _ in 0..STALLS {
            let stuck = runtime.spawn(async { Stuck::Spinning.until_another_ran() });
            let id = stuck.id();
            runtime.block_on(stuck).unwrap();
            let report = next(&reports);
            assert_eq!((report.id(), report.is_retaken()), (id, true), "{report}");
        }
        assert_eq!(runtime.metrics().retake_count(), STALLS as u64);
        drop(runtime);
        assert_eq!(reports.try_iter().count(), 0, "once per stall");
    });
}

#[test]
fn the_hook_goes_with_the_runtime() {
    within_patience(|| {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let runtime = Builder::new()
            .worker_threads(1)
            .stall_threshold(THRESHOLD)
            .on_stall(move |_| {
                counted.fetch_add(1, SeqCst);
            })
            .build()
            .unwrap();
        let (release, released) = mpsc::channel();
        let stuck = runtime.spawn(async move { blocked(released) });
        wait_until("it is named", || calls.load(SeqCst) == 1);
        drop(release);
        runtime.block_on(stuck).unwrap();
        drop(runtime);
        assert_eq!((calls.load(SeqCst), Arc::strong_count(&calls)), (1, 1));
    });
}

#[test]
fn a_hook_that_panics_or_blocks_harms_nobody() {
    within_patience(|| {
        let (block, blocks) = mpsc::channel::<()>();
        let blocks = std::sync::Mutex::new(Some(blocks));
        let (called, calls) = mpsc::channel();
        let runtime = Builder::new()
            .worker_threads(1)
            .stall_threshold(THRESHOLD)
            .on_stall(move |_| {
                called.send(()).unwrap();
                let first = blocks.lock().unwrap().take();
                if let Some(first) = first {
                    let _ = first.recv();
                }
                panic!("by intention");
            })
            .build()
            .unwrap();
        for _ in 0..3 {
            let (release, released) = mpsc::channel();
            let stuck = runtime.spawn(async move { blocked(released) });
            calls.recv().unwrap();
            runtime.block_on(runtime.spawn(async {})).unwrap();
            drop(release);
            runtime.block_on(stuck).unwrap();
        }
        drop(block);
    });
}

#[test]
fn at_the_limit_a_stuck_task_keeps_its_processor_until_it_returns() {
    within_patience(|| {
        for count in [1, 2] {
            let builder = Builder::new().worker_threads(count).max_threads(count);
            let (runtime, reports) = reporting(builder);
            for _ in 0..3 {
                let begun = Arc::new(AtomicUsize::new(0));
                let (releases, stuck): (Vec<_>, Vec<_>) = (0..count)
                    .map(|_| {
                        let (release, released) = mpsc::channel();
                        let begun = begun.clone();
                        let stuck = runtime.spawn(async move {
                            begun.fetch_add(1, SeqCst);
                            blocked(released);
                        });
                        (release, stuck)
                    })
                    .unzip();
                wait_until("all are stuck", || begun.load(SeqCst) == count);
                let ran = Arc::new(AtomicBool::new(false));
                let runs = ran.clone();
                let waiting = runtime.spawn(async move { runs.store(true, SeqCst) });
                for _ in 0..count {
                    let report = next(&reports);
                    assert!(!report.is_retaken(), "{report}");
                }
                assert!(!ran.load(SeqCst), "there is no thread that could run it");
                drop(releases);
                for task in stuck.into_iter().chain([waiting]) {
                    runtime.block_on(task).unwrap();
                }
            }
            assert_eq!(runtime.metrics().retake_count(), 0);
        }
    });
}

#[test]
fn at_the_limit_one_more_thread_saves_from_one_more_stuck_task() {
    within_patience(|| {
        for count in [1, 2] {
            let threads = count + 1;
            let builder = Builder::new().worker_threads(count);
            let (runtime, reports) = reporting(builder.max_threads(threads));
            for _ in 0..3 {
                let before = runtime.metrics().retake_count();
                // One for each thread. Only the last has nobody who could take its processor over.
                let stuck: Vec<_> = (1..=threads)
                    .map(|number| {
                        let (release, released) = mpsc::channel();
                        let task = runtime.spawn(async move { blocked(released) });
                        let report = next(&reports);
                        assert_eq!(
                            (report.id(), report.is_retaken()),
                            (task.id(), number < threads),
                            "{report}"
                        );
                        (release, task)
                    })
                    .collect();
                let waiting = runtime.spawn(async {});
                let metrics = runtime.metrics();
                assert!(metrics.retake_count() - before >= count as u64);
                let others = metrics.num_blocking_threads() + 1;
                assert_eq!(metrics.num_threads() - others, threads);
                assert!(!waiting.is_finished());
                // Any one that returns saves the rest.
                let mut stuck = stuck.into_iter();
                for (release, task) in stuck.by_ref().take(1) {
                    drop(release);
                    runtime.block_on(task).unwrap();
                }
                runtime.block_on(waiting).unwrap();
                for (release, task) in stuck {
                    drop(release);
                    runtime.block_on(task).unwrap();
                }
            }
            drop(runtime);
            assert_eq!(reports.try_iter().count(), 0, "once per stall");
        }
    });
}

#[test]
fn fewer_threads_than_processors_are_an_error_that_says_so() {
    let error = Builder::new()
        .worker_threads(3)
        .max_threads(2)
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("max_threads"), "{error}");
}

/// Runs this test binary again with the variable set and gives what the named test prints on standard error.
fn child(test: &str, debug: &str) -> String {
    String::from_utf8(
        crate::common::run_ignored(module_path!(), test, "EXECUTOR_DEBUG", debug).stderr,
    )
    .unwrap()
}

/// Ten stalls at one place, and as many at another, each kind with a name.
#[test]
#[ignore = "without_a_hook_a_place_is_named_when_its_count_has_doubled starts it in a process of its own"]
fn child_stalls() {
    let builder = Builder::new().worker_threads(1);
    let runtime = builder.stall_threshold(THRESHOLD).build().unwrap();
    let _entered = runtime.handle().enter();
    for _ in 0..10 {
        let here = task::Builder::new()
            .name("here")
            .spawn(async { std::thread::sleep(Duration::from_millis(30)) });
        runtime.block_on(here).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stops = stop.clone();
        let there = task::Builder::new()
            .name("there")
            .spawn(async move { spinning(&stops) });
        // Only a retake lets it run.
        runtime
            .block_on(runtime.spawn(async move { stop.store(true, SeqCst) }))
            .unwrap();
        runtime.block_on(there).unwrap();
    }
}

#[test]
fn without_a_hook_a_place_is_named_when_its_count_has_doubled() {
    let printed = child("child_stalls", "");
    for place in ["\"here\"", "\"there\""] {
        let lines: Vec<_> = printed
            .lines()
            .filter(|line| line.contains(place))
            .collect();
        for line in &lines {
            assert!(line.starts_with("executor: task "), "{line}");
            assert!(line.contains(file!()), "{line}");
            assert!(line.contains("EXECUTOR_DEBUG=stall=0"), "{line}");
        }
        let [first, others @ ..] = &lines[..] else {
            panic!("{printed}");
        };
        assert!(!first.contains("times here"), "{first}");
        let counts = ["2 times here", "4 times here", "8 times here"];
        assert_eq!(others.len(), counts.len(), "of ten: {printed}");
        for (line, count) in others.iter().zip(counts) {
            assert!(line.contains(count), "{line}");
        }
    }
}

/// With the default threshold: nothing is wrong with any of these.
#[test]
#[ignore = "a_program_that_is_well_is_told_nothing starts it in a process of its own"]
fn child_blocks_and_computes_for_moments() {
    let runtime = processors(2);
    for _ in 0..20 {
        let blocks = runtime.spawn(async { std::thread::sleep(Duration::from_millis(20)) });
        let computes = runtime.spawn(async { Stuck::Spinning.until_another_ran() });
        runtime.block_on(blocks).unwrap();
        runtime.block_on(computes).unwrap();
    }
}

#[test]
fn a_program_that_is_well_is_told_nothing() {
    let printed = child("child_blocks_and_computes_for_moments", "");
    assert!(!printed.contains("executor"), "{printed}");
}

#[test]
fn what_is_shorter_than_the_threshold_is_no_stall() {
    within_patience(|| {
        let (report, reports) = mpsc::channel();
        let runtime = Builder::new()
            .worker_threads(1)
            .stall_threshold(Duration::MAX)
            .on_stall(move |stall| report.send(stall.clone()).unwrap())
            .build()
            .unwrap();
        for _ in 0..3 {
            let (release, released) = mpsc::channel();
            let stuck = runtime.spawn(async move { blocked(released) });
            // Only a retake lets it run.
            runtime.block_on(runtime.spawn(async {})).unwrap();
            drop(release);
            runtime.block_on(stuck).unwrap();
        }
        let metrics = runtime.metrics();
        assert_eq!((metrics.stall_count(), metrics.retake_count()), (0, 3));
        drop(runtime);
        assert_eq!(reports.try_iter().count(), 0);
    });
}

#[test]
fn a_stall_is_counted_whether_or_not_anybody_is_told() {
    within_patience(|| {
        let runtime = Builder::new().worker_threads(2).stall_threshold(THRESHOLD);
        let runtime = runtime.build().unwrap();
        for round in 1..=3 {
            let stop = Arc::new(AtomicBool::new(false));
            let stops = stop.clone();
            let stuck = runtime.spawn(async move { spinning(&stops) });
            wait_until("it is counted", || runtime.metrics().stall_count() == round);
            stop.store(true, SeqCst);
            runtime.block_on(stuck).unwrap();
        }
    });
}

#[test]
fn a_threshold_of_zero_is_an_error_that_says_so() {
    let error = Builder::new().stall_threshold(Duration::ZERO).build();
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("stall_threshold"), "{error}");
}

/// It gives its processor away, another task is polled there, and it comes back to it.
#[test]
fn a_poll_that_comes_back_to_a_processor_is_named_and_not_who_was_there_meanwhile() {
    within_patience(|| {
        let (runtime, reports) = reporting(Builder::new().worker_threads(1));
        loop {
            let handle = runtime.handle().clone();
            let (release, released) = mpsc::channel();
            let stuck = runtime.spawn(async move {
                let parks = || handle.metrics().worker_park_count(0);
                executor::block_in_place(|| {
                    let before = parks();
                    handle.block_on(handle.spawn(async {})).unwrap();
                    wait_until("the other worker has let go", || parks() > before);
                });
                // If this thread has got the processor again, what it spawns goes there. If not, it will not in this poll.
                drop(executor::spawn(async {}));
                if handle.metrics().worker_local_queue_depth(0) == 1 {
                    blocked(released);
                }
            });
            let mut report = None;
            wait_until("it is named, or was too early", || {
                report = report.take().or_else(|| reports.try_recv().ok());
                report.is_some() || stuck.is_finished()
            });
            let id = stuck.id();
            drop(release);
            runtime.block_on(stuck).unwrap();
            if let Some(report) = report {
                return assert_eq!(report.id(), id, "{report}");
            }
        }
    });
}

#[test]
fn stall_0_silences() {
    assert!(!child("child_stalls", "stall=0").contains("executor"));
}

#[test]
fn what_is_not_understood_is_said_and_ignored() {
    let printed = child("child_stalls", "stall=0,mumble");
    let lines: Vec<_> = printed
        .lines()
        .filter(|line| line.contains("executor"))
        .collect();
    assert_eq!(lines.len(), 1, "{printed}");
    assert!(
        lines[0].contains("mumble") && lines[0].contains("EXECUTOR_DEBUG"),
        "{printed}"
    );
}

#[test]
#[ignore = "retake_0_leaves_stuck_tasks_their_processor starts it in a process of its own"]
fn child_takes_nothing() {
    let (runtime, reports) = reporting(Builder::new().worker_threads(1));
    let (release, released) = mpsc::channel();
    let stuck = runtime.spawn(async move { blocked(released) });
    let waiting = runtime.spawn(async {});
    assert!(!next(&reports).is_retaken());
    assert!(!waiting.is_finished());
    drop(release);
    runtime.block_on(stuck).unwrap();
    runtime.block_on(waiting).unwrap();
    assert_eq!(runtime.metrics().retake_count(), 0);
}

#[test]
fn retake_0_leaves_stuck_tasks_their_processor() {
    child("child_takes_nothing", "retake=0");
}

/// Everybody is stuck, twice: on as many threads as there are processors, or one more.
fn reach_the_limit(threads: usize) {
    let runtime = Builder::new()
        .worker_threads(1)
        .max_threads(threads)
        .build()
        .unwrap();
    for _ in 0..2 {
        let (releases, stuck): (Vec<_>, Vec<_>) = (0..threads)
            .map(|_| {
                let (release, released) = mpsc::channel::<()>();
                (release, runtime.spawn(async move { blocked(released) }))
            })
            .unzip();
        let waiting = runtime.spawn(pending::<()>());
        std::thread::sleep(Duration::from_millis(100));
        drop(releases);
        for task in stuck {
            runtime.block_on(task).unwrap();
        }
        waiting.abort();
    }
}

#[test]
#[ignore = "that_the_limit_is_reached_is_said_once_and_not_to_who_allows_no_spare_threads starts it in a process of its own"]
fn child_reaches_the_limit() {
    reach_the_limit(2);
}

#[test]
#[ignore = "that_the_limit_is_reached_is_said_once_and_not_to_who_allows_no_spare_threads starts it in a process of its own"]
fn child_has_no_spare_threads() {
    reach_the_limit(1);
}

#[test]
fn that_the_limit_is_reached_is_said_once_and_not_to_who_allows_no_spare_threads() {
    for (test, times) in [
        ("child_reaches_the_limit", 1),
        ("child_has_no_spare_threads", 0),
    ] {
        let printed = child(test, "");
        let lines = printed.lines().filter(|line| line.contains("max_threads"));
        assert_eq!(lines.count(), times, "{printed}");
    }
}
