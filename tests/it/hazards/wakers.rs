//! Foreign wakers that do what a waker should not do: call the runtime again while it clones, wakes or drops them, or throw
//! then. Neither may meet a lock that is held, lose another waiter, or cost a worker.
//!
//! Where a `JoinHandle` is polled, a waker that throws ends the process: so does `async-task`. Everywhere else it is contained.

use std::cell::Cell;
use std::future::Future;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::thread;
use std::time::{Duration, Instant};

use executor::io::Async;
use executor::task::JoinSet;
use executor::time::sleep;
use executor::{Handle, Runtime};

use crate::common::streams::std_pair;
use crate::common::{assert_all_usable, on_runtimes, wait_until};

/// What a waker is asked to do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Clone,
    Wake,
    WakeByRef,
    Drop,
}

const CALLS: [Call; 4] = [Call::Clone, Call::Wake, Call::WakeByRef, Call::Drop];

/// Counts the calls, and does something at one kind of them.
struct Odd {
    at: Call,
    does: Does,
    handle: Handle,
    counts: [AtomicUsize; 4],
    /// Tasks that it has spawned and that have run.
    ran: Arc<AtomicUsize>,
    spawned: AtomicUsize,
    /// Armed by the test once everything is set up.
    armed: AtomicUsize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    CallsBack,
    Throws,
}

std::thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

impl Odd {
    fn new(at: Call, does: Does, handle: &Handle) -> Arc<Odd> {
        Arc::new(Odd {
            at,
            does,
            handle: handle.clone(),
            counts: Default::default(),
            ran: Arc::default(),
            spawned: AtomicUsize::new(0),
            armed: AtomicUsize::new(0),
        })
    }

    fn called(&self, call: Call) {
        self.counts[call as usize].fetch_add(1, SeqCst);
        // A second panic during the first one's unwinding ends any process.
        let armed = self.armed.load(SeqCst) != 0 && !thread::panicking();
        if call != self.at || !armed || INSIDE.replace(true) {
            return;
        }
        match self.does {
            Does::CallsBack => {
                self.call_back();
                INSIDE.set(false);
            }
            Does::Throws => {
                INSIDE.set(false);
                panic!("{call:?}");
            }
        }
    }

    /// Everything that takes a lock somewhere.
    fn call_back(&self) {
        let ran = self.ran.clone();
        self.spawned.fetch_add(1, SeqCst);
        let spawned = self.handle.spawn(async move {
            ran.fetch_add(1, SeqCst);
        });
        let _ = self.handle.metrics().num_alive_tasks();
        let _ = self.handle.metrics().num_blocking_threads();
        drop(self.handle.spawn_blocking(|| ()));
        let _entered = self.handle.enter();
        let mut cx = Context::from_waker(Waker::noop());
        let mut long = Box::pin(sleep(LONG));
        let _ = long.as_mut().poll(&mut cx);
        long.as_mut().reset(Instant::now() + LONG / 2);
        // Refused after the end of the runtime.
        let (near, _far) = std_pair();
        if let Ok(near) = Async::new(near) {
            let _ = near.poll_readable(&mut cx);
        }
        spawned.abort_handle().is_finished();
    }

    fn count(&self, call: Call) -> usize {
        self.counts[call as usize].load(SeqCst)
    }

    fn waker(self: &Arc<Odd>) -> Waker {
        // SAFETY: the table's functions treat the pointer as the `Arc` that it comes from, one reference a waker.
        unsafe { Waker::from_raw(raw(self.clone())) }
    }
}

fn raw(odd: Arc<Odd>) -> RawWaker {
    RawWaker::new(Arc::into_raw(odd).cast(), &TABLE)
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

unsafe fn borrow(data: *const ()) -> ManuallyDrop<Arc<Odd>> {
    // SAFETY: from `raw`, whose reference the caller's waker holds.
    ManuallyDrop::new(unsafe { Arc::from_raw(data.cast()) })
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the caller's waker.
    let odd = unsafe { borrow(data) };
    odd.called(Call::Clone);
    raw(Arc::clone(&odd))
}

unsafe fn wake(data: *const ()) {
    // SAFETY: the caller gives the waker's reference away, also when this throws.
    let odd: Arc<Odd> = unsafe { Arc::from_raw(data.cast()) };
    odd.called(Call::Wake);
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the caller's waker.
    unsafe { borrow(data) }.called(Call::WakeByRef);
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: as in `wake`.
    let odd: Arc<Odd> = unsafe { Arc::from_raw(data.cast()) };
    odd.called(Call::Drop);
}

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

/// What throws here is the waker alone.
fn tolerate<T>(odd: &Odd, f: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Some(value),
        Err(payload) => {
            assert_eq!(odd.does, Does::Throws);
            let said = payload.downcast::<String>().unwrap();
            assert_eq!(*said, format!("{:?}", odd.at));
            None
        }
    }
}

fn poll<F: Future>(odd: &Arc<Odd>, future: Pin<&mut F>) -> Option<Poll<F::Output>> {
    let waker = ManuallyDrop::new(odd.waker());
    let polled = tolerate(odd, || future.poll(&mut Context::from_waker(&waker)));
    tolerate(odd, || drop(ManuallyDrop::into_inner(waker)));
    polled
}

/// Every way a timer holds a waker: armed, moved, polled again, fired, dropped.
fn timers(runtime: &Runtime, odd: &Arc<Odd>) {
    let _entered = runtime.handle().enter();
    let mut fires = Box::pin(sleep(SHORT));
    let _ = poll(odd, fires.as_mut());
    let mut again = Box::pin(sleep(LONG));
    let _ = poll(odd, again.as_mut());
    let _ = poll(odd, again.as_mut());
    let other = Odd::new(odd.at, odd.does, runtime.handle());
    let _ = poll(&other, again.as_mut());
    // In the other's place.
    let _ = poll(odd, again.as_mut());
    tolerate(odd, || again.as_mut().reset(Instant::now()));
    let mut dropped = Box::pin(sleep(LONG));
    let _ = poll(odd, dropped.as_mut());
    tolerate(odd, || drop(dropped));
    // A timer armed after those, for the same or a later instant, fires.
    runtime.block_on(sleep(SHORT));
    runtime.block_on(runtime.spawn(sleep(SHORT))).unwrap();
    tolerate(odd, || drop(fires));
    tolerate(odd, || drop(again));
}

/// Every way a socket holds one: replaced, woken by an event, and by the socket's end.
fn sockets(runtime: &Runtime, odd: &Arc<Odd>) {
    let _entered = runtime.handle().enter();
    let (near, mut far) = std_pair();
    let near = Async::new(near).unwrap();
    {
        let mut readable = Box::pin(near.readable());
        let mut another = Box::pin(near.readable());
        let _ = poll(odd, readable.as_mut());
        // One that has thrown must not be polled again.
        let other = Odd::new(odd.at, odd.does, runtime.handle());
        if poll(odd, another.as_mut()).is_some() && poll(&other, another.as_mut()).is_some() {
            let _ = poll(odd, another.as_mut());
        }
        let waker = ManuallyDrop::new(odd.waker());
        let _ = tolerate(odd, || near.poll_readable(&mut Context::from_waker(&waker)));
        tolerate(odd, || drop(ManuallyDrop::into_inner(waker)));
        tolerate(odd, || drop(readable));
        far.write_all(b"x").unwrap();
        // Who waits beside it is woken.
        runtime.block_on(near.readable()).unwrap();
        tolerate(odd, || drop(another));
    }
    let (near, _far) = std_pair();
    let near = Async::new(near).unwrap();
    let waker = ManuallyDrop::new(odd.waker());
    let _ = tolerate(odd, || near.poll_readable(&mut Context::from_waker(&waker)));
    tolerate(odd, || drop(ManuallyDrop::into_inner(waker)));
    tolerate(odd, || drop(near));
}

/// A set that waits with it: woken, replaced, dropped.
fn sets(runtime: &Runtime, odd: &Arc<Odd>) {
    let _entered = runtime.handle().enter();
    let (end, ended) = async_channel::bounded::<()>(1);
    let mut set = JoinSet::new();
    set.spawn(async move {
        let _ = ended.recv().await;
    });
    for _ in 0..2 {
        let _ = poll(odd, Box::pin(set.join_next()).as_mut());
        let other = Odd::new(odd.at, odd.does, runtime.handle());
        let _ = poll(&other, Box::pin(set.join_next()).as_mut());
    }
    let _ = poll(odd, Box::pin(set.join_next()).as_mut());
    tolerate(odd, || {
        set.spawn(async {});
    });
    drop(end);
    while !set.is_empty() {
        runtime.block_on(set.join_next()).unwrap().unwrap();
    }
    set.spawn(std::future::pending::<()>());
    let _ = poll(odd, Box::pin(set.join_next()).as_mut());
    tolerate(odd, || drop(set));
}

/// The task that ends is not the one to bear it, nor are those that join it.
#[test]
fn a_set_that_waits_with_a_waker_that_throws_loses_nothing() {
    on_runtimes(|runtime| {
        for at in CALLS {
            let _entered = runtime.handle().enter();
            let odd = Odd::new(at, Does::Throws, runtime.handle());
            let mut set = JoinSet::new();
            let (end, ended) = async_channel::bounded::<()>(1);
            for number in 0..10 {
                let ended = ended.clone();
                set.spawn(async move {
                    let _ = ended.recv().await;
                    number
                });
            }
            odd.armed.store(1, SeqCst);
            let _ = poll(&odd, Box::pin(set.join_next()).as_mut());
            drop(end);
            wait_until("all have ended", || {
                runtime.metrics().num_alive_tasks() == 0
            });
            let mut numbers = Vec::new();
            while !set.is_empty() {
                match poll(&odd, Box::pin(set.join_next()).as_mut()) {
                    Some(Poll::Ready(Some(number))) => numbers.push(number.unwrap()),
                    // It threw, or the task has not told the set yet.
                    _ => thread::yield_now(),
                }
            }
            numbers.sort_unstable();
            assert_eq!(numbers, Vec::from_iter(0..10));
            odd.armed.store(0, SeqCst);
            assert_all_usable(&runtime);
        }
    });
}

fn all(runtime: &Runtime, odd: &Arc<Odd>) {
    odd.armed.store(1, SeqCst);
    timers(runtime, odd);
    sockets(runtime, odd);
    sets(runtime, odd);
    assert!(odd.count(Call::Clone) >= 8, "it was asked for");
}

#[test]
fn a_waker_may_call_the_runtime_whatever_it_is_asked_to_do() {
    on_runtimes(|runtime| {
        for at in CALLS {
            let odd = Odd::new(at, Does::CallsBack, runtime.handle());
            all(&runtime, &odd);
            // None is kept; from then on no worker is about to call one.
            wait_until("all are dropped", || Arc::strong_count(&odd) == 1);
            let spawned = odd.spawned.load(SeqCst);
            // `wake_by_ref` is for those who keep a waker; nobody here does.
            assert!(spawned > 0 || at == Call::WakeByRef, "{at:?}");
            wait_until("they have run", || odd.ran.load(SeqCst) == spawned);
            assert_all_usable(&runtime);
        }
    });
}

#[test]
fn a_waker_that_throws_whatever_it_is_asked_to_do_harms_nobody_else() {
    on_runtimes(|runtime| {
        for at in CALLS {
            let odd = Odd::new(at, Does::Throws, runtime.handle());
            all(&runtime, &odd);
            odd.armed.store(0, SeqCst);
            assert_all_usable(&runtime);
            runtime.block_on(sleep(SHORT));
            wait_until("no task is left", || {
                runtime.metrics().num_alive_tasks() == 0
            });
        }
    });
}

/// Held by a timer and by sockets when the runtime ends, which wakes and drops them.
fn end_with(runtime: Runtime, odd: &Arc<Odd>) {
    let (near, _far) = std_pair();
    let mut sleeper = Box::pin(sleep(LONG));
    let _source = {
        let _entered = runtime.handle().enter();
        let near = Async::new(near).unwrap();
        let _ = poll(odd, sleeper.as_mut());
        let waker = odd.waker();
        let _ = near.poll_readable(&mut Context::from_waker(&waker));
        near
    };
    odd.armed.store(1, SeqCst);
    let before = odd.count(Call::Wake);
    let closer = thread::spawn(move || drop(runtime));
    closer.join().unwrap();
    wait_until("both were woken", || odd.count(Call::Wake) == before + 2);
    odd.armed.store(0, SeqCst);
}

#[test]
fn the_end_of_a_runtime_may_meet_such_a_waker() {
    on_runtimes(|runtime| {
        let count = runtime.metrics().num_workers();
        drop(runtime);
        for does in [Does::CallsBack, Does::Throws] {
            for at in CALLS {
                let runtime = crate::common::processors(count);
                let odd = Odd::new(at, does, runtime.handle());
                end_with(runtime, &odd);
                // What it has spawned onto the ended runtime is cancelled.
                assert_eq!(odd.ran.load(SeqCst), 0);
            }
        }
    });
}
