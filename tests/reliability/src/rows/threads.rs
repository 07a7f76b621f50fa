//! The system gives no more threads: at the k-th thread that any thread starts, from then on, and in all by a limit.

use std::time::Duration;

use crate::child::Child;
use crate::rows::{Figure, NONE, Row, scenario};
use crate::runtimes::Runtime;
use crate::tools::{allows, quick};
use crate::workload::{self, Fate, Size, Sums};

pub(super) const ROW: Row = Row {
    name: "threads",
    what: "starting a thread fails: for each thread its k-th (k = 1 to 20), or all from its k-th; or for a user who may have 1 to 20 threads. \
           8 blocking jobs, 4 tasks that block for 20 ms, 40 timers",
    figures: &[
        Figure {
            name: "k-th: hangs of 40",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "k-th: crashes of 40",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "k-th: tasks and jobs unaccounted for",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "k-th: calls that panic",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "user's limit: hangs of 20",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "user's limit: crashes of 20",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "user's limit: tasks and jobs unaccounted for",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "user's limit: calls that panic",
            unit: "",
            at_most: Some(0.0),
        },
    ],
    scenario: scenario!(run),
    measure,
};

pub(super) const SIZE: Size = Size {
    pairs: 0,
    timers: 20,
    blockers: 4,
    jobs: 8,
    echoes: 0,
    waves: 1,
};

/// For the scenario: far beyond what it takes, and below the limit for the process.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
pub(super) const LIMIT: Duration = Duration::from_secs(10);

fn run<R: Runtime>(_: &[String]) -> Vec<f64> {
    workload::run::<R>(SIZE, PATIENCE).figures()
}

fn measure(child: &Child) -> Vec<f64> {
    let mut figures = at_the_kth(child).to_vec();
    figures.extend(by_limit(child));
    figures
}

fn at_the_kth(child: &Child) -> [f64; 4] {
    let strace = |inject: &'static str| {
        let strace = [
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=clone3",
            "-e",
        ];
        [&strace[..], &[inject]].concat()
    };
    if !allows(ROW.name, &strace("signal=none")) {
        return [NONE; 4];
    }
    let mut sums = Sums::default();
    for k in 1..=20 {
        for after in ["", "+"] {
            if quick() && (after.is_empty() || k > 8) {
                continue;
            }
            let inject = format!("inject=clone3:error=EAGAIN:when={k}{after}");
            let mut wrapper = strace("signal=none");
            wrapper.extend(["-e", &inject]);
            let ended = child.run(&wrapper, &[], LIMIT);
            let case = format!("threads {} {inject}", child.runtime);
            sums.add(Fate::of(&ended, &case), false);
        }
    }
    four(&sums)
}

fn by_limit(child: &Child) -> [f64; 4] {
    let limited = |limit: usize| {
        let words = "setpriv --reuid=65534 --clear-groups prlimit";
        let mut words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        words.push(format!("--nproc={limit}"));
        words
    };
    let own = limited(1);
    if !allows(
        ROW.name,
        &own.iter().map(String::as_str).collect::<Vec<_>>(),
    ) {
        return [NONE; 4];
    }
    let mut sums = Sums::default();
    for limit in 1..=20 {
        if quick() && limit % 3 != 1 {
            continue;
        }
        let words = limited(limit);
        let wrapper: Vec<&str> = words.iter().map(String::as_str).collect();
        let ended = child.run(&wrapper, &[], LIMIT);
        let case = format!("threads {} --nproc={limit}", child.runtime);
        sums.add(Fate::of(&ended, &case), false);
    }
    four(&sums)
}

fn four(sums: &Sums) -> [f64; 4] {
    [sums.hangs, sums.crashes, sums.lost, sums.panics].map(|count| count as f64)
}
