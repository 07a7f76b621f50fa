//! Which system call a thread is blocked in.
//!
//! The kernel tells the number of the call in `/proc/self/task/TID/syscall`. Where that cannot be
//! read, or the thread waits outside any call (a page fault), `/proc/self/task/TID/wchan` may tell
//! the function of the kernel in which it waits. Both ask for the right to trace the thread, which a
//! process has for its own threads unless it has made itself undumpable. Sandboxes may have
//! neither. A reading takes 9 µs (AMD EPYC, 2026-11-29), so only what is reported or listed is looked at.
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
            Some((_, name)) => Cow::Borrowed(name.strip_prefix("SYS_").unwrap_or(name)),
            None => Cow::Owned(format!("system call {number}")),
        }
    }

    type Names = &'static [(libc::c_long, &'static str)];

    /// A list of calls by the names that they have in `libc`, where `libc` has them; else none.
    macro_rules! names {
        ($list:ident, $places:meta, $($call:ident)*) => {
            #[cfg($places)]
            const $list: Names = &[$((libc::$call, stringify!($call))),*];
            #[cfg(not($places))]
            const $list: Names = &[];
        };
    }

    // Those that block, and those that are often met.
    names! {
        COMMON,
        any(
            target_arch = "x86_64",
            target_arch = "x86",
            target_arch = "aarch64",
            target_arch = "arm",
            target_arch = "riscv64"
        ),
        SYS_futex SYS_nanosleep SYS_clock_nanosleep SYS_read SYS_write SYS_readv SYS_writev
        SYS_pread64 SYS_pwrite64 SYS_preadv SYS_pwritev SYS_preadv2 SYS_pwritev2 SYS_splice
        SYS_copy_file_range SYS_getrandom SYS_ppoll SYS_pselect6 SYS_epoll_pwait
        SYS_io_uring_enter SYS_io_getevents SYS_accept4 SYS_connect SYS_shutdown SYS_sendto
        SYS_sendmsg SYS_sendmmsg SYS_recvfrom SYS_recvmsg SYS_recvmmsg SYS_openat SYS_close
        SYS_ioctl SYS_flock SYS_fallocate SYS_fsync SYS_fdatasync SYS_sync SYS_syncfs SYS_msync
        SYS_getdents64 SYS_statx SYS_unlinkat SYS_mkdirat SYS_renameat2 SYS_linkat SYS_symlinkat
        SYS_mount SYS_umount2 SYS_wait4 SYS_waitid SYS_rt_sigtimedwait SYS_rt_sigsuspend
        SYS_clone SYS_execve SYS_munmap SYS_madvise SYS_mprotect SYS_process_vm_readv
    }

    // Not on 32-bit systems, or under another name; nor has `libc` all of them for Android.
    names! {
        MOST,
        any(
            target_arch = "x86_64",
            all(
                target_os = "linux",
                any(target_arch = "aarch64", target_arch = "riscv64")
            )
        ),
        SYS_accept SYS_fcntl SYS_ftruncate SYS_newfstatat SYS_fstat SYS_mmap
    }

    // Those that newer architectures do without, or `libc` has not there.
    names! {
        OLD,
        target_arch = "x86_64",
        SYS_poll SYS_sendfile SYS_select SYS_epoll_wait SYS_open SYS_stat SYS_lstat SYS_unlink
        SYS_mkdir SYS_rmdir SYS_rename SYS_link SYS_pause SYS_vfork SYS_sync_file_range
    }

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
