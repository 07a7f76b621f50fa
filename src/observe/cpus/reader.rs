//! Who reads how many CPUs the process may use.

use std::io;
use std::path::{Path, PathBuf};

use crate::machine::affinity::{self, Thread};
use crate::machine::{self, CpuSet, Cpus, Quota, Throttling};

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
    /// Those of the process's first thread, and of the thread that asks: so many at the last look.
    OfProcess(usize),
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
        let allowed = self.mask.look(allowed_for_process);
        self.cpus.available_of(allowed)
    }

    /// Reads the limits alone.
    pub(super) fn read(&mut self) {
        self.cpus.read();
    }

    /// At the last reading.
    pub(super) fn quota(&self) -> Option<Quota> {
        self.cpus.quota()
    }

    /// Of the group that had the lowest quota at the last reading.
    pub(super) fn throttling(&self) -> Option<Throttling> {
        self.cpus.throttling()
    }

    pub(super) fn throttled_group(&self) -> Option<&Path> {
        self.cpus.throttled_group()
    }
}

impl Mask {
    fn of_this_thread() -> Mask {
        // Where there are no masks, there may be no numbers of processes.
        match machine::allowed() {
            Ok(here) if first_thread().is_ok_and(|first| here == first) => {
                Mask::OfProcess(here.len())
            }
            _ => Mask::Fixed(machine::num_allowed()),
        }
    }

    /// How many CPUs it has. `read` tells that of the process.
    fn look(&mut self, read: impl FnOnce() -> io::Result<usize>) -> usize {
        match self {
            Mask::Fixed(allowed) => *allowed,
            Mask::OfProcess(last) => {
                // A sandbox that was entered since may forbid the question. Then the last answer holds.
                *last = read().unwrap_or(*last);
                *last
            }
        }
    }
}

fn first_thread() -> io::Result<CpuSet> {
    affinity::allowed(Thread::Number(std::process::id()))
}

/// What either the process's first thread or this one may use.
fn allowed_for_process() -> io::Result<usize> {
    let mut all = machine::allowed()?;
    first_thread()?.iter().for_each(|cpu| all.insert(cpu));
    Ok(all.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_that_cannot_be_read_any_more_is_as_it_was() {
        let forbidden = || Err(io::ErrorKind::PermissionDenied.into());
        let mut mask = Mask::OfProcess(8);
        assert_eq!(mask.look(forbidden), 8);
        assert_eq!(mask.look(|| Ok(4)), 4);
        assert_eq!(mask.look(forbidden), 4);
        assert_eq!(Mask::Fixed(2).look(|| Ok(4)), 2);
    }
}
