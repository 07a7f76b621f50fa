//! In which system call a task has its thread blocked, as dumps and reports say.

use std::fs::{self, File};
use std::hint::spin_loop;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use executor::runtime::{Builder, StallReport, TaskInfo, TaskState};
use executor::task::Id;
use executor::{JoinHandle, Runtime};

use crate::common::{PATIENCE, wait_until, within_patience};

/// Whether the kernel tells it here. Sandboxes may not, and then nothing is to be said.
pub(super) fn is_told() -> bool {
    fs::read_to_string("/proc/thread-self/syscall").is_ok_and(|line| !line.is_empty())
}

fn info(runtime: &Runtime, id: Id) -> Option<TaskInfo> {
    let dump = runtime.handle().dump_tasks();
    dump.tasks().iter().find(|task| task.id() == id).cloned()
}

pub(super) type Call = Box<dyn FnOnce() + Send>;

/// What blocks a thread, and what ends that.
pub(super) type Blocking = (Call, Call);

fn sleeping() -> Blocking {
    let stop = Arc::new(AtomicBool::new(false));
    let stops = stop.clone();
    let sleep = move || {
        while !stops.load(SeqCst) {
            thread::sleep(Duration::from_millis(100));
        }
    };
    (Box::new(sleep), Box::new(move || stop.store(true, SeqCst)))
}

fn locking() -> Blocking {
    let lock = Arc::new(Mutex::new(()));
    let (hold, held) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let theirs = lock.clone();
    let holder = thread::spawn(move || {
        let _guard = theirs.lock().unwrap();
        hold.send(()).unwrap();
        released.recv().unwrap();
    });
    held.recv().unwrap();
    let unlock = move || {
        release.send(()).unwrap();
        holder.join().unwrap();
    };
    (
        Box::new(move || drop(lock.lock().unwrap())),
        Box::new(unlock),
    )
}

pub(super) fn reading() -> Blocking {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let (mut read, mut write) = (File::from(read), File::from(write));
    (
        Box::new(move || read.read_exact(&mut [0]).unwrap()),
        Box::new(move || write.write_all(&[0]).unwrap()),
    )
}

/// A way to block, and the system calls that it may be.
pub(super) type Way = (fn() -> Blocking, &'static [&'static str]);

pub(super) const WAYS: [Way; 3] = [
    (sleeping, &["clock_nanosleep", "nanosleep"]),
    (locking, &["futex"]),
    (reading, &["read"]),
];

pub(super) fn spawn(runtime: &Runtime, is_job: bool, block: Call) -> JoinHandle<()> {
    match is_job {
        true => runtime.spawn_blocking(block),
        false => runtime.spawn(async { block() }),
    }
}

#[test]
fn a_task_or_job_that_blocks_says_in_which_system_call_and_since_when() {
    within_patience(|| {
        for details in [false, true] {
            let builder = Builder::new().worker_threads(2).task_details(details);
            let runtime = builder.build().unwrap();
            for (way, calls) in WAYS {
                for is_job in [false, true] {
                    let (block, release) = way();
                    let task = spawn(&runtime, is_job, block);
                    wait_until("it blocks", || {
                        let told = info(&runtime, task.id());
                        told.is_some_and(|told| {
                            let call = told.blocked_in();
                            let is_right = match is_told() {
                                true => call.is_some_and(|call| calls.contains(&call)),
                                false => true,
                            };
                            // By a processor that was retaken, by details, or as jobs say it.
                            is_right
                                && told.state() == TaskState::Blocked
                                && told.since().is_some_and(|since| since < PATIENCE)
                        })
                    });
                    if let Some(told) = info(&runtime, task.id()).filter(|_| is_told()) {
                        let (job, call) = (if is_job { "job, " } else { "" }, told.blocked_in());
                        if let Some(call) = call {
                            let begin = format!(": {job}blocked in {call} for ");
                            assert!(told.to_string().contains(&begin), "{told}");
                        }
                    }
                    release();
                    runtime.block_on(task).unwrap();
                }
            }
        }
    });
}

#[test]
fn a_task_or_job_that_computes_is_in_no_system_call() {
    within_patience(|| {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        for is_job in [false, true] {
            let stop = Arc::new(AtomicBool::new(false));
            let stops = stop.clone();
            let compute = move || {
                while !stops.load(SeqCst) {
                    spin_loop();
                }
            };
            let task = spawn(&runtime, is_job, Box::new(compute));
            wait_until("it runs", || {
                info(&runtime, task.id()).is_some_and(|told| told.state() == TaskState::Running)
            });
            for _ in 0..100 {
                let told = info(&runtime, task.id()).unwrap();
                assert_eq!(told.blocked_in(), None, "{told}");
                assert!(!told.to_string().contains(" in "), "{told}");
            }
            stop.store(true, SeqCst);
            runtime.block_on(task).unwrap();
        }
    });
}

/// One worker, and what it is told of stalls.
pub(super) fn reporting() -> (Runtime, mpsc::Receiver<StallReport>) {
    let (report, reports) = mpsc::channel();
    let runtime = Builder::new()
        .worker_threads(1)
        .stall_threshold(Duration::from_millis(10))
        .on_stall(move |stall| report.send(stall.clone()).unwrap());
    (runtime.build().unwrap(), reports)
}

#[test]
fn a_stall_is_told_with_its_system_call() {
    within_patience(|| {
        let (runtime, reports) = reporting();
        for (way, calls) in WAYS {
            let mut is_known = false;
            while !is_known {
                let (block, release) = way();
                let task = runtime.spawn(async { block() });
                let told = reports.recv_timeout(PATIENCE).expect("a report");
                assert!(told.is_blocked(), "{told}");
                let text = told.to_string();
                assert!(text.contains("has blocked its thread for "), "{text}");
                if let Some(call) = told.blocked_in() {
                    assert!(calls.contains(&call), "{told}");
                    assert!(text.contains(&format!(" ms in {call}")), "{text}");
                }
                // Else the thread may have been awake at that moment.
                is_known = told.blocked_in().is_some() || !is_told();
                release();
                runtime.block_on(task).unwrap();
            }
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stops = stop.clone();
        let task = runtime.spawn(async move {
            while !stops.load(SeqCst) {
                spin_loop();
            }
        });
        let told = reports.recv_timeout(PATIENCE).expect("a report");
        assert_eq!(
            (told.is_blocked(), told.blocked_in()),
            (false, None),
            "{told}"
        );
        stop.store(true, SeqCst);
        runtime.block_on(task).unwrap();
    });
}

#[test]
fn what_does_not_end_says_in_which_system_call_it_is() {
    within_patience(|| {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        let (block, release) = reading();
        let job = runtime.spawn_blocking(block);
        wait_until("it reads", || {
            info(&runtime, job.id())
                .is_some_and(|told| !is_told() || told.blocked_in() == Some("read"))
        });
        let report = runtime.shutdown_timeout(Duration::from_millis(50));
        let [left] = report.blocked() else {
            panic!("{report}");
        };
        assert_eq!(left.id(), job.id());
        if is_told() {
            assert_eq!(left.blocked_in(), Some("read"), "{report}");
            let text = report.to_string();
            assert!(text.contains(": job, blocked in read for "), "{text}");
        }
        release();
    });
}
