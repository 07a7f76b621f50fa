//! Settings of a runtime: the unusable ones are told by name, the others hold.

use std::cell::Cell;
use std::hint::black_box;
use std::io::ErrorKind;
use std::panic::panic_any;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use executor::Runtime;
use executor::runtime::Builder;
use executor::{block_in_place, block_on, spawn};

use crate::common::{assert_all_usable, hold_without_retakes, within_patience};

/// To be finished by the test, unlike the one that others share.
fn processors(count: usize) -> Builder {
    Builder::new().worker_threads(count)
}

/// As many jobs as may run at the same time meet.
fn assert_jobs_meet(runtime: &Runtime, count: usize) {
    let barrier = Arc::new(Barrier::new(count));
    let jobs: Vec<_> = (0..count)
        .map(|_| {
            let barrier = barrier.clone();
            runtime.spawn_blocking(move || barrier.wait().is_leader())
        })
        .collect();
    for job in jobs {
        runtime.block_on(job).unwrap();
    }
}

#[test]
fn an_unusable_setting_is_named() {
    let cases = [
        ("worker_threads", processors(0)),
        ("worker_threads", processors(usize::MAX)),
        (
            "max_blocking_threads",
            processors(1).max_blocking_threads(0),
        ),
        ("background_limit", processors(1).background_limit(0)),
        ("thread_stack_size", processors(1).thread_stack_size(0)),
        ("thread_name", processors(1).thread_name("a\0b")),
        ("thread_name", processors(1).thread_name("\0")),
    ];
    for (name, builder) in cases {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
}

/// Threads that cannot be created are an error, and those started before it have ended.
#[test]
fn a_stack_beyond_the_address_space_is_an_error() {
    within_patience(|| {
        for size in [1 << 60, usize::MAX >> 1, usize::MAX - 4095, usize::MAX] {
            let built = processors(2).thread_stack_size(size).build();
            assert!(built.is_err(), "{size:#x}");
        }
    });
}

/// Runs this test binary again with the variable set and gives what the named test prints.
fn child(test: &str, workers: &str) -> String {
    String::from_utf8(
        crate::common::run_ignored(module_path!(), test, "EXECUTOR_WORKER_THREADS", workers).stdout,
    )
    .unwrap()
}

#[test]
#[ignore = "the_variable_sets_the_default_number_of_workers starts it in a process of its own"]
fn child_prints_its_default_workers() {
    match Builder::new().build() {
        Ok(runtime) => {
            assert_all_usable(&runtime);
            let default = block_on(spawn(async { executor::Handle::current() })).unwrap();
            assert_eq!(
                default.metrics().num_workers(),
                runtime.metrics().num_workers()
            );
            println!("[built {}]", runtime.metrics().num_workers());
        }
        Err(error) => {
            let payload = std::panic::catch_unwind(|| block_on(async {})).unwrap_err();
            assert!(
                payload
                    .downcast::<String>()
                    .unwrap()
                    .contains("EXECUTOR_WORKER_THREADS")
            );
            println!("[{:?} {error}]", error.kind());
        }
    }
    // What is set explicitly wins, whatever the variable says.
    let explicit = processors(2).build().unwrap();
    assert_eq!(explicit.metrics().num_workers(), 2);
}

#[test]
fn the_variable_sets_the_default_number_of_workers() {
    let run = |workers| child("child_prints_its_default_workers", workers);
    assert!(run("3").contains("[built 3]"));
    assert!(run("1").contains("[built 1]"));
    for unusable in ["0", "abc", "", "-1", "1.5", "99999999999999999999"] {
        let output = run(unusable);
        assert!(output.contains("[InvalidInput "), "{unusable:?}: {output}");
        assert!(
            output.contains("EXECUTOR_WORKER_THREADS"),
            "{unusable:?}: {output}"
        );
    }
}

#[test]
fn the_number_of_workers_is_the_number_of_parallel_tasks() {
    within_patience(|| {
        for count in [1, 2, 3, 8] {
            let runtime = processors(count).build().unwrap();
            assert_eq!(runtime.metrics().num_workers(), count);
            assert_all_usable(&runtime);
        }
    });
}

#[test]
fn no_more_jobs_run_at_once_than_allowed() {
    within_patience(|| {
        for limit in [1, 2, 3] {
            let runtime = processors(1).max_blocking_threads(limit).build().unwrap();
            let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let jobs: Vec<_> = (0..50)
                .map(|_| {
                    let (running, most) = (running.clone(), most.clone());
                    runtime.spawn_blocking(move || {
                        most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                        thread::yield_now();
                        running.fetch_sub(1, SeqCst);
                    })
                })
                .collect();
            for job in jobs {
                runtime.block_on(job).unwrap();
            }
            assert!((1..=limit).contains(&most.load(SeqCst)));
            assert_jobs_meet(&runtime, limit);
        }
    });
}

#[test]
fn a_zero_keep_alive_ends_idle_threads_at_once() {
    within_patience(|| {
        let runtime = processors(2)
            .thread_keep_alive(Duration::ZERO)
            .build()
            .unwrap();
        for _ in 0..5 {
            assert_jobs_meet(&runtime, 3);
            while runtime.metrics().num_blocking_threads() > 0 {
                thread::yield_now();
            }
        }
        assert_all_usable(&runtime);
    });
}

#[test]
fn an_endless_keep_alive_does_not_overflow_nor_hold_up_the_end() {
    within_patience(|| {
        let runtime = processors(2)
            .thread_keep_alive(Duration::MAX)
            .build()
            .unwrap();
        assert_jobs_meet(&runtime, 3);
        let task = runtime.spawn(async { block_in_place(|| 1) });
        assert_eq!(runtime.block_on(task).unwrap(), 1);
        assert_all_usable(&runtime);
    });
}

#[test]
fn tasks_and_jobs_see_the_thread_name() {
    fn name() -> Option<String> {
        thread::current().name().map(str::to_owned)
    }
    within_patience(|| {
        for given in ["mine", "", "longer than a kernel's thread name", "größer"] {
            let runtime = processors(2).thread_name(given).build().unwrap();
            let task = runtime.block_on(runtime.spawn(async { name() }));
            assert_eq!(task.unwrap().as_deref(), Some(given));
            let job = runtime.block_on(runtime.spawn_blocking(name));
            assert_eq!(job.unwrap().as_deref(), Some(given));
            assert_all_usable(&runtime);
        }
    });
}

thread_local! {
    /// Set by a start hook, so that what runs on the thread can see it.
    static STARTED: Cell<bool> = const { Cell::new(false) };
}

#[test]
fn each_thread_starts_and_stops_once() {
    within_patience(|| {
        for count in [1, 3] {
            let (starts, stops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (started, stopped) = (starts.clone(), stops.clone());
            let runtime = processors(count)
                .on_thread_start(move || {
                    assert!(!STARTED.replace(true));
                    started.fetch_add(1, SeqCst);
                })
                .on_thread_stop(move || {
                    assert!(STARTED.get());
                    stopped.fetch_add(1, SeqCst);
                })
                .build()
                .unwrap();
            assert!(
                runtime
                    .block_on(runtime.spawn(async { STARTED.get() }))
                    .unwrap()
            );
            assert!(
                runtime
                    .block_on(runtime.spawn_blocking(|| STARTED.get()))
                    .unwrap()
            );
            assert!(!runtime.block_on(async { STARTED.get() }));
            assert_jobs_meet(&runtime, 4);
            assert_all_usable(&runtime);
            drop(runtime);
            let started = starts.load(SeqCst);
            assert!(started >= count + 4, "{started} starts");
            assert_eq!(stops.load(SeqCst), started);
            // The hooks went with the runtime.
            assert_eq!(
                (Arc::strong_count(&starts), Arc::strong_count(&stops)),
                (1, 1)
            );
        }
    });
}

#[test]
fn hooks_are_in_the_runtime() {
    within_patience(|| {
        let (sender, receiver) = mpsc::channel();
        let runtime = processors(1)
            .on_thread_start(move || {
                let sender = sender.clone();
                drop(spawn(async move {
                    sender.send(thread::current().name().map(str::to_owned))
                }));
            })
            .thread_name("hooked")
            .build()
            .unwrap();
        assert_eq!(receiver.recv().unwrap().as_deref(), Some("hooked"));
        drop(runtime);
    });
}

#[test]
fn a_panic_in_a_hook_harms_nothing() {
    /// Panics once more when it is dropped.
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("in the payload's drop");
        }
    }
    within_patience(|| {
        let calls = Arc::new(AtomicUsize::new(0));
        let hook = |calls: &Arc<AtomicUsize>| {
            let calls = calls.clone();
            move || {
                calls.fetch_add(1, SeqCst);
                panic_any(Payload)
            }
        };
        let runtime = processors(2)
            .on_thread_start(hook(&calls))
            .on_thread_stop(hook(&calls))
            .build()
            .unwrap();
        assert_jobs_meet(&runtime, 3);
        assert_all_usable(&runtime);
        drop(runtime);
        let calls = calls.load(SeqCst);
        assert!(calls >= 2 * 5 && calls % 2 == 0, "{calls} calls");
    });
}

#[test]
fn each_thread_is_asked_for_a_name_and_a_panic_there_harms_nothing() {
    within_patience(|| {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let runtime = processors(1)
            .thread_name("fixed")
            .thread_name_fn(move || match count.fetch_add(1, SeqCst) {
                0..3 => format!("named-\0{}", count.load(SeqCst)),
                _ => std::panic::resume_unwind(Box::new("of a test")),
            })
            .build()
            .unwrap();
        let name = || thread::current().name().map(str::to_owned);
        let mut names: Vec<_> = assert_jobs_named(&runtime, name);
        names.sort();
        names.dedup();
        assert!(names.len() >= 2, "{names:?}");
        assert!(
            names
                .iter()
                .all(|name| name == "fixed" || name.starts_with("named-"))
        );
        assert!(names.contains(&"fixed".to_owned()), "{names:?}");
        assert!(asked.load(SeqCst) >= 4);
    });
}

/// The names of six threads of the pool that run at once.
fn assert_jobs_named(
    runtime: &Runtime,
    name: impl Fn() -> Option<String> + Copy + Send + 'static,
) -> Vec<String> {
    let all_here = Arc::new(Barrier::new(6));
    let jobs: Vec<_> = (0..6)
        .map(|_| {
            let all_here = all_here.clone();
            runtime.spawn_blocking(move || {
                all_here.wait();
                name().unwrap()
            })
        })
        .collect();
    jobs.into_iter()
        .map(|job| runtime.block_on(job).unwrap())
        .collect()
}

/// A worker has something to do after its hook has woken a task, so it does not park.
#[test]
fn a_hook_before_a_park_may_spawn_and_each_has_one_after_it() {
    within_patience(|| {
        let calls = Arc::new([const { AtomicUsize::new(0) }; 2]);
        let [before, after] = [calls.clone(), calls.clone()];
        let (sender, receiver) = mpsc::channel();
        let runtime = processors(1)
            .on_thread_park(move || {
                let call = before[0].fetch_add(1, SeqCst);
                let sender = sender.clone();
                if call < 10 {
                    drop(spawn(async move { sender.send(call) }));
                    if call % 4 == 3 {
                        // Long enough that the processor is retaken, with the task.
                        thread::sleep(Duration::from_millis(30));
                    }
                } else {
                    std::panic::resume_unwind(Box::new("of a test"));
                }
            })
            .on_thread_unpark(move || {
                after[1].fetch_add(1, SeqCst);
                std::panic::resume_unwind(Box::new("of a test"))
            })
            .build()
            .unwrap();
        for call in 0..10 {
            assert_eq!(receiver.recv().unwrap(), call);
        }
        // From now on each call panics.
        while calls[0].load(SeqCst) < 13 {
            runtime.block_on(runtime.spawn(async {})).unwrap();
        }
        assert_all_usable(&runtime);
        drop(runtime);
        let [before, after] = [calls[0].load(SeqCst), calls[1].load(SeqCst)];
        assert!(before > 10, "{before}");
        assert_eq!(before, after);
    });
}

/// The first of these calls from now on lasts until this goes.
#[derive(Clone, Default)]
struct Blocking(Arc<Mutex<Option<Ends>>>);

type Ends = (mpsc::Sender<()>, mpsc::Receiver<()>);

impl Blocking {
    fn call(&self) {
        let first = self.0.lock().unwrap().take();
        if let Some((begun, end)) = first {
            begun.send(()).unwrap();
            assert!(end.recv().is_err());
        }
    }

    /// What ends it, and what tells that it has begun.
    fn next(&self) -> Ends {
        let ((begun, has_begun), (end, ends)) = (mpsc::channel(), mpsc::channel());
        *self.0.lock().unwrap() = Some((begun, ends));
        (end, has_begun)
    }
}

/// Nobody relies on that worker's search meanwhile.
#[test]
fn a_hook_that_blocks_keeps_nothing_from_an_idle_processor() {
    within_patience(|| {
        for _ in 0..10 {
            let hook = Blocking::default();
            let called = hook.clone();
            let runtime = processors(2).on_thread_park(move || called.call()).build();
            let runtime = runtime.unwrap();
            let (end, has_begun) = hook.next();
            runtime.block_on(runtime.spawn(async {})).unwrap();
            has_begun.recv().unwrap();
            runtime.block_on(runtime.spawn(async {})).unwrap();
            drop(end);

            let called = hook.clone();
            let runtime = processors(2)
                .on_thread_unpark(move || called.call())
                .build();
            let runtime = runtime.unwrap();
            let (end, _has_begun) = hook.next();
            // It is the only one that was woken for this.
            runtime.block_on(runtime.spawn(async {})).unwrap();
            runtime.block_on(runtime.spawn(async {})).unwrap();
            drop(end);

            let called = hook.clone();
            let runtime = processors(2).on_thread_start(move || called.call()).build();
            let runtime = runtime.unwrap();
            assert_all_usable(&runtime);
            let (end, has_begun) = hook.next();
            let blocking = [(); 2].map(|()| {
                let (release, wait) = mpsc::channel::<()>();
                drop(runtime.spawn(async move { block_in_place(|| wait.recv()) }));
                release
            });
            has_begun.recv().unwrap();
            runtime.block_on(runtime.spawn(async {})).unwrap();
            drop((blocking, end));
        }
    });
}

#[test]
fn the_stack_is_as_large_as_was_asked_for() {
    /// Goes down until this much stack lies above; gives how much it was.
    #[inline(never)]
    fn use_stack(bytes: usize, top: Option<usize>) -> usize {
        let frame = black_box([1u8; 16 << 10]);
        let here = black_box(&frame).as_ptr().addr();
        let top = top.unwrap_or(here);
        let used = top.abs_diff(here);
        let deepest = if used < bytes {
            use_stack(bytes, Some(top))
        } else {
            used
        };
        black_box(&frame);
        deepest
    }
    const USED: usize = 6 << 20;
    within_patience(|| {
        let runtime = processors(1).thread_stack_size(8 << 20).build().unwrap();
        let task = runtime.spawn(async { use_stack(USED, None) });
        assert!(runtime.block_on(task).unwrap() >= USED);
        let job = runtime.spawn_blocking(|| use_stack(USED, None));
        assert!(runtime.block_on(job).unwrap() >= USED);
        // On a thread that took a processor over.
        let spare = runtime.spawn(async {
            let inside = spawn(async { use_stack(USED, None) });
            block_in_place(|| block_on(inside)).unwrap()
        });
        assert!(runtime.block_on(spare).unwrap() >= USED);
    });
}

#[test]
fn all_of_this_holds_without_retakes() {
    hold_without_retakes(module_path!(), "all_of_this_holds_without_retakes");
}
