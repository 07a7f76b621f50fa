//! On which CPUs a thread may run, and on which it runs.
//!
//! A thread's affinity mask, sched_setaffinity(2), is narrowed by the cpuset of its cgroup: what
//! [`allowed`] tells is what is left, and follows both. A new thread, and a new process, has the
//! mask of the thread that started it: a thread that was pinned passes that on.
//!
//! [`std::thread::available_parallelism`] is not used where a mask can be read: it asks for the
//! calling thread alone, and in a fixed mask of 1024 CPUs.
//!
//! Off Linux no mask can be read, and setting one does nothing.

/// Whose mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thread {
    /// The calling thread.
    Current,
    /// By the system's number of it. The first thread of a process has the number of that.
    Number(u32),
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
pub(super) use imp::allowed_from;
pub(crate) use imp::{allowed, current_cpu, pin};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use std::io;

    use super::Thread;
    use crate::machine::cpu_set::{CpuSet, MAX_CPUS};

    /// Enough for the masks of most kernels, at 128 bytes.
    const FIRST_TRY: usize = 1024;

    /// The CPUs on which a thread may run.
    ///
    /// # Errors
    ///
    /// There is no such thread, or a sandbox forbids the question.
    pub(crate) fn allowed(thread: Thread) -> io::Result<CpuSet> {
        allowed_from(thread, FIRST_TRY)
    }

    /// Begins with a mask of so many CPUs.
    pub(in crate::machine) fn allowed_from(thread: Thread, mut cpus: usize) -> io::Result<CpuSet> {
        let thread = number(thread)?;
        loop {
            let mut words = vec![0_usize; cpus / usize::BITS as usize];
            let size = size_of_val(&*words);
            // SAFETY: the kernel writes at most `size` bytes, which `words` has; any bytes are a
            // valid mask.
            let result =
                unsafe { libc::sched_getaffinity(thread, size, words.as_mut_ptr().cast()) };
            if result == 0 {
                return Ok(CpuSet::of_words(words));
            }
            let error = io::Error::last_os_error();
            // The kernel's masks are longer.
            if error.raw_os_error() != Some(libc::EINVAL) || cpus >= MAX_CPUS {
                return Err(error);
            }
            cpus *= 2;
        }
    }

    /// From now on, the thread runs on these CPUs only.
    ///
    /// # Errors
    ///
    /// There is no such thread; it belongs to somebody else; or none of the CPUs exists and is in
    /// the cpuset of the process.
    pub(crate) fn pin(thread: Thread, cpus: &CpuSet) -> io::Result<()> {
        let (thread, words) = (number(thread)?, cpus.words());
        // SAFETY: the kernel reads at most the bytes that `words` has.
        let result =
            unsafe { libc::sched_setaffinity(thread, size_of_val(words), words.as_ptr().cast()) };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The CPU that the calling thread runs on. It may run on another one when this returns.
    /// `None`: the system does not say.
    #[inline]
    pub(crate) fn current_cpu() -> Option<usize> {
        // SAFETY: it takes nothing, and writes no memory of ours.
        usize::try_from(unsafe { libc::sched_getcpu() }).ok()
    }

    /// The kernel takes zero for the calling thread.
    fn number(thread: Thread) -> io::Result<libc::pid_t> {
        match thread {
            Thread::Current => Ok(0),
            Thread::Number(number) => match libc::pid_t::try_from(number) {
                Ok(number @ 1..) => Ok(number),
                _ => Err(io::Error::from_raw_os_error(libc::ESRCH)),
            },
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    use std::io;

    use super::Thread;
    use crate::machine::CpuSet;

    /// Nobody knows.
    pub(crate) fn allowed(_: Thread) -> io::Result<CpuSet> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Does nothing.
    pub(crate) fn pin(_: Thread, _: &CpuSet) -> io::Result<()> {
        Ok(())
    }

    /// Nobody knows.
    #[inline]
    pub(crate) fn current_cpu() -> Option<usize> {
        None
    }
}
