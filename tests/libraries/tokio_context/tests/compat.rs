//! `Compat`: a context for one future, on any executor, gone after each poll.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use executor::compat::Compat;
use libraries_tokio_context::context::{id, of_process, tokio_runtime, with_own_tokio};
use libraries_tokio_context::{bounded, output};
use tokio::runtime::Id;

/// Counts what happens to it; `!Send`.
struct Probe {
    seen: Rc<RefCell<Vec<Option<Id>>>>,
    polls_left: usize,
    panics: bool,
}

impl Future for Probe {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.seen.borrow_mut().push(id());
        match self.polls_left {
            0 if self.panics => resume_unwind(Box::new(())),
            0 => Poll::Ready(()),
            _ => {
                self.polls_left -= 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.seen.borrow_mut().push(id());
    }
}

fn probe(polls_left: usize, panics: bool) -> (Probe, Rc<RefCell<Vec<Option<Id>>>>) {
    let seen = Rc::default();
    let probe = Probe {
        seen: Rc::clone(&seen),
        polls_left,
        panics,
    };
    (probe, seen)
}

#[test]
fn compat_has_the_context_in_each_poll_and_drop_and_leaves_none_behind() {
    bounded(|| {
        let process = of_process();
        let cx = &mut Context::from_waker(Waker::noop());
        let (probe, seen) = probe(2, false);
        {
            let mut compat = pin!(Compat::new(probe));
            for ready in [false, false, true] {
                assert_eq!(compat.as_mut().poll(cx).is_ready(), ready);
                assert_eq!(id(), None);
            }
            assert_eq!(*seen.borrow(), [process; 3]);
        }
        assert_eq!(id(), None);
        assert_eq!(*seen.borrow(), [process; 4]);
    });
}

#[test]
fn compat_that_is_dropped_before_its_end_or_before_its_start_drops_in_the_context() {
    bounded(|| {
        let process = of_process();
        for polls in [0, 1] {
            let (probe, seen) = probe(5, false);
            let mut compat = Box::pin(Compat::new(probe));
            for _ in 0..polls {
                assert!(
                    compat
                        .as_mut()
                        .poll(&mut Context::from_waker(Waker::noop()))
                        .is_pending()
                );
            }
            drop(compat);
            assert_eq!(id(), None);
            assert_eq!(*seen.borrow(), vec![process; polls + 1]);
        }
    });
}

#[test]
fn a_panic_inside_compat_leaves_no_context_behind() {
    bounded(|| {
        let process = of_process();
        let (probe, seen) = probe(0, true);
        let compat = Compat::new(probe);
        let panicked = catch_unwind(AssertUnwindSafe(|| futures::executor::block_on(compat)));
        assert!(panicked.is_err());
        assert_eq!(id(), None);
        assert_eq!(*seen.borrow(), [process; 2]);
    });
}

#[test]
fn compat_works_on_another_executor() {
    bounded(|| {
        let process = of_process();
        let kept = Rc::new(());
        let compat = Compat::new(async {
            let kept = kept.clone();
            tokio::time::sleep(Duration::from_millis(1)).await;
            let sent = tokio::spawn(async { 7 }).await.unwrap();
            (sent, id(), Rc::strong_count(&kept))
        });
        assert_eq!(futures::executor::block_on(compat), (7, process, 2));
        assert_eq!(id(), None);
        // Also inside tokio's own, whose context is there again after each poll.
        let tokio = tokio_runtime();
        let (inside, after) = tokio.block_on(async { (Compat::new(async { id() }).await, id()) });
        assert_eq!((inside, after), (process, Some(tokio.handle().id())));
    });
}

#[test]
#[allow(
    clippy::async_yields_async,
    reason = "it is made here and awaited elsewhere"
)]
fn compat_takes_the_context_of_the_runtime_it_is_made_in() {
    bounded(|| {
        let tokio = tokio_runtime();
        let (own, process) = (Some(tokio.handle().id()), of_process());
        let runtime = with_own_tokio(&tokio, 1);
        let made = runtime.spawn(async { Box::pin(Compat::new(async { id() })) });
        let made = runtime.block_on(output(made));
        assert_eq!(futures::executor::block_on(made), own);
        let entered = runtime.handle().enter();
        let made = Compat::new(async { id() });
        drop(entered);
        assert_eq!(executor::block_on(made), own);
        // One of the process, in a task of the runtime with another.
        let elsewhere = Box::pin(Compat::new(async { id() }));
        let task = runtime.spawn(async { (elsewhere.await, id()) });
        assert_eq!(runtime.block_on(output(task)), (process, own));
        // One in the other.
        let nested = Compat::new(async {
            let inner = runtime.block_on(async { Box::pin(Compat::new(async { id() })) });
            (id(), inner.await, id())
        });
        assert_eq!(futures::executor::block_on(nested), (process, own, process));
    });
}
