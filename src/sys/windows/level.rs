//! Whether a socket is ready at this moment, by `WSAPoll`.
//!
//! `WSAPoll` refuses to be asked for urgent data. A hang-up or an error comes as a flag.

use std::io;

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::sys::{BorrowedDescriptor, Level};

/// Whether a read is worth an attempt.
pub(crate) fn read(socket: BorrowedDescriptor<'_>) -> io::Result<Level> {
    ask(socket, PollFlags::IN)
}

/// Whether a write is worth an attempt, or the outcome of a connect is known.
pub(crate) fn write(socket: BorrowedDescriptor<'_>) -> io::Result<Level> {
    ask(socket, PollFlags::OUT)
}

fn ask(socket: BorrowedDescriptor<'_>, flags: PollFlags) -> io::Result<Level> {
    const NOW: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut sockets = [PollFd::from_borrowed_fd(socket, flags)];
    rustix::event::poll(&mut sockets, Some(&NOW))?;
    let found = sockets[0].revents();
    Ok(match () {
        () if found.intersects(flags) => Level::Ready,
        () if found.is_empty() => Level::Idle,
        () => Level::Flagged,
    })
}
