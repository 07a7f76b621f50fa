//! A process that is stopped and continued again and again, as in a debugger, a frozen container or a sleeping laptop.

use std::io::{BufRead, Write};
use std::process::{ChildStdin, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures::io::{AsyncReadExt, AsyncWriteExt};

use crate::child::{self, Child};
use crate::rows::{Figure, NEVER, NONE, Row, scenario};
use crate::runtimes::{Outcome, Runtime};
use crate::tools::{clock, cpu_and_sleeps, quick};
use crate::workload::{self, Found, Tally};

pub(super) const ROW: Row = Row {
    name: "stops",
    what: "SIGSTOP for 5 to 100 ms, 200 times, and twice for 5 s, under timers, echo, spawning tasks and blocking jobs",
    figures: &[
        Figure {
            name: "tasks not ended 5 s after they were asked to",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "tasks that found a wrong result",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "a timer fires after its time and the stop by",
            unit: "ms",
            at_most: Some(1000.0),
        },
        Figure {
            name: "workers taken for stuck",
            unit: "",
            at_most: None,
        },
        Figure {
            name: "said on standard error",
            unit: "lines",
            at_most: Some(0.0),
        },
        Figure {
            name: "CPU afterwards, idle",
            unit: "%",
            at_most: Some(0.5),
        },
    ],
    scenario: scenario!(run),
    measure,
};

fn measure(child: &Child) -> Vec<f64> {
    let mut process = (child.command(&[], &[]).stdin(Stdio::piped()).spawn()).expect("own program");
    let input = process.stdin.take().expect("a pipe");
    let id = process.id() as libc::pid_t;
    let stopper = thread::spawn(move || stop_and_go(id, input));
    let limit = Duration::from_secs(if quick() { 30 } else { 120 });
    let ended = child::end(process, limit);
    stopper.join().expect("it does not panic");
    if !ended.succeeded() {
        eprintln!(
            "stops {}: {:?} {}",
            child.runtime, ended.status, ended.errors
        );
        return vec![NEVER; ROW.figures.len()];
    }
    let lines = ended.errors.lines().count();
    if lines > 0 {
        eprint!("{}", ended.errors);
    }
    let [lost, wrong, late, retakes, cpu] = ended.figures[..] else {
        return vec![NEVER; ROW.figures.len()];
    };
    vec![lost, wrong, late, retakes, lines as f64, cpu]
}

/// Stops the process and tells it when each stop ended; closes its input at last.
fn stop_and_go(id: libc::pid_t, mut input: ChildStdin) {
    let (times, long) = match quick() {
        true => (30, [Duration::from_millis(500); 2]),
        false => (200, [Duration::from_secs(5); 2]),
    };
    let mut random = fastrand::Rng::with_seed(1);
    thread::sleep(Duration::from_millis(300));
    for number in 0..times + long.len() {
        let pause = match number % (times / 2 + 1) {
            0 => long[0],
            _ => Duration::from_millis(random.u64(5..=100)),
        };
        // SAFETY: plain system calls; the process is ours, and not reaped while its input is open.
        unsafe { libc::kill(id, libc::SIGSTOP) };
        thread::sleep(pause);
        let resumed = clock();
        // SAFETY: as above.
        unsafe { libc::kill(id, libc::SIGCONT) };
        if writeln!(input, "{resumed}").is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(random.u64(1..=40)));
    }
    thread::sleep(Duration::from_millis(300));
}

/// What the tasks share.
#[derive(Default)]
struct Load {
    /// They end when they see this.
    over: AtomicBool,
    /// Timers that came 2 ms late and more: when they were due and when they fired.
    late: Mutex<Vec<(u64, u64)>>,
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }
}

fn run<R: Runtime>(_: &[String]) -> Vec<f64> {
    let runtime = R::start(2, 8).expect("threads and descriptors");
    let load = Arc::new(Load::default());
    let mut units = Vec::new();
    for number in 0..50 {
        units.push(runtime.spawn(timers::<R>(Arc::clone(&load), number)));
    }
    for number in 0..4 {
        units.push(runtime.spawn(spawning(runtime.clone(), Arc::clone(&load))));
        units.push(runtime.spawn(jobs(runtime.clone(), Arc::clone(&load))));
        units.push(runtime.spawn(echo(runtime.clone(), Arc::clone(&load), number)));
    }
    let mut resumed: Vec<u64> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        resumed.extend(line.ok().and_then(|line| line.parse::<u64>().ok()));
    }
    load.over.store(true, Ordering::Relaxed);
    let mut tally = Tally::default();
    workload::watch::<R>(&mut units, Duration::from_secs(5), &mut tally);
    // Threads that are no more needed may look around for a moment.
    thread::sleep(Duration::from_millis(500));
    let (cpu, begin) = (cpu_and_sleeps().0, Instant::now());
    thread::sleep(Duration::from_secs(2));
    let cpu = (cpu_and_sleeps().0 - cpu) / begin.elapsed().as_secs_f64() * 100.0;
    let retakes = runtime.retakes().map_or(NONE, |count| count as f64);
    runtime.stop(Duration::from_secs(5));
    let bad = tally.wrong + tally.errors + tally.refused;
    let late = load.late.lock().unwrap_or_else(PoisonError::into_inner);
    vec![
        tally.lost as f64,
        bad as f64,
        worst(&late, &resumed),
        retakes,
        cpu,
    ]
}

/// The longest, in milliseconds, from when a timer was due, or the last stop before it fired was over, to its firing.
fn worst(late: &[(u64, u64)], resumed: &[u64]) -> f64 {
    let after = late.iter().map(|&(due, fired)| {
        let stops = &resumed[..resumed.partition_point(|&end| end <= fired)];
        fired - stops.last().map_or(due, |&end| end.max(due))
    });
    after.max().unwrap_or(0) as f64 / 1e6
}

async fn timers<R: Runtime>(load: Arc<Load>, number: u64) -> Found {
    let mut random = fastrand::Rng::with_seed(number);
    while load.goes_on() {
        let time = random.u64(1..50) * 1_000_000;
        let due = clock() + time;
        R::sleep(Duration::from_nanos(time)).await;
        let fired = clock();
        if fired < due {
            return Found::Wrong;
        }
        if fired - due > 2_000_000 {
            let mut late = load.late.lock().unwrap_or_else(PoisonError::into_inner);
            late.push((due, fired));
        }
    }
    Found::Right
}

async fn spawning<R: Runtime>(runtime: R, load: Arc<Load>) -> Found {
    while load.goes_on() {
        let children: Vec<_> = (0..50)
            .map(|number| {
                runtime.spawn(async move {
                    for _ in 0..10 {
                        R::yield_now().await;
                    }
                    number
                })
            })
            .collect();
        for (number, child) in children.into_iter().enumerate() {
            if child.await != Outcome::Finished(number) {
                return Found::Wrong;
            }
        }
        R::sleep(Duration::from_millis(1)).await;
    }
    Found::Right
}

async fn jobs<R: Runtime>(runtime: R, load: Arc<Load>) -> Found {
    while load.goes_on() {
        let job = runtime.spawn_blocking(|| {
            thread::sleep(Duration::from_millis(1));
            42
        });
        if job.await != Outcome::Finished(42) {
            return Found::Wrong;
        }
    }
    Found::Right
}

async fn echo<R: Runtime>(runtime: R, load: Arc<Load>, number: u8) -> Found {
    let Ok((listener, addr)) = R::listen().await else {
        return Found::Error;
    };
    let server = runtime.spawn(async move {
        let Ok(mut stream) = R::accept(&listener).await else {
            return;
        };
        let mut buffer = [0; 64];
        while stream.read_exact(&mut buffer).await.is_ok()
            && stream.write_all(&buffer).await.is_ok()
        {}
    });
    let Ok(mut stream) = R::connect(addr).await else {
        return Found::Error;
    };
    let (message, mut answer) = ([number; 64], [0; 64]);
    while load.goes_on() {
        let written = stream.write_all(&message).await;
        if written.is_err() || stream.read_exact(&mut answer).await.is_err() {
            return Found::Error;
        }
        if answer != message {
            return Found::Wrong;
        }
        R::yield_now().await;
    }
    drop(stream);
    server.await;
    Found::Right
}
