//! Tasks that are in the ledger: the future around a task's own, and the handle to it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::fault;
use super::ledger::{self, Kind, Seen, Ticket};
use super::runnable::{self, Relay};
use crate::runtimes::{Outcome, Runtime, Task};

/// What a task is entered with.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) seed: u64,
    /// Whether its wakers leave marks. Half of the tasks see the runtime's own wakers, as nothing else would test them.
    pub(crate) marked: bool,
}

impl Entry {
    /// What the task must give in the end: no two tasks the same.
    pub(crate) fn value(&self) -> u64 {
        self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.kind as u64
    }
}

struct Watched<F> {
    /// Before `seen`: dropped before it.
    inner: F,
    seen: Seen,
    relay: Option<(Arc<Relay>, Waker)>,
    marked: bool,
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `inner` stays where it is; the others are never pinned.
        let this = unsafe { self.get_unchecked_mut() };
        this.seen.begins();
        if this.marked {
            runnable::clear(this.seen.key.index);
            let known = this.relay.as_ref();
            if !known.is_some_and(|(relay, _)| relay.inner.will_wake(cx.waker())) {
                let relay = Arc::new(Relay {
                    key: this.seen.key,
                    inner: cx.waker().clone(),
                });
                this.relay = Some((Arc::clone(&relay), Waker::from(relay)));
            }
        }
        // SAFETY: as above, and nobody else moves it.
        let inner = unsafe { Pin::new_unchecked(&mut this.inner) };
        let mut poll = Polling {
            seen: &this.seen,
            ready: None,
        };
        let polled = match &this.relay {
            Some((_, waker)) => inner.poll(&mut Context::from_waker(waker)),
            None => inner.poll(cx),
        };
        poll.ready = Some(polled.is_ready());
        drop(poll);
        if this.marked && polled.is_pending() {
            runnable::again(this.seen.key);
        }
        polled
    }
}

/// A poll that ends without having said how has panicked.
struct Polling<'a> {
    seen: &'a Seen,
    ready: Option<bool>,
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.seen.ends(self.ready);
    }
}

/// A handle whose word is compared with what the future saw. Dropping it detaches the task.
pub(crate) struct Handle<R: Runtime> {
    task: R::Task<u64>,
    ticket: Ticket,
    value: u64,
}

impl<R: Runtime> Handle<R> {
    /// `true`: it has given the right output.
    pub(crate) async fn join(self) -> bool {
        let outcome = self.task.await;
        self.ticket.told(outcome, self.value, R::EXACT);
        matches!(outcome, Outcome::Finished(_))
    }

    pub(crate) async fn cancel(self) {
        self.ticket.asks();
        let outcome = self.task.cancel().await;
        self.ticket.told(outcome, self.value, R::EXACT);
    }

    /// Before its runtime is stopped: from then on it may be cancelled.
    pub(crate) fn will_be_stopped(&self) {
        self.ticket.asks();
    }
}

pub(crate) fn spawn<R, F>(runtime: &R, entry: Entry, future: F) -> Handle<R>
where
    R: Runtime,
    F: Future<Output = u64> + Send + 'static,
{
    let (seen, ticket) = ledger::enter(entry.kind, entry.seed);
    let key = ticket.key();
    let about = entry.marked.then(|| runnable::about(key)).flatten();
    let task = runtime.spawn(Watched {
        inner: future,
        seen,
        relay: None,
        marked: entry.marked,
    });
    runnable::is(key, about);
    Handle {
        task,
        ticket,
        value: entry.value(),
    }
}

/// A blocking job, as a task of one poll.
pub(crate) fn spawn_blocking<R: Runtime>(
    runtime: &R,
    entry: Entry,
    job: impl FnOnce() + Send + 'static,
) -> Handle<R> {
    let (seen, ticket) = ledger::enter(entry.kind, entry.seed);
    let value = entry.value();
    let task = runtime.spawn_blocking(move || {
        let seen = seen;
        seen.begins();
        let mut poll = Polling {
            seen: &seen,
            ready: None,
        };
        job();
        poll.ready = Some(true);
        drop(poll);
        value
    });
    Handle {
        task,
        ticket,
        value,
    }
}

/// A future that panics when it is dropped, wherever that happens, but not while another panic goes by.
pub(crate) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            fault::planned();
        }
    }
}
