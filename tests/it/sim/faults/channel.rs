//! A channel made by hand, whose receiver misses a wake.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use executor::sim::{self, FailureKind};
use executor::time::sleep;

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
    compare(
        FailureKind::Deadlock,
        "",
        between_two_locks,
        looked_at_twice,
    );
}
