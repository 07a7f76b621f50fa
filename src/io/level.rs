//! Whether a descriptor, or a socket of a simulation, is ready at this moment.

use std::io;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{SocketType, sockopt};

use crate::reactor::{Direction, Object};

/// See [`level`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// An operation would block.
    Idle,
    /// A socket has an error, a hang-up or urgent data to report; otherwise an operation would
    /// block. The report may persist after an operation was tried and blocked: for an error queue
    /// (`IP_RECVERR`, timestamps) until the queue is read, for urgent data until it is read as
    /// such, for the end of a datagram socket for ever.
    Flagged,
    Ready,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const END: PollFlags = PollFlags::RDHUP;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const END: PollFlags = PollFlags::empty();

/// Whether an operation is worth an attempt. One system call, unless there are flags.
pub(crate) fn level(object: Object<'_>, direction: Direction) -> io::Result<Level> {
    #[cfg(not(feature = "sim"))]
    let fd = object;
    #[cfg(feature = "sim")]
    let fd = match object {
        Object::System(fd) => fd,
        Object::Simulated(socket) => return simulated::level(socket.0, direction),
    };
    const NOW: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let (asked, plain) = match direction {
        Direction::Read => (PollFlags::IN | PollFlags::PRI | END, PollFlags::IN),
        Direction::Write => (PollFlags::OUT, PollFlags::OUT),
    };
    let mut fds = [PollFd::from_borrowed_fd(fd, asked)];
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&NOW)))?;
    let found = fds[0].revents();
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
    let mut ready = found.intersects(plain);
    if direction == Direction::Read && kind == SocketType::DGRAM && found.intersects(END) {
        // No more datagrams will come. Linux reports that as readable, but a receive call would
        // block.
        ready = rustix::io::ioctl_fionread(fd).is_ok_and(|bytes| bytes > 0);
    }
    Ok(if ready { Level::Ready } else { Level::Flagged })
}

#[cfg(feature = "sim")]
mod simulated {
    use std::io;

    use crate::reactor::Direction;
    use crate::simulated::net::{SocketId, with_network};

    use super::Level;

    /// The same for a socket of a simulation.
    pub(super) fn level(socket: SocketId, direction: Direction) -> io::Result<Level> {
        let found = with_network(|net, at| {
            net.advance(at);
            net.readiness(socket)
        })?;
        let (ready, flagged) = match direction {
            Direction::Read => (found.readable, found.read_closed),
            Direction::Write => (found.writable, false),
        };
        Ok(match () {
            () if ready => Level::Ready,
            () if flagged || found.closed || found.error => Level::Flagged,
            () => Level::Idle,
        })
    }
}
