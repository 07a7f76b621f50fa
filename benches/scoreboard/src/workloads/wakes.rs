//! A runtime with little to do: what it costs, and how soon it is awake.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::process::cpu_time;
use crate::support::ticks::quantile;
use crate::support::workloads::at_once;
use crate::support::{Runtime, Scheduler};

const TICKS: u32 = 1_000;
const WAKES: usize = 1_000;

/// CPU milliseconds in two seconds of nothing, and CPU microseconds per tick of one task.
pub(crate) fn idle<R: Runtime>(runtime: &R) -> Vec<f64> {
    at_once(runtime, 100, || {});
    thread::sleep(Duration::from_millis(100));
    let before = cpu_time();
    thread::sleep(Duration::from_secs(2));
    let idle = cpu_time() - before;
    let before = cpu_time();
    runtime.run(async {
        for _ in 0..TICKS {
            R::sleep(Duration::from_millis(1)).await;
        }
    });
    let ticks = cpu_time() - before;
    vec![
        idle.as_secs_f64() * 1e3,
        ticks.as_secs_f64() * 1e6 / f64::from(TICKS),
    ]
}

/// Microseconds from a send by a thread outside to its receipt by a task, everything asleep before: p50 and p99.
pub(crate) fn from_outside<R: Scheduler>(runtime: &R) -> Vec<f64> {
    let (send, receive) = async_channel::bounded::<Instant>(1);
    let outside = thread::spawn(move || {
        for _ in 0..WAKES {
            thread::sleep(Duration::from_millis(1));
            send.send_blocking(Instant::now())
                .expect("the task receives");
        }
    });
    let mut late = runtime.run(async move {
        let mut late = Vec::new();
        while let Ok(sent) = receive.recv().await {
            late.push(sent.elapsed().as_secs_f64() * 1e6);
        }
        late
    });
    outside.join().expect("the sender has ended");
    late.sort_by(f64::total_cmp);
    vec![quantile(&late, 0.5), quantile(&late, 0.99)]
}
