//! A process that was spawned, and its pipes.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::process::{Child as StdChild, ExitStatus, Output, Stdio};
use std::task::{Context, Poll, ready};

use real::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pipe::Pipe;
use super::waiter::Waiter;

/// A process that was spawned.
///
/// If it is dropped, the process goes on (see [`kill_on_drop`](super::Command::kill_on_drop)), and
/// its status is asked for when it has ended.
#[derive(Debug)]
pub struct Child {
    state: State,
    /// The process's standard input, if that is a pipe.
    pub stdin: Option<ChildStdin>,
    /// The process's standard output, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// The process's standard error, if that is a pipe.
    pub stderr: Option<ChildStderr>,
}

#[derive(Debug)]
enum State {
    Running(Waiter),
    Done(ExitStatus),
}

impl Child {
    #[track_caller]
    pub(super) fn new(child: StdChild, kill_on_drop: bool) -> io::Result<Child> {
        // First, so that somebody waits for the process if the rest fails or panics.
        let mut waiter = Waiter::new(child, kill_on_drop);
        let std = waiter.std();
        let (stdin, stdout, stderr) = (std.stdin.take(), std.stdout.take(), std.stderr.take());
        waiter.register()?;
        Ok(Child {
            state: State::Running(waiter),
            stdin: stdin.map(ChildStdin::from_std).transpose()?,
            stdout: stdout.map(ChildStdout::from_std).transpose()?,
            stderr: stderr.map(ChildStderr::from_std).transpose()?,
        })
    }

    /// The process's number. `None` after it has ended and was waited for: another process may
    /// have the number then.
    pub fn id(&self) -> Option<u32> {
        match &self.state {
            State::Running(waiter) => Some(waiter.id()),
            State::Done(_) => None,
        }
    }

    /// Kills the process, and does not wait for its end.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn start_kill(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Running(waiter) => waiter.kill(),
            State::Done(_) => Ok(()),
        }
    }

    /// Kills the process, and waits for its end.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.start_kill()?;
        self.wait().await?;
        Ok(())
    }

    /// Closes the process's standard input, and waits for its end.
    ///
    /// # Errors
    ///
    /// The operating system's.
    ///
    /// # Panics
    ///
    /// If the runtime that has spawned the process has shut down, and the caller is in no other.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the next call waits on, but the standard input is closed.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        poll_fn(|cx| self.poll_wait(cx)).await
    }

    /// The process's status, if it has ended.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        match &mut self.state {
            State::Done(status) => Ok(Some(*status)),
            State::Running(waiter) => {
                let status = waiter.try_wait()?;
                if let Some(status) = status {
                    self.state = State::Done(status);
                }
                Ok(status)
            }
        }
    }

    /// Waits for the process's end, and collects what it writes meanwhile.
    ///
    /// # Errors
    ///
    /// The operating system's.
    ///
    /// # Panics
    ///
    /// As [`wait`](Child::wait).
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let mut stdout = Collected::from(self.stdout.take().map(|stdout| stdout.pipe));
        let mut stderr = Collected::from(self.stderr.take().map(|stderr| stderr.pipe));
        let status = poll_fn(|cx| {
            let status = self.poll_wait(cx)?;
            let stdout = stdout.poll(cx)?;
            let stderr = stderr.poll(cx)?;
            ready!(stdout);
            ready!(stderr);
            status.map(Ok::<_, io::Error>)
        })
        .await?;
        Ok(Output {
            status,
            stdout: stdout.bytes,
            stderr: stderr.bytes,
        })
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        match &mut self.state {
            State::Done(status) => Poll::Ready(Ok(*status)),
            State::Running(waiter) => {
                let status = ready!(waiter.poll_wait(cx))?;
                self.state = State::Done(status);
                Poll::Ready(Ok(status))
            }
        }
    }
}

/// What a process has written to a pipe.
struct Collected {
    /// Open as long as the process may write more, and until everything was read from it.
    pipe: Option<Pipe>,
    is_complete: bool,
    bytes: Vec<u8>,
}

impl From<Option<Pipe>> for Collected {
    fn from(pipe: Option<Pipe>) -> Collected {
        Collected {
            pipe,
            is_complete: false,
            bytes: Vec::new(),
        }
    }
}

impl Collected {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let (Some(pipe), false) = (&self.pipe, self.is_complete) {
            ready!(pipe.poll_read_to_end(cx, &mut self.bytes))?;
            self.is_complete = true;
        }
        Poll::Ready(Ok(()))
    }
}

/// The standard input of a process. Dropping it closes it.
#[derive(Debug)]
pub struct ChildStdin {
    pipe: Pipe,
}

/// The standard output of a process.
#[derive(Debug)]
pub struct ChildStdout {
    pipe: Pipe,
}

/// The standard error of a process.
#[derive(Debug)]
pub struct ChildStderr {
    pipe: Pipe,
}

macro_rules! pipe {
    ($type:ident) => {
        impl $type {
            /// Makes a pipe of the standard library asynchronous.
            ///
            /// # Errors
            ///
            /// The operating system's.
            ///
            /// # Panics
            ///
            /// Outside a runtime, and if the builder of the runtime has not enabled I/O.
            #[track_caller]
            pub fn from_std(inner: std::process::$type) -> io::Result<$type> {
                Ok($type {
                    pipe: Pipe::new(inner.into())?,
                })
            }

            /// The file descriptor, in blocking mode.
            ///
            /// # Errors
            ///
            /// The operating system's.
            pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
                self.pipe.into_fd()
            }
        }

        impl TryInto<Stdio> for $type {
            type Error = io::Error;

            fn try_into(self) -> io::Result<Stdio> {
                self.into_owned_fd().map(Stdio::from)
            }
        }

        impl AsRawFd for $type {
            fn as_raw_fd(&self) -> RawFd {
                self.pipe.as_raw_fd()
            }
        }

        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.pipe.as_fd()
            }
        }
    };
}

macro_rules! output {
    ($type:ident) => {
        pipe!($type);

        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.pipe.poll_read(cx, buf)
            }
        }
    };
}

pipe!(ChildStdin);
output!(ChildStdout);
output!(ChildStderr);

impl AsyncWrite for ChildStdin {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.pipe.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.pipe.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Does not close it; dropping does.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
