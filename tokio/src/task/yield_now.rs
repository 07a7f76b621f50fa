//! [`yield_now`].

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::runtime::current_thread::wake_after_turn;

/// Lets other tasks run before this one goes on.
pub async fn yield_now() {
    let mut yields = pin!(executor::task::yield_now());
    let mut waits_for_turn = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waits_for_turn, false) {
            return Poll::Ready(());
        }
        waits_for_turn = wake_after_turn(cx.waker());
        match waits_for_turn {
            true => Poll::Pending,
            false => yields.as_mut().poll(cx),
        }
    })
    .await;
}
