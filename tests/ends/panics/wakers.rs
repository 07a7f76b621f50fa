//! Panics of foreign wakers: whoever wakes one, a timer, a socket or the end of a runtime, goes on.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use executor::{Runtime, spawn_local};

use crate::common::throwing::{Hazard, Tally, Thrower, await_count, throw};
use crate::common::{assert_all_usable, on_runtimes};

/// Throws when it is woken.
struct Angry(Arc<Tally>);

impl Wake for Angry {
    fn wake(self: Arc<Self>) {
        self.0.wakes.fetch_add(1, SeqCst);
        throw(&self.0, false);
    }
}

fn angry(tally: &Arc<Tally>) -> Waker {
    Waker::from(Arc::new(Angry(tally.clone())))
}

#[cfg(feature = "time")]
mod timers {
    use super::*;
    use executor::time::{Sleep, sleep};

    /// Armed with a waker that throws.
    fn arm(duration: Duration, tally: &Arc<Tally>) -> Pin<Box<Sleep>> {
        let mut sleep = Box::pin(sleep(duration));
        let waker = angry(tally);
        assert!(
            sleep
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        sleep
    }

    const SHORT: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_waker_that_a_timer_wakes() {
        on_runtimes(|runtime| {
            let tally = Arc::new(Tally::default());
            // On a worker's wheel, then on that of foreign threads.
            let (inner, count) = (tally.clone(), runtime.metrics().num_workers());
            let task = runtime.spawn(async move {
                let armed: Vec<_> = (0..3 * count).map(|_| arm(SHORT, &inner)).collect();
                sleep(SHORT).await;
                armed
            });
            let armed = runtime.block_on(task).unwrap();
            await_count(&tally.wakes, 3 * count);
            assert_all_usable(&runtime);
            let more = runtime.block_on(async {
                let more: Vec<_> = (0..3).map(|_| arm(SHORT, &tally)).collect();
                spawn_local(sleep(SHORT)).await.unwrap();
                more
            });
            await_count(&tally.wakes, 3 * count + 3);
            assert_all_usable(&runtime);
            drop((armed, more));
        });
    }

    #[test]
    fn a_waker_that_the_end_of_the_runtime_wakes() {
        on_runtimes(|runtime| {
            let tally = Arc::new(Tally::default());
            let inner = tally.clone();
            let task = runtime.spawn(async move { [arm(LONG, &inner), arm(LONG, &inner)] });
            let armed = runtime.block_on(task).unwrap();
            let more = runtime.block_on(async { Some(arm(LONG, &tally)) });
            drop(runtime.spawn(Thrower::new(Hazard::Drop, &tally)));
            drop(runtime);
            assert_eq!(tally.wakes.load(SeqCst), 3);
            assert_eq!(tally.futures.load(SeqCst), 1);
            drop((armed, more));
        });
    }

    /// Foreign code runs under no lock: a waker may use timers while it is cloned.
    #[test]
    fn a_waker_that_arms_a_timer_when_it_is_cloned() {
        use std::task::{RawWaker, RawWakerVTable};
        static TABLE: RawWakerVTable = RawWakerVTable::new(
            |_| {
                let mut inner = Box::pin(sleep(LONG));
                let _ = inner.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                RawWaker::new(std::ptr::null(), &TABLE)
            },
            |_| (),
            |_| (),
            |_| (),
        );
        on_runtimes(|runtime| {
            let task = runtime.spawn(async {
                let mut sleep = Box::pin(sleep(LONG));
                poll_fn(|cx| {
                    assert!(sleep.as_mut().poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                // SAFETY: the data pointer is not used.
                let waker = unsafe { Waker::new(std::ptr::null(), &TABLE) };
                assert!(
                    sleep
                        .as_mut()
                        .poll(&mut Context::from_waker(&waker))
                        .is_pending()
                );
            });
            runtime.block_on(task).unwrap();
        });
    }
}

#[cfg(feature = "net")]
mod sockets {
    use super::*;
    use crate::common::streams::{StdStream, std_pair};
    use executor::io::Async;

    type Socket = Async<StdStream>;

    fn pair(runtime: &Runtime) -> (Socket, StdStream) {
        let (near, far) = std_pair();
        (runtime.block_on(async { Async::new(near) }).unwrap(), far)
    }

    /// Waits in both ways with wakers that throw.
    fn wait<'a>(near: &'a Socket, tally: &Arc<Tally>) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        let waker = angry(tally);
        let cx = &mut Context::from_waker(&waker);
        assert!(near.poll_readable(cx).is_pending());
        let mut readable: Pin<Box<dyn Future<Output = ()>>> =
            Box::pin(async { near.readable().await.unwrap() });
        assert!(readable.as_mut().poll(cx).is_pending());
        readable
    }

    #[test]
    fn a_waker_that_a_socket_wakes() {
        on_runtimes(|runtime| {
            let tally = Arc::new(Tally::default());
            for round in 1..=3 {
                let (near, mut far) = pair(&runtime);
                let waits = wait(&near, &tally);
                io::Write::write_all(&mut far, b"x").unwrap();
                await_count(&tally.wakes, 2 * round);
                runtime.block_on(near.readable()).unwrap();
                assert_all_usable(&runtime);
                drop(waits);
            }
        });
    }

    #[test]
    fn a_waker_that_the_end_of_the_runtime_or_the_socket_wakes() {
        on_runtimes(|runtime| {
            let tally = Arc::new(Tally::default());
            let (one, _far) = pair(&runtime);
            let waker = angry(&tally);
            assert!(
                one.poll_readable(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            drop(one);
            assert_eq!(tally.wakes.load(SeqCst), 1);
            let (two, _far) = pair(&runtime);
            let waits = wait(&two, &tally);
            drop(runtime.spawn(Thrower::new(Hazard::Drop, &tally)));
            drop(runtime);
            assert_eq!(tally.wakes.load(SeqCst), 3);
            assert_eq!(tally.futures.load(SeqCst), 1);
            drop(waits);
        });
    }
}
