//! What does it cost to look inside, and what do classes of tasks cost? Nanoseconds per poll with each instrument, and for tasks of each
//! class, beside none, in turns.
//!
//! Run it with `cargo bench --bench instruments_on`. Medians of 15 rounds; one worker, so that a poll is all there is.

use std::hint::black_box;
use std::time::Instant;

use executor::runtime::Builder;
use executor::task::Priority;
use executor::{Handle, Runtime, task, trace};

/// Polls so often.
type Workload = fn(&Runtime, &Handle, usize);

const ROUNDS: usize = 15;
const POLLS: usize = 400_000;

fn main() {
    // `cargo test --benches` runs it too, to see that it runs.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let (rounds, polls) = if is_test { (1, 1000) } else { (ROUNDS, POLLS) };
    let builder = || Builder::new().worker_threads(1);
    let classes = [
        ("normal, others there", Priority::Normal),
        ("interactive", Priority::Interactive),
        ("background", Priority::Background),
    ];
    let mut settings: Vec<(&str, Builder, bool)> = vec![
        ("nothing", builder(), false),
        ("timeline", builder(), true),
        ("histograms", builder().histograms(true), false),
        ("timeline, histograms", builder().histograms(true), true),
        ("task details", builder().task_details(true), false),
        ("stacks=1", builder().record_stacks(1), false),
        ("stacks=64", builder().record_stacks(64), false),
        (
            "two hooks",
            builder()
                .on_before_task_poll(|task| _ = black_box(task.id()))
                .on_after_task_poll(|task| _ = black_box(task.id())),
            false,
        ),
    ];
    let instruments = settings.len();
    settings.extend(classes.map(|(name, _)| (name, builder(), false)));
    let workloads: [Workload; 2] = [yields, wakes];
    println!(
        "{:22} {:>10} {:>10} {:>10} {:>10}",
        "ns per poll", "yield", "more", "wake", "more"
    );
    let mut times = vec![[Vec::new(), Vec::new()]; settings.len()];
    for _ in 0..rounds {
        for (index, (_, builder, records)) in settings.iter().enumerate() {
            let runtime = builder.clone().build().expect("threads");
            let mut handle = runtime.handle().clone();
            if let Some((_, class)) = index.checked_sub(instruments).map(|of| classes[of]) {
                // From the first task of another class on, all go by class.
                let first = handle.with_priority(Priority::Background).spawn(async {});
                runtime.block_on(first).expect("it ends");
                handle = handle.with_priority(class);
            }
            if *records {
                trace::start();
            }
            for (workload, run) in workloads.iter().enumerate() {
                run(&runtime, &handle, polls / 10);
                let begin = Instant::now();
                run(&runtime, &handle, polls);
                let nanos = begin.elapsed().as_nanos() as f64 / polls as f64;
                times[index][workload].push(nanos);
            }
            drop(runtime);
            if *records {
                trace::stop(std::io::sink()).expect("it was started");
            }
        }
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let none = [0, 1].map(|workload| median(&mut times[0][workload]));
    for ((name, _, _), times) in settings.iter().zip(&mut times) {
        let [yields, wakes] = [0, 1].map(|workload| median(&mut times[workload]));
        let (more_yield, more_wake) = (yields - none[0], wakes - none[1]);
        println!("{name:22} {yields:10.1} {more_yield:10.1} {wakes:10.1} {more_wake:10.1}");
    }
}

/// A task that yields.
fn yields(runtime: &Runtime, handle: &Handle, polls: usize) {
    let task = handle.spawn(async move {
        for _ in 1..polls {
            task::yield_now().await;
        }
    });
    runtime.block_on(task).expect("it ends");
}

/// Two tasks that wake each other over channels: each poll is preceded by a wake from another one.
fn wakes(runtime: &Runtime, handle: &Handle, polls: usize) {
    let (ping, pong) = (async_channel::bounded(1), async_channel::bounded(1));
    let turns = polls / 2;
    let one = handle.spawn(async move {
        for _ in 0..turns {
            ping.0.send(()).await.expect("the other listens");
            pong.1.recv().await.expect("the other answers");
        }
    });
    let two = handle.spawn(async move {
        while ping.1.recv().await.is_ok() {
            if pong.0.send(()).await.is_err() {
                return;
            }
        }
    });
    runtime.block_on(one).expect("it ends");
    runtime.block_on(two).expect("it ends");
}
