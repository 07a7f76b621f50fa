//! Readiness as events have told it, without a question to the operating system: for users that
//! make their attempts themselves and say which readiness that has used up.

use std::future::{Future, poll_fn};
use std::io;
use std::task::{Context, Poll};

use crate::reactor::{self, Ready, Source};

use super::{Async, OBJECT, Pollable};

/// Readiness that was seen at one moment: what [`Async::clear`] clears, and no event after it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    inner: reactor::Seen,
    /// What was asked for.
    of: Ready,
}

impl Seen {
    fn new(inner: reactor::Seen, of: Ready) -> Seen {
        Seen { inner, of }
    }

    /// The flags that were up.
    #[inline]
    pub fn flags(&self) -> Ready {
        self.inner.flags
    }

    /// Only those of `flags`, at the same moment.
    #[must_use = "it returns another value and leaves this one as it is"]
    pub fn only(mut self, flags: Ready) -> Seen {
        self.inner.flags = self.inner.flags & flags;
        self
    }
}

/// Readiness that events have told. Such an event comes after the registration for everything that
/// is ready by then, and again whenever the system has news. Whoever finds that an operation would
/// block clears the readiness that it has seen, and waits for the next event. These methods take no
/// unit of the task's budget.
///
/// # Examples
///
/// ```
/// use executor::io::{Async, Ready};
/// use std::io::{ErrorKind, Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// # fn main() -> std::io::Result<()> {
/// executor::block_on(async {
///     let (a, mut b) = UnixStream::pair()?;
///     let a = Async::new(a)?;
///     b.write_all(b"hello")?;
///
///     let seen = a.ready(Ready::READABLE).await?;
///     let mut buf = [0; 16];
///     assert_eq!(a.get_ref().read(&mut buf)?, 5);
///     // Still up: nobody has found the end of the data.
///     assert!(a.seen(Ready::READABLE).flags().contains(Ready::READABLE));
///     let error = a.get_ref().read(&mut buf).unwrap_err();
///     assert_eq!(error.kind(), ErrorKind::WouldBlock);
///     a.clear(seen);
///     assert!(a.seen(Ready::READABLE).flags().is_empty());
///
///     b.write_all(b"again")?;
///     a.ready(Ready::READABLE).await?;
///     Ok(())
/// })
/// # }
/// ```
impl<T: Pollable> Async<T> {
    /// Those flags of `of` that are up now.
    #[inline]
    pub fn seen(&self, of: Ready) -> Seen {
        Seen::new(self.source.seen(of), of)
    }

    /// Waits until one of the flags `of` is up, and returns those that are.
    ///
    /// # Errors
    ///
    /// When the runtime that registered the object has shut down, even if flags are up.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub fn ready(&self, of: Ready) -> impl Future<Output = io::Result<Seen>> + Send + Sync {
        // Does not borrow the object, which need not be `Sync`.
        wait(&self.source, of, None)
    }

    /// Waits for the next readiness of the flags that `seen` was asked for, after the caller has
    /// tried, has found that its operation would block, and has cleared `seen`.
    ///
    /// Unlike [`ready`](Async::ready) it does not return at once for ever when a direction is
    /// closed, which is a flag that cannot be cleared.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Async::ready).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub fn ready_again(&self, seen: Seen) -> impl Future<Output = io::Result<Seen>> + Send + Sync {
        wait(&self.source, seen.of, Some(seen.inner))
    }

    /// Polls until one of the flags `of` is up; see [`ready`](Async::ready).
    ///
    /// Different tasks may poll; see [`Async`] for how many wakers are kept.
    ///
    /// # Errors
    ///
    /// As for [`ready`](Async::ready).
    #[inline]
    pub fn poll_ready(&self, cx: &mut Context<'_>, of: Ready) -> Poll<io::Result<Seen>> {
        self.source
            .poll_seen_for(OBJECT, of, None, cx)
            .map_ok(|seen| Seen::new(seen, of))
    }

    /// Clears the readiness that was seen, unless an event has come since. The flags of a closed
    /// direction stay.
    #[inline]
    pub fn clear(&self, seen: Seen) {
        self.source.clear_seen(seen.inner);
    }

    /// Raises flags that the caller knows to be right, so that nobody has to wait for an event that
    /// tells them: for a new object, before anybody waits.
    pub fn assume_ready(&self, flags: Ready) {
        self.source.assume(flags);
    }

    /// Lets the first operations on a new object wait for an event, too, instead of being tried at
    /// once: for an object on which they mean something else before there is an event. A read from
    /// a FIFO that nobody has opened for writing yet finds the end.
    pub fn assume_idle(&self) {
        self.source.assume_idle();
    }
}

async fn wait(source: &Source, of: Ready, since: Option<reactor::Seen>) -> io::Result<Seen> {
    let mut waiting = source.waiting_for_flags();
    let poll = |cx: &mut Context<'_>| source.poll_seen_for(waiting.owner(), of, since, cx);
    Ok(Seen::new(poll_fn(poll).await?, of))
}

#[cfg(test)]
mod tests;
