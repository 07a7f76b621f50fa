//! Whether a descriptor is ready at this moment. One system call, unless there are flags.

use std::io;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{SocketType, sockopt};

use crate::sys::{BorrowedDescriptor, Level};

#[cfg(any(target_os = "linux", target_os = "android"))]
const END: PollFlags = PollFlags::RDHUP;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const END: PollFlags = PollFlags::empty();

/// Whether a read is worth an attempt.
pub(crate) fn read(fd: BorrowedDescriptor<'_>) -> io::Result<Level> {
    let found = ask(fd, PollFlags::IN | PollFlags::PRI | END)?;
    judge(fd, found, PollFlags::IN, |kind| {
        if kind == SocketType::DGRAM && found.intersects(END) {
            // No more datagrams will come. Linux reports that as readable, but a receive call would
            // block.
            return rustix::io::ioctl_fionread(fd).is_ok_and(|bytes| bytes > 0);
        }
        found.intersects(PollFlags::IN)
    })
}

/// Whether a write is worth an attempt, or the outcome of a connect is known.
pub(crate) fn write(fd: BorrowedDescriptor<'_>) -> io::Result<Level> {
    let found = ask(fd, PollFlags::OUT)?;
    judge(fd, found, PollFlags::OUT, |_| {
        found.intersects(PollFlags::OUT)
    })
}

fn ask(fd: BorrowedDescriptor<'_>, flags: PollFlags) -> io::Result<PollFlags> {
    const NOW: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::from_borrowed_fd(fd, flags)];
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&NOW)))?;
    Ok(fds[0].revents())
}

/// `is_ready` decides for a socket that has flags.
fn judge(
    fd: BorrowedDescriptor<'_>,
    found: PollFlags,
    plain: PollFlags,
    is_ready: impl FnOnce(SocketType) -> bool,
) -> io::Result<Level> {
    if found.is_empty() {
        return Ok(Level::Idle);
    }
    if found == plain {
        return Ok(Level::Ready);
    }
    let Ok(kind) = sockopt::socket_type(fd) else {
        // If the descriptor is not a socket (a pipe, a terminal, a file of /sys), each flag means
        // that an operation has a result.
        return Ok(Level::Ready);
    };
    Ok(match is_ready(kind) {
        true => Level::Ready,
        false => Level::Flagged,
    })
}
