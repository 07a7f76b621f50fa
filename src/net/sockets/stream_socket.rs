//! What the system's stream sockets differ in.

use std::io;
use std::net::Shutdown;

use crate::sys::AsDescriptor;

/// A standard stream socket.
pub trait StreamSocket: AsDescriptor {
    /// Whether a read that got less than it asked for has emptied the socket, if no end or error is
    /// due. True for TCP (urgent data counts as more to come). False for Unix sockets: there a read
    /// also stops after a message that carried file descriptors.
    const SHORT_READ_DRAINS: bool;

    fn shut_down(&self, how: Shutdown) -> io::Result<()>;
}

impl StreamSocket for std::net::TcpStream {
    const SHORT_READ_DRAINS: bool = true;

    fn shut_down(&self, how: Shutdown) -> io::Result<()> {
        self.shutdown(how)
    }
}
