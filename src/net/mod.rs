//! TCP, UDP and Unix sockets.
//!
//! The names are those of [`std::net`] and [`std::os::unix::net`], with `async` where an operation
//! may wait. Streams implement [`futures_io::AsyncRead`] and [`futures_io::AsyncWrite`], by value
//! and by reference, and are [`Clone`]: a clone shares the socket.
//!
//! - Several tasks may wait for one socket in each direction. All are woken when it becomes ready.
//!   A future that is dropped removes its waker. Of the tasks that wait through the `poll_*`
//!   methods or the traits, each handle (a socket, a clone, a half) keeps sixteen wakers in each
//!   direction: see [`Async`](crate::io::Async).
//! - A socket belongs to the runtime in which it was made (outside a runtime, to the default
//!   runtime), and an accepted stream to that of its listener. Any thread may poll it, even inside
//!   another executor. After its runtime has shut down, operations that need not wait still work,
//!   and one that would wait is an error.
//! - No operation retries after an error. An error that persists, such as "too many open files"
//!   from `accept`, is returned each time, so a loop that continues after errors should wait a
//!   little in between.
//! - Sockets are close-on-exec. A write to a socket whose peer has gone is an error, never a
//!   signal.
//! - Operations take part in the cooperative budget: a task that always finds data still yields.
//!   (Flushing and closing a stream never wait, and take no unit.)
//!
//! The operating system resolves host names on a thread for blocking work. Numeric addresses need
//! no such thread.
//!
//! In a simulation (feature `sim`) these types are sockets of a network in memory, which the module
//! `sim::net` describes. They have no file descriptor: `as_fd`, `as_raw_fd`, `into_raw_fd` and
//! `OwnedFd::from` panic, and conversions from and to sockets of `std` are errors.
//!
//! On Windows all of this is the same, with `AsSocket` and its kin for `AsFd`, but:
//!
//! - There is no module `unix`, as `std` has no types for its sockets there.
//! - A datagram that is longer than the buffer is an error (`WSAEMSGSIZE`) where other systems cut
//!   it off; so is a receive call after a datagram was refused by its addressee
//!   ([`ConnectionReset`](std::io::ErrorKind::ConnectionReset)).
//!
//! # Examples
//!
//! ```
//! use executor::net::{TcpListener, TcpStream};
//! use futures::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # fn main() -> std::io::Result<()> {
//! executor::block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     let server = executor::spawn(async move {
//!         let (mut stream, _) = listener.accept().await?;
//!         stream.write_all(b"hello").await
//!     });
//!
//!     let mut text = String::new();
//!     let mut stream = TcpStream::connect(address).await?;
//!     stream.read_to_string(&mut text).await?;
//!     assert_eq!(text, "hello");
//!     server.await?
//! })
//! # }
//! ```

mod addr;
mod sockets;
pub(crate) mod split;
pub(crate) mod stream;
mod tcp_listener;
mod tcp_socket;
mod tcp_stream;
mod traits;
mod udp;
#[cfg(unix)]
#[cfg_attr(docsrs, doc(cfg(unix)))]
pub mod unix;

pub use self::addr::{ToSocketAddrs, lookup_host};
pub use self::split::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use self::tcp_listener::{Incoming, IntoIncoming, TcpListener};
pub use self::tcp_socket::TcpSocket;
pub use self::tcp_stream::TcpStream;
pub use self::udp::UdpSocket;
