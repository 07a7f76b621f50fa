//! Events that programs wait for.
//!
//! A waker stays in its gate when the future that left it is dropped: so gates wake tasks that wait for something else by now,
//! or have ended.

use std::future::poll_fn;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

#[derive(Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Default)]
struct State {
    open: bool,
    for_good: bool,
    waiting: Vec<Waker>,
}

impl Gate {
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap();
        if state.open {
            return Poll::Ready(());
        }
        if !state
            .waiting
            .iter()
            .any(|waker| waker.will_wake(cx.waker()))
        {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    pub(super) async fn wait(&self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    pub(super) fn open(&self, for_good: bool) {
        let waiting = {
            let mut state = self.0.lock().unwrap();
            state.open = true;
            state.for_good |= for_good;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn shut(&self) {
        let mut state = self.0.lock().unwrap();
        state.open = state.for_good;
    }
}
