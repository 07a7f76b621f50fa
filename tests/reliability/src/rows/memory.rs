//! Address space for so many stacks and no more: threads cannot be started though the system would allow them.

use std::fs;
use std::hint::black_box;

use crate::child::Child;
use crate::rows::threads::{LIMIT, PATIENCE, SIZE};
use crate::rows::{Figure, Row, scenario};
use crate::runtimes::Runtime;
use crate::tools::{quick, set_limit};
use crate::workload::{self, Fate, Sums};

pub(super) const ROW: Row = Row {
    name: "memory",
    what: "address space (RLIMIT_AS) for k thread stacks and 1 MiB, k = 0 to 19, the heap granted before; the work of the row threads",
    figures: &[
        Figure {
            name: "hangs of 20",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "crashes of 20",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "tasks and jobs unaccounted for",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "calls that panic",
            unit: "",
            at_most: Some(0.0),
        },
    ],
    scenario: scenario!(run),
    measure,
};

/// The standard library's for threads, with the guard page and a bit.
const STACK: u64 = (2 << 20) + (16 << 10);
const REST: u64 = 1 << 20;
/// What the heap may grow to without asking the system.
const HEAP: usize = 16 << 20;

fn measure(child: &Child) -> Vec<f64> {
    let mut sums = Sums::default();
    for stacks in 0..20 {
        if quick() && stacks % 3 != 0 {
            continue;
        }
        let ended = child.run(&[], &[&stacks.to_string()], LIMIT);
        let case = format!("memory {} for {stacks} stacks", child.runtime);
        sums.add(Fate::of(&ended, &case), false);
    }
    [sums.hangs, sums.crashes, sums.lost, sums.panics]
        .map(|count| count as f64)
        .to_vec()
}

fn run<R: Runtime>(args: &[String]) -> Vec<f64> {
    let stacks: u64 = args
        .first()
        .map_or(0, |text| text.parse().expect("a number"));
    keep_heap();
    set_limit(libc::RLIMIT_AS, mapped() + stacks * STACK + REST);
    workload::run::<R>(SIZE, PATIENCE).figures()
}

/// One heap for all threads, which is large and stays: a failing allocation would abort the process, and is not what is
/// looked at here.
fn keep_heap() {
    // SAFETY: settings of the C library, made before any thread is started.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 2 * HEAP as i32);
    }
    drop(black_box(vec![1u8; HEAP]));
}

fn mapped() -> u64 {
    let status = fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages: u64 = (status.split(' ').next())
        .and_then(|pages| pages.parse().ok())
        .expect("a number");
    // SAFETY: a question to the C library.
    pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64
}
