//! Which system call a thread is blocked in.
//!
//! The kernel tells the number of the call in `/proc/self/task/TID/syscall`. Where that cannot be
//! read, or the thread waits outside any call (a page fault), `/proc/self/task/TID/wchan` may tell
//! the function of the kernel in which it waits. Both ask for the right to trace the thread, which a
//! process has for its own threads unless it has made itself undumpable. Sandboxes may have
//! neither. A reading takes 9 µs (AMD EPYC), so only what is reported or listed is looked at.
//!
//! `/proc/self/task/TID/stack` would tell more, but only root may read it, and what it adds are
//! functions of the kernel, not of the program.

use std::borrow::Cow;

/// The system call in which a thread waits, by its name or, where that is not known here, as
/// `system call 999`; else the function of the kernel. `None`: it runs, or nothing is known.
pub(crate) fn blocked_in(thread: u64) -> Option<Cow<'static, str>> {
    match super::number(thread) {
        0 => None,
        number => imp::blocked_in(number),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use std::borrow::Cow;
    use std::fs;

    /// What `syscall` says.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Told {
        Running,
        Call(libc::c_long),
        /// It waits outside any system call, or the line says nothing.
        Nothing,
    }

    pub(super) fn blocked_in(number: u64) -> Option<Cow<'static, str>> {
        let path = |file| format!("/proc/self/task/{number}/{file}");
        let line = fs::read_to_string(path("syscall")).unwrap_or_default();
        match parse(&line) {
            Told::Running => None,
            Told::Call(number) => Some(name_of(number)),
            Told::Nothing => {
                let function = fs::read_to_string(path("wchan")).ok()?;
                function_of(&function).map(|name| Cow::Owned(name.to_owned()))
            }
        }
    }

    /// `running`, or `NUMBER ARGUMENTS.. SP PC`, with -1 for no call.
    fn parse(line: &str) -> Told {
        let first = line.split_ascii_whitespace().next().unwrap_or_default();
        match first.parse() {
            Ok(number @ 0..) => Told::Call(number),
            _ if first == "running" => Told::Running,
            _ => Told::Nothing,
        }
    }

    /// `0` stands for none.
    fn function_of(wchan: &str) -> Option<&str> {
        let name = wchan.trim();
        (!matches!(name, "" | "0")).then_some(name)
    }

    fn name_of(number: libc::c_long) -> Cow<'static, str> {
        let mut all = COMMON.iter().chain(MOST).chain(OLD);
        match all.find(|(other, _)| *other == number) {
            Some((_, name)) => Cow::Borrowed(name),
            None => Cow::Owned(format!("system call {number}")),
        }
    }

    type Names = &'static [(libc::c_long, &'static str)];

    /// Those that block, and those that are often met.
    #[cfg(any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "riscv64"
    ))]
    const COMMON: Names = &[
        (libc::SYS_futex, "futex"),
        (libc::SYS_nanosleep, "nanosleep"),
        (libc::SYS_clock_nanosleep, "clock_nanosleep"),
        (libc::SYS_read, "read"),
        (libc::SYS_write, "write"),
        (libc::SYS_readv, "readv"),
        (libc::SYS_writev, "writev"),
        (libc::SYS_pread64, "pread64"),
        (libc::SYS_pwrite64, "pwrite64"),
        (libc::SYS_preadv, "preadv"),
        (libc::SYS_pwritev, "pwritev"),
        (libc::SYS_preadv2, "preadv2"),
        (libc::SYS_pwritev2, "pwritev2"),
        (libc::SYS_splice, "splice"),
        (libc::SYS_copy_file_range, "copy_file_range"),
        (libc::SYS_getrandom, "getrandom"),
        (libc::SYS_ppoll, "ppoll"),
        (libc::SYS_pselect6, "pselect6"),
        (libc::SYS_epoll_pwait, "epoll_pwait"),
        (libc::SYS_io_uring_enter, "io_uring_enter"),
        (libc::SYS_io_getevents, "io_getevents"),
        (libc::SYS_accept4, "accept4"),
        (libc::SYS_connect, "connect"),
        (libc::SYS_shutdown, "shutdown"),
        (libc::SYS_sendto, "sendto"),
        (libc::SYS_sendmsg, "sendmsg"),
        (libc::SYS_sendmmsg, "sendmmsg"),
        (libc::SYS_recvfrom, "recvfrom"),
        (libc::SYS_recvmsg, "recvmsg"),
        (libc::SYS_recvmmsg, "recvmmsg"),
        (libc::SYS_openat, "openat"),
        (libc::SYS_close, "close"),
        (libc::SYS_ioctl, "ioctl"),
        (libc::SYS_flock, "flock"),
        (libc::SYS_fallocate, "fallocate"),
        (libc::SYS_fsync, "fsync"),
        (libc::SYS_fdatasync, "fdatasync"),
        (libc::SYS_sync, "sync"),
        (libc::SYS_syncfs, "syncfs"),
        (libc::SYS_msync, "msync"),
        (libc::SYS_getdents64, "getdents64"),
        (libc::SYS_statx, "statx"),
        (libc::SYS_unlinkat, "unlinkat"),
        (libc::SYS_mkdirat, "mkdirat"),
        (libc::SYS_renameat2, "renameat2"),
        (libc::SYS_linkat, "linkat"),
        (libc::SYS_symlinkat, "symlinkat"),
        (libc::SYS_mount, "mount"),
        (libc::SYS_umount2, "umount2"),
        (libc::SYS_wait4, "wait4"),
        (libc::SYS_waitid, "waitid"),
        (libc::SYS_rt_sigtimedwait, "rt_sigtimedwait"),
        (libc::SYS_rt_sigsuspend, "rt_sigsuspend"),
        (libc::SYS_clone, "clone"),
        (libc::SYS_execve, "execve"),
        (libc::SYS_munmap, "munmap"),
        (libc::SYS_madvise, "madvise"),
        (libc::SYS_mprotect, "mprotect"),
        (libc::SYS_process_vm_readv, "process_vm_readv"),
    ];

    /// Known by number only.
    #[cfg(not(any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "riscv64"
    )))]
    const COMMON: Names = &[];

    /// Not on 32-bit systems, or under another name; nor has `libc` all of them for Android.
    #[cfg(any(
        target_arch = "x86_64",
        all(
            target_os = "linux",
            any(target_arch = "aarch64", target_arch = "riscv64")
        )
    ))]
    const MOST: Names = &[
        (libc::SYS_accept, "accept"),
        (libc::SYS_fcntl, "fcntl"),
        (libc::SYS_ftruncate, "ftruncate"),
        (libc::SYS_newfstatat, "newfstatat"),
        (libc::SYS_fstat, "fstat"),
        (libc::SYS_mmap, "mmap"),
    ];

    #[cfg(not(any(
        target_arch = "x86_64",
        all(
            target_os = "linux",
            any(target_arch = "aarch64", target_arch = "riscv64")
        )
    )))]
    const MOST: Names = &[];

    /// Those that newer architectures do without, or `libc` has not there.
    #[cfg(target_arch = "x86_64")]
    const OLD: Names = &[
        (libc::SYS_poll, "poll"),
        (libc::SYS_sendfile, "sendfile"),
        (libc::SYS_select, "select"),
        (libc::SYS_epoll_wait, "epoll_wait"),
        (libc::SYS_open, "open"),
        (libc::SYS_stat, "stat"),
        (libc::SYS_lstat, "lstat"),
        (libc::SYS_unlink, "unlink"),
        (libc::SYS_mkdir, "mkdir"),
        (libc::SYS_rmdir, "rmdir"),
        (libc::SYS_rename, "rename"),
        (libc::SYS_link, "link"),
        (libc::SYS_pause, "pause"),
        (libc::SYS_vfork, "vfork"),
        (libc::SYS_sync_file_range, "sync_file_range"),
    ];

    #[cfg(not(target_arch = "x86_64"))]
    const OLD: Names = &[];

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_running_thread_and_one_outside_any_call_are_in_none() {
            assert_eq!(parse("running\n"), Told::Running);
            assert_eq!(parse("-1 0x7ffc1c008478 0x7f7bb1c2a503\n"), Told::Nothing);
            assert_eq!(parse(""), Told::Nothing);
            assert_eq!(parse("230 0x0 0x0 0x7ffc1c008478\n"), Told::Call(230));
            assert_eq!(parse("0 0x3 0x7fe705789000\n"), Told::Call(0));
            assert_eq!((function_of("0"), function_of("")), (None, None));
            assert_eq!(function_of("do_wait\n"), Some("do_wait"));
        }

        #[test]
        fn each_number_has_one_name_and_others_are_given_as_numbers() {
            assert_eq!(name_of(libc::SYS_futex), "futex");
            assert_eq!(name_of(libc::SYS_clock_nanosleep), "clock_nanosleep");
            assert_eq!(name_of(99_999), "system call 99999");
            let mut numbers: Vec<_> = COMMON.iter().chain(MOST).chain(OLD).collect();
            let count = numbers.len();
            numbers.sort_unstable();
            numbers.dedup_by_key(|(number, _)| *number);
            assert_eq!(numbers.len(), count);
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    use std::borrow::Cow;

    pub(super) fn blocked_in(_: u64) -> Option<Cow<'static, str>> {
        None
    }
}
