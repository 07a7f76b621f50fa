//! A runtime with nothing to do: what it costs to wait.

use std::thread;
use std::time::Duration;

use crate::child::Child;
use crate::rows::{Figure, NEVER, Row, scenario};
use crate::runtimes::Runtime;
use crate::tools::{cpu_and_sleeps, quick};

pub(super) const ROW: Row = Row {
    name: "idle",
    what: "nothing to do for 10 s: one task sleeps, one waits for a connection",
    figures: &[
        Figure {
            name: "CPU",
            unit: "%",
            at_most: Some(0.5),
        },
        Figure {
            name: "threads wake",
            unit: "per s",
            at_most: Some(10.0),
        },
    ],
    scenario: scenario!(run),
    measure,
};

fn measure(child: &Child) -> Vec<f64> {
    let seconds = if quick() { "3" } else { "10" };
    let ended = child.run(&[], &[seconds], Duration::from_secs(30));
    match ended.succeeded() {
        true => ended.figures,
        false => vec![NEVER; ROW.figures.len()],
    }
}

fn run<R: Runtime>(args: &[String]) -> Vec<f64> {
    let seconds: f64 = args
        .first()
        .map_or(10.0, |text| text.parse().expect("a number"));
    let runtime = R::start(2, 2).expect("threads and descriptors");
    let _sleeping = runtime.spawn(R::sleep(Duration::from_secs(3600)));
    let _accepting = runtime.spawn(async {
        let (listener, _) = R::listen().await.expect("a free port");
        let _ = R::accept(&listener).await;
    });
    // Until the threads have come to rest.
    thread::sleep(Duration::from_millis(500));
    let (cpu, sleeps) = cpu_and_sleeps();
    thread::sleep(Duration::from_secs_f64(seconds));
    let (cpu_after, sleeps_after) = cpu_and_sleeps();
    runtime.stop(Duration::from_secs(5));
    vec![
        (cpu_after - cpu) / seconds * 100.0,
        // One is this thread's.
        (sleeps_after - sleeps - 1.0) / seconds,
    ]
}
