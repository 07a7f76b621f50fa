//! Everything at once for a minute, each task accounted for exactly once. See [`soak`](crate::soak).

use std::time::Duration;

use crate::child::Child;
use crate::rows::{Figure, NEVER, Row, scenario};
use crate::runtimes::Runtime;
use crate::soak;

const fn figure(name: &'static str, unit: &'static str, at_most: Option<f64>) -> Figure {
    Figure {
        name,
        unit,
        at_most,
    }
}

pub(super) const ROW: Row = Row {
    name: "soak",
    what: "60 s of tasks that yield, wait, sleep, time out, block, use channels and sockets; 1 % panic, 5 % are cancelled, 0.1 % \
           block their worker for 50 ms; those of gosched are all asked where they wait, and its number of workers changes each 10 ms half of the time; other runtimes start and stop beside them",
    figures: &[
        figure("tasks, millions per minute", "", None),
        figure("tasks not accounted for", "", Some(0.0)),
        figure("rules broken", "", Some(0.0)),
        figure("panics not planned", "", Some(0.0)),
        figure("times work was left waiting > 10 ms", "", Some(0.0)),
        figure("longest of these, and of lesser ones", "ms", None),
        figure("threads left", "", Some(0.0)),
        figure("descriptors left", "", Some(0.0)),
        // What is kept to be used again, by this crate or by what it stands on, does not grow with the number of tasks. A leak
        // of one byte in two tasks exceeds this.
        figure("allocated and not freed at the end", "KiB", Some(2048.0)),
        // From the second quarter to the last. It grows a little for a quarter of an hour, as each of the allocator's arenas
        // now and then needs more than ever before.
        figure("resident memory grown", "KiB", Some(2048.0)),
    ],
    scenario: scenario!(run),
    measure,
};

const SECONDS: &str = "60";
/// Three workers on any machine: it is 1 modulo 3.
const SEED: &str = "1";

fn measure(child: &Child) -> Vec<f64> {
    let ended = child.run(&[], &[SECONDS, SEED], Duration::from_secs(300));
    if !ended.succeeded() {
        eprint!("{}", ended.errors);
    }
    match ended.succeeded() {
        true => ended.figures,
        false => vec![NEVER; ROW.figures.len()],
    }
}

/// Arguments: seconds, seed.
fn run<R: Runtime>(args: &[String]) -> Vec<f64> {
    let number = |index: usize, default: u64| {
        args.get(index)
            .map_or(default, |text| text.parse().expect("a number"))
    };
    soak::run::<R>(number(0, 60), number(1, 1))
}
