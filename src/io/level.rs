//! Whether a descriptor, or a socket of a simulation, is ready at this moment.

use std::io;

use crate::reactor::{Direction, Object};
use crate::sys::{Level, level as of_system};

/// Whether an operation is worth an attempt.
pub(crate) fn level(object: Object<'_>, direction: Direction) -> io::Result<Level> {
    #[cfg(not(feature = "sim"))]
    let descriptor = object;
    #[cfg(feature = "sim")]
    let descriptor = match object {
        Object::System(descriptor) => descriptor,
        Object::Simulated(socket) => return simulated::level(socket.0, direction),
    };
    match direction {
        Direction::Read => of_system::read(descriptor),
        Direction::Write => of_system::write(descriptor),
    }
}

#[cfg(feature = "sim")]
mod simulated {
    use std::io;

    use crate::reactor::Direction;
    use crate::simulated::net::{SocketId, with_network};
    use crate::sys::Level;

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
