//! What subscribers of `tracing` are told about a task (feature `tracing`; without it a future
//! stays as it is).
//!
//! The spans and events are those that tokio-console reads:
//!
//! * A span `runtime.spawn` per task, at level TRACE, from its spawn until its future has been
//!   dropped. Its fields: `kind` (task, blocking, local, block_on), `task.name`, `task.id`,
//!   `size.bytes` of the future, and `loc.file`, `loc.line`, `loc.col` of the spawn. It has no
//!   parent, since the task that spawns another does not wait for it.
//! * Each poll enters the span, and nothing else does: the console counts entries as polls, and the
//!   time since the last poll as waiting for a processor. The future is dropped in a span `drop`
//!   inside it.
//! * An event of target `runtime::waker` for each operation on a waker of the task: `op` is
//!   `waker.clone`, `waker.wake`, `waker.wake_by_ref` or `waker.drop`, and `task.id` is the number
//!   of the span. The event of a wake comes before the wake takes effect: if it came after the
//!   beginning of the poll that the wake causes, the console would show that another poll is due.
//!   `async-task`'s wakers cannot emit events, so the future gets a waker of this module around
//!   them. This costs an allocation per poll of a traced task that nobody had a waker of. The future
//!   does not keep that waker itself, so that it still shows when nobody else does
//!   ([`Registered::has_no_waker`](super::registry::Registered::has_no_waker)).
//!
//! If no subscriber is interested, the span is empty, and a poll only checks that.

#[cfg(feature = "tracing")]
pub(crate) use traced::{Observed, observed};

use super::Id;

/// The kinds of task, as tokio-console names them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Task,
    Blocking,
    Local,
    BlockOn,
}

#[cfg(not(feature = "tracing"))]
pub(crate) type Observed<F> = F;

#[cfg(not(feature = "tracing"))]
#[inline]
pub(crate) fn observed<F>(future: F, _: Kind, _: usize, _: Option<Id>, _: Option<&str>) -> F {
    future
}

#[cfg(feature = "tracing")]
mod traced {
    use std::future::Future;
    use std::mem::ManuallyDrop;
    use std::panic::Location;
    use std::pin::Pin;
    use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

    use pin_project_lite::pin_project;
    use tracing::Span;

    use super::{Id, Kind};
    use crate::sync::{Arc, Weak};
    use crate::tasks::capture;

    impl Kind {
        fn name(self) -> &'static str {
            match self {
                Kind::Task => "task",
                Kind::Blocking => "blocking",
                Kind::Local => "local",
                Kind::BlockOn => "block_on",
            }
        }
    }

    pin_project! {
        /// A future and its span.
        pub(crate) struct Observed<F> {
            span: Span,
            // The waker that the future saw last, if a subscriber is interested and somebody has it.
            waker: Weak<Watched>,
            // `None` once it has been dropped.
            #[pin]
            future: Option<F>,
        }

        impl<F> PinnedDrop for Observed<F> {
            fn drop(this: Pin<&mut Self>) {
                let mut this = this.project();
                let _in_span = (!this.span.is_none()).then(|| {
                    tracing::trace_span!(target: "executor::task", parent: &*this.span, "drop").entered()
                });
                this.future.set(None);
            }
        }
    }

    /// `bytes`: the size of the future as the user passed it; it may have been boxed since.
    #[track_caller]
    pub(crate) fn observed<F>(
        future: F,
        kind: Kind,
        bytes: usize,
        id: Option<Id>,
        name: Option<&str>,
    ) -> Observed<F> {
        let location = Location::caller();
        let span = tracing::trace_span!(
            target: "executor::task",
            parent: None,
            "runtime.spawn",
            kind = %kind.name(),
            task.name = name,
            task.id = id.map(|id| id.0.get()),
            size.bytes = bytes,
            loc.file = location.file(),
            loc.line = location.line(),
            loc.col = location.column(),
        );
        Observed {
            span,
            waker: Weak::new(),
            future: Some(future),
        }
    }

    impl<F: Future> Future for Observed<F> {
        type Output = F::Output;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
            let this = self.project();
            let Some(future) = this.future.as_pin_mut() else {
                unreachable!("taken out by drop, after which nobody polls")
            };
            let Some(span) = this.span.id() else {
                return future.poll(cx);
            };
            let _in_span = this.span.enter();
            let real = capture::behind(cx.waker());
            let known = this.waker.upgrade();
            let watched = known.filter(|watched| watched.waker.will_wake(real));
            let watched = watched.unwrap_or_else(|| {
                let waker = real.clone();
                let watched = Arc::new(Watched { waker, span });
                *this.waker = Arc::downgrade(&watched);
                watched
            });
            // Borrowed, so that making and dropping it emits no event.
            // SAFETY: `watched` is a reference while this waker exists, as the functions of `WATCHED`
            // require.
            let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw(Arc::as_ptr(&watched))) });
            capture::poll_with(cx.waker(), &waker, |waker| {
                future.poll(&mut Context::from_waker(waker))
            })
        }
    }

    /// A task's waker that emits an event for each operation.
    struct Watched {
        waker: Waker,
        span: tracing::span::Id,
    }

    impl Watched {
        fn say(&self, op: &'static str) {
            tracing::trace!(target: "runtime::waker", op, task.id = self.span.into_u64());
        }

        /// Emits the event, then wakes, even if the subscriber panics.
        fn wake(&self, op: &'static str) {
            struct Wakes<'a>(&'a Waker);
            impl Drop for Wakes<'_> {
                fn drop(&mut self) {
                    self.0.wake_by_ref();
                }
            }
            let _wakes = Wakes(&self.waker);
            self.say(op);
        }
    }

    /// Each function takes a pointer from an `Arc<Watched>` that still has a reference. `wake` and
    /// `drop_waker` consume one reference, even if the subscriber panics.
    static WATCHED: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

    fn raw(watched: *const Watched) -> RawWaker {
        RawWaker::new(watched.cast(), &WATCHED)
    }

    unsafe fn clone(watched: *const ()) -> RawWaker {
        let watched = watched.cast::<Watched>();
        // SAFETY: the waker holds a reference, see `WATCHED`.
        unsafe { &*watched }.say("waker.clone");
        // SAFETY: as above; the new waker owns the new reference.
        unsafe { Arc::increment_strong_count(watched) };
        raw(watched)
    }

    unsafe fn wake(watched: *const ()) {
        // SAFETY: `wake` consumes the waker, and with it the waker's reference.
        unsafe { Arc::from_raw(watched.cast::<Watched>()) }.wake("waker.wake");
    }

    unsafe fn wake_by_ref(watched: *const ()) {
        // SAFETY: the waker holds a reference, see `WATCHED`.
        unsafe { &*watched.cast::<Watched>() }.wake("waker.wake_by_ref");
    }

    unsafe fn drop_waker(watched: *const ()) {
        // SAFETY: the waker is dropped, and with it its reference.
        unsafe { Arc::from_raw(watched.cast::<Watched>()) }.say("waker.drop");
    }
}
