//! Unix sockets that are not connected yet.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, RawFd};
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use super::UnixStream;
use super::datagram_socket::UnixDatagram;
use super::listener::UnixListener;

/// A Unix socket that neither listens nor is connected.
#[derive(Debug)]
pub struct UnixSocket {
    inner: Socket,
}

impl UnixSocket {
    /// A socket for datagrams.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn new_datagram() -> io::Result<UnixSocket> {
        UnixSocket::new(Type::DGRAM)
    }

    /// A socket for streams.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn new_stream() -> io::Result<UnixSocket> {
        UnixSocket::new(Type::STREAM)
    }

    fn new(kind: Type) -> io::Result<UnixSocket> {
        let inner = Socket::new(Domain::UNIX, kind.nonblocking(), None)?;
        Ok(UnixSocket { inner })
    }

    fn refuse(&self, kind: Type, text: &'static str) -> io::Result<()> {
        if self.inner.r#type()? == kind {
            return Err(io::Error::other(text));
        }
        Ok(())
    }

    /// Binds it to a path.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn bind(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.inner.bind(&SockAddr::unix(path)?)
    }

    /// Listens. `backlog` is how many connections may wait to be accepted.
    ///
    /// # Errors
    ///
    /// What the system says, or that it is for datagrams.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<UnixListener> {
        self.refuse(Type::DGRAM, "listen cannot be called on a datagram socket")?;
        self.inner
            .listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        UnixListener::register(self.inner.into())
    }

    /// Connects to a path.
    ///
    /// # Errors
    ///
    /// What the system says, or that it is for datagrams.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    pub async fn connect(self, path: impl AsRef<Path>) -> io::Result<UnixStream> {
        self.refuse(Type::DGRAM, "connect cannot be called on a datagram socket")?;
        let address = SockAddr::unix(path)?;
        UnixStream::connect_socket(self.inner, &address).await
    }

    /// Makes a socket for datagrams of it.
    ///
    /// # Errors
    ///
    /// What the system says, or that it is for streams.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if its builder has not enabled I/O.
    #[track_caller]
    pub fn datagram(self) -> io::Result<UnixDatagram> {
        self.refuse(Type::STREAM, "datagram cannot be called on a stream socket")?;
        let socket = UnixDatagram::register(self.inner.into())?;
        match socket.take_error()? {
            Some(error) => Err(error),
            None => Ok(socket),
        }
    }
}

impl AsRawFd for UnixSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl FromRawFd for UnixSocket {
    /// # Safety
    ///
    /// That of the trait's method.
    unsafe fn from_raw_fd(fd: RawFd) -> UnixSocket {
        // SAFETY: the caller keeps to the same rule.
        let inner = unsafe { Socket::from_raw_fd(fd) };
        UnixSocket { inner }
    }
}

impl IntoRawFd for UnixSocket {
    fn into_raw_fd(self) -> RawFd {
        self.inner.into_raw_fd()
    }
}
