//! Something to look at.

use std::thread;
use std::time::{Duration, Instant};

use executor::time::{interval, sleep};
use executor::{JoinHandle, Runtime, block_in_place, spawn_blocking, task};

#[track_caller]
fn named<F: Future<Output = ()> + Send + 'static>(name: &str, future: F) -> JoinHandle<()> {
    task::Builder::new().name(name).spawn(future)
}

/// Tasks that tick, compute, hand something on, and one that blocks its thread: see who goes on meanwhile.
pub(crate) fn run(runtime: &Runtime) {
    let _entered = runtime.handle().enter();
    let mut tasks = Vec::new();
    for (name, millis) in [("pulse", 1), ("poller", 3)] {
        tasks.push(named(name, async move {
            let mut ticks = interval(Duration::from_millis(millis));
            for _ in 0..40 / millis {
                ticks.tick().await;
                compute(Duration::from_micros(150));
            }
        }));
    }
    let (first, mut source) = async_channel::bounded::<u32>(1);
    for stage in ["read", "parse", "index"] {
        let (target, next) = async_channel::bounded(1);
        let from = std::mem::replace(&mut source, next);
        tasks.push(named(stage, async move {
            while let Ok(item) = from.recv().await {
                compute(Duration::from_micros(400));
                target.send(item).await.expect("the next stage listens");
            }
        }));
    }
    tasks.push(named("feed", async move {
        for item in 0..12 {
            first.send(item).await.expect("the first stage listens");
            sleep(Duration::from_millis(2)).await;
        }
    }));
    tasks.push(named("collect", async move {
        while source.recv().await.is_ok() {}
    }));
    tasks.push(named("blocks", async {
        sleep(Duration::from_millis(8)).await;
        thread::sleep(Duration::from_millis(12));
    }));
    tasks.push(named("in place", async {
        sleep(Duration::from_millis(24)).await;
        block_in_place(|| thread::sleep(Duration::from_millis(4)));
        spawn_blocking(|| compute(Duration::from_millis(5)))
            .await
            .expect("it ends");
    }));
    for task in tasks {
        runtime.block_on(task).expect("it ends");
    }
}

fn compute(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {}
}
