//! hyper's runtime traits: [`Executor`](hyper::rt::Executor), [`Timer`], and its I/O traits for
//! this crate's streams.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep as HyperSleep, Timer};

use crate::runtime::context;
use crate::runtime::spawn::spawn_on;
use crate::tasks::large::boxing;
use crate::time::{self, Sleep};

/// Runs hyper's tasks as tasks of the current runtime, or of the default one outside any.
///
/// hyper needs it for HTTP/2, where a connection spawns tasks: pass it to
/// `http2::Builder::new(HyperExecutor)`, or to `auto::Builder::new(HyperExecutor)` of hyper-util,
/// and add `.timer(HyperTimer)`. hyper takes this crate's streams as connections without an
/// adapter.
///
/// # Examples
///
/// ```
/// use executor::compat::HyperExecutor;
/// use hyper::rt::Executor;
/// use std::sync::mpsc;
///
/// let (tx, rx) = mpsc::channel();
/// HyperExecutor.execute(async move { tx.send("from a task").unwrap() });
/// assert_eq!(rx.recv().unwrap(), "from a task");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperExecutor;

impl<F> hyper::rt::Executor<F> for HyperExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[track_caller]
    fn execute(&self, future: F) {
        let shared = context::current_or_default();
        boxing!(F, future => drop(spawn_on(shared, future, size_of::<F>())));
    }
}

/// Implements hyper's timeouts with this crate's timers. A reset changes the existing timer,
/// without an allocation, even after it has fired.
///
/// # Examples
///
/// ```
/// use executor::compat::HyperTimer;
/// use hyper::rt::Timer;
/// use std::time::{Duration, Instant};
///
/// executor::block_on(async {
///     let start = Instant::now();
///     let mut sleep = HyperTimer.sleep(Duration::from_secs(3600));
///     HyperTimer.reset(&mut sleep, start + Duration::from_millis(5));
///     sleep.await;
///     assert!(start.elapsed() >= Duration::from_millis(5));
/// });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperTimer;

impl Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn HyperSleep>> {
        Box::pin(time::sleep(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn HyperSleep>> {
        Box::pin(time::sleep_until(deadline))
    }

    fn now(&self) -> Instant {
        time::now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn HyperSleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(sleep) => sleep.reset(deadline),
            // Another `Timer` made this sleep.
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

impl HyperSleep for Sleep {}

mod io {
    //! Reads fill hyper's uninitialised buffer directly; writes are vectored.

    use std::io::{self, IoSlice};
    use std::task::ready;

    use hyper::rt::{Read, ReadBufCursor, Write};

    use super::{Context, Pin, Poll};
    use crate::net::split::Shared;
    #[cfg(unix)]
    use crate::net::unix::UnixStream;
    use crate::net::{TcpStream, stream};

    macro_rules! impl_io {
        ($Stream:ident) => {
            impl Read for $Stream {
                fn poll_read(
                    self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    mut buf: ReadBufCursor<'_>,
                ) -> Poll<io::Result<()>> {
                    // SAFETY: the call de-initialises nothing, since it writes nothing but bytes
                    // from the socket.
                    let unfilled = unsafe { buf.as_mut() };
                    let read = ready!(stream::poll_read_uninit(self.io(), cx, unfilled))?;
                    // SAFETY: `poll_read_uninit` has initialised the first `read` bytes.
                    unsafe { buf.advance(read) };
                    Poll::Ready(Ok(()))
                }
            }

            impl Write for $Stream {
                fn poll_write(
                    self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    buf: &[u8],
                ) -> Poll<io::Result<usize>> {
                    stream::poll_write(self.io(), cx, buf)
                }

                fn poll_write_vectored(
                    self: Pin<&mut Self>,
                    cx: &mut Context<'_>,
                    bufs: &[IoSlice<'_>],
                ) -> Poll<io::Result<usize>> {
                    stream::poll_write_vectored(self.io(), cx, bufs)
                }

                fn is_write_vectored(&self) -> bool {
                    true
                }

                /// Ready at once: the stream has no buffer.
                fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                    Poll::Ready(Ok(()))
                }

                /// Shuts the sending side down.
                fn poll_shutdown(
                    self: Pin<&mut Self>,
                    _: &mut Context<'_>,
                ) -> Poll<io::Result<()>> {
                    Poll::Ready(stream::close(self.io()))
                }
            }
        };
    }

    impl_io!(TcpStream);
    #[cfg(unix)]
    impl_io!(UnixStream);
}
