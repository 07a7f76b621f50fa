//! A standard stream, which only blocking calls can read or write.
//!
//! A stream is idle, or busy with one job, which has the buffer. A write hands its bytes to a
//! mandatory job (see `blocking`) and does not wait for it; the next write or flush does.

use std::io::{self, Read, Write};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use real::io::ReadBuf;

use crate::blocking::{self, Buf, Job, MAX_BUF_SIZE, Refusal};
use crate::runtime::ShutDown;

#[derive(Debug)]
pub(super) struct BlockingStream {
    state: State,
    /// Whether something was written since the last flush.
    needs_flush: bool,
}

#[derive(Debug)]
enum State {
    Idle(Buf),
    Busy(Job<(io::Result<()>, Buf)>),
}

impl BlockingStream {
    pub(super) fn new() -> BlockingStream {
        BlockingStream {
            state: State::Idle(Buf::default()),
            needs_flush: false,
        }
    }

    /// Waits for the job that is under way. `true`: there was one.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let State::Busy(job) = &mut self.state else {
            return Poll::Ready(Ok(false));
        };
        let (result, buf) = match ready!(Pin::new(job).poll(cx)) {
            Ok((result, buf)) => (result, buf),
            Err(error) => (Err(error), Buf::default()),
        };
        self.state = State::Idle(buf);
        Poll::Ready(result.map(|()| true))
    }

    fn take_buf(&mut self) -> Buf {
        match &mut self.state {
            State::Idle(buf) => mem::take(buf),
            State::Busy(_) => unreachable!("the caller has waited for the job"),
        }
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        dst: &mut ReadBuf<'_>,
        source: impl Read + Send + 'static,
    ) -> Poll<io::Result<()>> {
        let mut source = Some(source);
        loop {
            let was_read = ready!(self.poll_idle(cx))?;
            if let State::Idle(buf) = &mut self.state {
                if was_read || !buf.is_empty() || dst.remaining() == 0 {
                    buf.copy_to(dst);
                    return Poll::Ready(Ok(()));
                }
            }
            let Some(source) = source.take() else {
                unreachable!("a job that was waited for has read");
            };
            let mut buf = self.take_buf();
            let max = dst.remaining().min(MAX_BUF_SIZE);
            self.state = State::Busy(blocking::run(move || {
                let result = buf.read_from(source, max);
                (result.map(drop), buf)
            }));
        }
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        src: &[u8],
        target: impl Write + Send + 'static,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_idle(cx))?;
        let mut buf = self.take_buf();
        let len = buf.copy_from([src], MAX_BUF_SIZE);
        let job = blocking::run_mandatory(move || (buf.write_to(target), buf)).map_err(refused)?;
        self.state = State::Busy(job);
        self.needs_flush = true;
        Poll::Ready(Ok(len))
    }

    pub(super) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        mut target: impl Write + Send + 'static,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_idle(cx))?;
        if !self.needs_flush {
            return Poll::Ready(Ok(()));
        }
        let buf = self.take_buf();
        let job = blocking::run_mandatory(move || (target.flush(), buf)).map_err(refused)?;
        self.state = State::Busy(job);
        self.needs_flush = false;
        self.poll_idle(cx).map_ok(drop)
    }
}

/// The error of a write that was not accepted. The real tokio tells the reason here, and not where
/// files are concerned.
fn refused(refusal: Refusal) -> io::Error {
    match refusal {
        Refusal::ShutDown => io::Error::other(ShutDown),
        Refusal::System(_) => refusal.into(),
    }
}
