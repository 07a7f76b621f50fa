//! What subscribers of `tracing` are told of a task (feature `tracing`; without it a future stays as it is).
//!
//! In the dialect that tokio-console reads:
//!
//! * A span `runtime.spawn` per task, at level TRACE, from its spawn until its future has been dropped. Its fields: `kind`
//!   (task, blocking, local, block_on), `task.name`, `task.id`, `size.bytes` of the future, `loc.file`, `loc.line`, `loc.col`
//!   of the spawn. It has no parent: who spawned a task does not wait for it.
//! * The span is entered for each poll and for nothing else: the console counts entries as polls, and the time from the poll
//!   before as waiting for a processor. The future is dropped in a span `drop` inside it.
//! * An event of target `runtime::waker` for whatever happens to a waker of the task: `op` is `waker.clone`, `waker.wake`,
//!   `waker.wake_by_ref` or `waker.drop`, `task.id` the number of the span. A wake is told before it has an effect: one that
//!   is told after the poll it leads to has begun looks as if another poll were due. `async-task`'s wakers cannot tell, so the
//!   future gets one of ours around them: one allocation per task that is traced, at its first poll.
//!
//! Where no subscriber is interested the span is empty, and a poll looks at that and nothing else.

#[cfg(feature = "tracing")]
pub(crate) use traced::{Observed, observed};

use super::Id;

/// The kind of a task, as tokio-console names them.
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
    use crate::sync::Arc;

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
            // What the future sees of the task's waker. `None` until a poll that somebody wants to know of.
            waker: Option<Arc<Watched>>,
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

    /// `bytes`: the size of the future as the user gave it, which may have been boxed.
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
            waker: None,
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
            let watched = match this.waker {
                Some(watched) if watched.waker.will_wake(cx.waker()) => &*watched,
                stale => {
                    let waker = cx.waker().clone();
                    &*stale.insert(Arc::new(Watched { waker, span }))
                }
            };
            // A waker on loan: neither its making nor its end is an event.
            // SAFETY: the reference that `this` holds keeps what it points to, as the functions of `WATCHED` ask.
            let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw(Arc::as_ptr(watched))) });
            future.poll(&mut Context::from_waker(&waker))
        }
    }

    /// A task's waker that says what is done to it.
    struct Watched {
        waker: Waker,
        span: tracing::span::Id,
    }

    impl Watched {
        fn say(&self, op: &'static str) {
            tracing::trace!(target: "runtime::waker", op, task.id = self.span.into_u64());
        }

        /// Says so, and wakes, also when the subscriber panics.
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

    /// Each function takes a pointer that came from an `Arc<Watched>` which is still there; `wake` and `drop` use up one
    /// reference to it, also when the subscriber panics.
    static WATCHED: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

    fn raw(watched: *const Watched) -> RawWaker {
        RawWaker::new(watched.cast(), &WATCHED)
    }

    unsafe fn clone(watched: *const ()) -> RawWaker {
        let watched = watched.cast::<Watched>();
        // SAFETY: it is there, see `WATCHED`.
        unsafe { &*watched }.say("waker.clone");
        // SAFETY: likewise; the new waker owns the new reference.
        unsafe { Arc::increment_strong_count(watched) };
        raw(watched)
    }

    unsafe fn wake(watched: *const ()) {
        // SAFETY: the waker owned a reference, and is gone.
        unsafe { Arc::from_raw(watched.cast::<Watched>()) }.wake("waker.wake");
    }

    unsafe fn wake_by_ref(watched: *const ()) {
        // SAFETY: it is there, see `WATCHED`.
        unsafe { &*watched.cast::<Watched>() }.wake("waker.wake_by_ref");
    }

    unsafe fn drop_waker(watched: *const ()) {
        // SAFETY: the waker owned a reference, and is gone.
        unsafe { Arc::from_raw(watched.cast::<Watched>()) }.say("waker.drop");
    }
}
