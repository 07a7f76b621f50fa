//! Unix stream sockets.

use std::io;
use std::os::unix::net::{SocketAddr, UnixStream as StdUnixStream};
use std::path::Path;
use std::time::Duration;

use rustix::net::SocketAddrUnix;

use crate::io::Async;
use crate::net::sockets::{self, Socket};
use crate::net::stream;

/// The first and the longest pause of a connect that has found the listener's queue full. A
/// listener that accepts empties its queue within microseconds. If it does not accept, the attempts
/// must cost nothing that counts (a call takes 2 µs). The kernel could do the waiting on a thread
/// of the blocking pool, but such a wait could not be cancelled.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// A Unix stream socket.
///
/// It reads and writes through [`futures_io::AsyncRead`] and [`futures_io::AsyncWrite`], by value
/// and by reference. Closing it shuts the sending side down. A clone shares the socket, which
/// closes when the last clone or half is dropped.
///
/// Several tasks may wait at one time. Each clone and each half keeps the wakers of up to sixteen
/// tasks per direction that wait through these traits, as [`Async`] does, and removes them when it
/// is dropped. So a clone per task always suffices.
///
/// # Examples
///
/// ```
/// use executor::net::unix::UnixStream;
/// use futures::io::{AsyncReadExt, AsyncWriteExt};
///
/// # fn main() -> std::io::Result<()> {
/// executor::block_on(async {
///     let (mut a, mut b) = UnixStream::pair()?;
///     a.write_all(b"hello").await?;
///     a.close().await?;
///
///     let mut text = String::new();
///     b.read_to_string(&mut text).await?;
///     assert_eq!(text, "hello");
///     Ok(())
/// })
/// # }
/// ```
#[derive(Clone)]
pub struct UnixStream {
    io: stream::Share<StdUnixStream>,
}

stream::impl_stream!(UnixStream, StdUnixStream);

impl UnixStream {
    /// Connects to the socket at `path`.
    ///
    /// While the queue of the listener is full, this waits as `std` does, for as long as that
    /// takes. Linux reports no event when the queue has room again, so it tries again after 1 ms,
    /// then 2 ms, and so on up to every 64 ms. If several tasks wait, chance decides which gets the
    /// next place. On systems where a full queue counts as a refusal, such as BSD, that error is
    /// returned at once.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future gives the attempt up.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        let address = SocketAddrUnix::new(path.as_ref())?;
        UnixStream::connect_to(address).await
    }

    /// Connects to a socket whose address need not be a path.
    ///
    /// # Errors
    ///
    /// As for [`connect`](UnixStream::connect).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future gives the attempt up.
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        UnixStream::connect_to(super::address::to_os(address)?).await
    }

    async fn connect_to(address: SocketAddrUnix) -> io::Result<UnixStream> {
        let reactor = crate::runtime::context::reactor()?;
        let socket = sockets::unix_stream()?;
        let mut pause = SHORTEST_PAUSE;
        while let Err(error) = socket.start_connect(&address) {
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(error);
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(2 * pause);
        }
        let io = Async::register(socket, &reactor)?;
        stream::finish_connect(&io, Socket::<StdUnixStream>::take_error).await?;
        Ok(UnixStream::from_async(io))
    }

    /// Makes two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// When the process or the system has no descriptors or memory left.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (a, b) = sockets::unix_pair()?;
        Ok((UnixStream::from_async(a), UnixStream::from_async(b)))
    }

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// The address of the other side.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }
}

#[cfg(feature = "time")]
use crate::time::sleep;

/// Without feature `time` there are no timers, so a thread of the blocking pool sleeps.
#[cfg(not(feature = "time"))]
async fn sleep(pause: Duration) {
    let sleep = move || crate::sync::thread::sleep(pause);
    // If the runtime shuts down, the wait ends early.
    let _ = crate::runtime::spawn::spawn_blocking(sleep).await;
}

impl std::fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.io.get_ref(), f)
    }
}
