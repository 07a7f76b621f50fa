//! A channel made by hand, whose receiver misses a wake.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use executor::sim::{self, FailureKind};
use executor::time::sleep;
use futures::future::{Either, select};

use super::compare;

/// One receiver. It looks at the queue, and then leaves its waker: two locks, and between them
/// another thread may send.
#[derive(Default)]
struct TwoLocks {
    queue: Mutex<VecDeque<u32>>,
    waker: Mutex<Option<Waker>>,
}

impl TwoLocks {
    fn send(&self, value: u32) {
        self.queue.lock().unwrap().push_back(value);
        let waker = self.waker.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn pop(&self) -> Option<u32> {
        self.queue.lock().unwrap().pop_front()
    }

    fn poll_wrong(&self, cx: &Context<'_>) -> Poll<u32> {
        if let Some(value) = self.pop() {
            return Poll::Ready(value);
        }
        sim::interleave();
        *self.waker.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_right(&self, cx: &Context<'_>) -> Poll<u32> {
        if let Some(value) = self.pop() {
            return Poll::Ready(value);
        }
        sim::interleave();
        *self.waker.lock().unwrap() = Some(cx.waker().clone());
        // Whoever has sent before that has woken nobody.
        self.pop().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Messages come every few milliseconds, and each is received before the next one is sent.
async fn send_and_receive(poll: fn(&TwoLocks, &Context<'_>) -> Poll<u32>) {
    let channel = Arc::new(TwoLocks::default());
    let sender = channel.clone();
    let sending = executor::spawn(async move {
        for value in 0..5 {
            sleep(Duration::from_millis(3)).await;
            sender.send(value);
        }
    });
    for expected in 0..5 {
        let value = poll_fn(|cx| poll(&channel, cx)).await;
        assert_eq!(value, expected);
    }
    sending.await.unwrap();
}

pub(super) async fn between_two_locks() {
    send_and_receive(TwoLocks::poll_wrong).await;
}

async fn looked_at_twice() {
    send_and_receive(TwoLocks::poll_right).await;
}

#[test]
fn a_wake_between_two_locks_is_lost() {
    compare(FailureKind::Deadlock, "", between_two_locks, looked_at_twice);
}

/// Several receivers. A message wakes one of them.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<u32>,
    waiting: Vec<(u64, Waker)>,
    woken: Vec<u64>,
    next: u64,
}

impl Shared {
    fn send(&self, value: u32) {
        let mut state = self.state.lock().unwrap();
        state.queue.push_back(value);
        wake_one(state);
    }
}

/// Whoever has waited longest.
fn wake_one(mut state: std::sync::MutexGuard<'_, State>) {
    if state.waiting.is_empty() {
        return;
    }
    let (key, waker) = state.waiting.remove(0);
    state.woken.push(key);
    drop(state);
    waker.wake();
}

/// A receiver that waits. Dropped, it waits no more.
struct Recv<'a> {
    channel: &'a Shared,
    key: u64,
    /// If it has been woken and does not take the message, somebody else is to.
    passes_on: bool,
}

impl<'a> Recv<'a> {
    fn new(channel: &'a Shared, passes_on: bool) -> Recv<'a> {
        let mut state = channel.state.lock().unwrap();
        state.next += 1;
        let key = state.next;
        drop(state);
        Recv {
            channel,
            key,
            passes_on,
        }
    }
}

impl Future for Recv<'_> {
    type Output = u32;

    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        let mut state = self.channel.state.lock().unwrap();
        let own = self.key;
        state.waiting.retain(|(key, _)| *key != own);
        state.woken.retain(|key| *key != own);
        match state.queue.pop_front() {
            Some(value) => Poll::Ready(value),
            None => {
                state.waiting.push((own, cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

impl Drop for Recv<'_> {
    fn drop(&mut self) {
        let own = self.key;
        let mut state = self.channel.state.lock().unwrap();
        state.waiting.retain(|(key, _)| *key != own);
        if self.passes_on && state.woken.contains(&own) {
            state.woken.retain(|key| *key != own);
            wake_one(state);
        }
    }
}

/// One receiver waits for a while, the other one until it has something.
async fn impatient_and_patient(passes_on: bool) {
    let channel = Arc::new(Shared::default());
    let (impatient, patient) = (channel.clone(), channel.clone());
    let looking = executor::spawn(async move {
        let end = sleep(Duration::from_millis(10));
        let received = Recv::new(&impatient, passes_on);
        matches!(select(end, received).await, Either::Right(_))
    });
    let waiting = executor::spawn(async move { Recv::new(&patient, passes_on).await });
    sleep(Duration::from_millis(8)).await;
    channel.send(1);
    if looking.await.unwrap() {
        channel.send(2);
    }
    waiting.await.unwrap();
}

pub(super) async fn woken_in_vain() {
    impatient_and_patient(false).await;
}

async fn passed_on() {
    impatient_and_patient(true).await;
}

#[test]
fn a_wake_of_a_receiver_that_gave_up_is_lost() {
    compare(FailureKind::Deadlock, "", woken_in_vain, passed_on);
}
