//! Who reads how many CPUs the process may use.

use std::path::{Path, PathBuf};

use crate::machine::affinity::{self, Thread};
use crate::machine::{Cpus, Quota, Throttling};
use crate::sync::thread;

/// Where it is read. By default where the kernel has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CpusSource {
    /// The folder that has `/proc` and `/sys` in it.
    pub(crate) root: Option<PathBuf>,
    /// Threads may run on so many CPUs.
    pub(crate) allowed: Option<usize>,
}

/// Reads it, again and again.
#[derive(Debug)]
pub(crate) struct CpusReader {
    cpus: Cpus,
    mask: Mask,
}

/// Which CPUs threads may run on: see [`super`].
#[derive(Debug)]
enum Mask {
    /// Those of the process's first thread, and of the thread that asks.
    OfProcess,
    /// So many: the runtime was built on a thread that had been pinned, or nobody knows more.
    Fixed(usize),
}

impl CpusReader {
    /// For a runtime that is built on the calling thread, whose mask the runtime's threads will
    /// have.
    pub(crate) fn new(source: &CpusSource) -> CpusReader {
        CpusReader {
            cpus: match &source.root {
                Some(root) => Cpus::at(root),
                None => Cpus::new(),
            },
            mask: source
                .allowed
                .map_or_else(Mask::of_this_thread, Mask::Fixed),
        }
    }

    /// How many CPUs the process may use: at least 1.
    pub(crate) fn available(&mut self) -> usize {
        let allowed = match self.mask {
            Mask::OfProcess => allowed_for_process(),
            Mask::Fixed(allowed) => allowed,
        };
        self.cpus.available_of(allowed)
    }

    pub(super) fn quota(&mut self) -> Option<Quota> {
        self.cpus.quota()
    }

    pub(super) fn throttling(&mut self) -> Option<Throttling> {
        self.cpus.throttling()
    }

    pub(super) fn throttled_group(&self) -> Option<&Path> {
        self.cpus.throttled_group()
    }
}

impl Mask {
    fn of_this_thread() -> Mask {
        match (affinity::allowed(Thread::Current), first_thread()) {
            (Ok(here), Some(first)) if here == first => Mask::OfProcess,
            (Ok(here), _) => Mask::Fixed(here.len()),
            (Err(_), _) => Mask::Fixed(thread::available_parallelism().map_or(1, usize::from)),
        }
    }
}

fn first_thread() -> Option<crate::machine::CpuSet> {
    affinity::allowed(Thread::Number(std::process::id())).ok()
}

/// What either the process's first thread or this one may use.
fn allowed_for_process() -> usize {
    let here = affinity::allowed(Thread::Current).ok();
    let both = first_thread().into_iter().chain(here);
    let mut all = crate::machine::CpuSet::default();
    both.for_each(|cpus| cpus.iter().for_each(|cpu| all.insert(cpu)));
    all.len()
}
