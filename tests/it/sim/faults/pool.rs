//! A wake that is lost with whoever was woken: the program of `docs/testing.md`, which quotes it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use executor::sim::FailureKind;
use executor::time::sleep;
use futures::future::{Either, select};

use super::{SEEDS, compare};

// [wrong
/// One connection, which is used by one task at a time.
#[derive(Default)]
struct Pool(Mutex<State>);

#[derive(Default)]
struct State {
    in_use: bool,
    waiting: VecDeque<(u64, Waker)>,
    tickets: u64,
}

/// Gives the connection back when it is dropped, and wakes who has waited longest.
struct Connection<'a>(&'a Pool);

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        let mut state = self.0.0.lock().unwrap();
        state.in_use = false;
        let next = state.waiting.pop_front();
        drop(state);
        if let Some((_, waker)) = next {
            waker.wake();
        }
    }
}

/// Waits for the connection.
struct Acquire<'a> {
    pool: &'a Pool,
    ticket: u64,
}

impl Pool {
    fn acquire(&self) -> Acquire<'_> {
        let mut state = self.0.lock().unwrap();
        state.tickets += 1;
        Acquire {
            pool: self,
            ticket: state.tickets,
        }
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Connection<'a>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Connection<'a>> {
        let mut state = self.pool.0.lock().unwrap();
        state.waiting.retain(|(ticket, _)| *ticket != self.ticket);
        if state.in_use {
            state.waiting.push_back((self.ticket, cx.waker().clone()));
            return Poll::Pending;
        }
        state.in_use = true;
        Poll::Ready(Connection(self.pool))
    }
}

/// Whoever gives up is not woken.
impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.0.lock().unwrap();
        state.waiting.retain(|(ticket, _)| *ticket != self.ticket);
    }
}
// wrong]

/// The same, but a wake that it has not used goes on to the next one.
struct PassesOn<'a>(Acquire<'a>);

impl Pool {
    fn acquire_right(&self) -> PassesOn<'_> {
        PassesOn(self.acquire())
    }
}

impl<'a> Future for PassesOn<'a> {
    type Output = Connection<'a>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Connection<'a>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl Drop for PassesOn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.pool.0.lock().unwrap();
        state.waiting.retain(|(ticket, _)| *ticket != self.0.ticket);
        // [right
        if !state.in_use {
            let next = state.waiting.pop_front();
            drop(state);
            if let Some((_, waker)) = next {
                waker.wake();
            }
        }
        // right]
    }
}

macro_rules! everybody_is_served {
    ($acquire:ident) => {{
        // [test
        let pool = Arc::new(Pool::default());
        let connection = pool.$acquire().await;
        let (one, two) = (pool.clone(), pool.clone());
        let hurried = executor::spawn(async move {
            let patience = sleep(Duration::from_millis(10));
            match select(patience, one.$acquire()).await {
                Either::Left(_) => "gave up",
                Either::Right(_) => "was served",
            }
        });
        let patient = executor::spawn(async move { drop(two.$acquire().await) });
        sleep(Duration::from_millis(7)).await;
        drop(connection);
        hurried.await.unwrap();
        patient.await.unwrap();
        // test]
    }};
}

pub(super) async fn a_wake_is_dropped() {
    everybody_is_served!(acquire);
}

async fn a_wake_is_passed_on() {
    everybody_is_served!(acquire_right);
}

#[test]
fn a_wake_of_somebody_who_gave_up_is_lost() {
    compare(
        FailureKind::Deadlock,
        "",
        a_wake_is_dropped,
        a_wake_is_passed_on,
    );
}

#[test]
fn a_task_that_goes_on_when_it_is_polled_once_more_is_named() {
    let run = executor::sim::Builder::new().explore(SEEDS, a_wake_is_dropped);
    let failure = run.expect_err("the fault");
    assert!(failure.tasks().contains("nobody had woken it"), "{failure}");
}

/// The document has what stands between marks here, as it is.
#[test]
fn the_document_has_this_program() {
    let text = include_str!("pool.rs");
    let document = include_str!("../../../../docs/testing.md");
    for mark in ["wrong", "right", "test"] {
        let (_, after) = text
            .split_once(&format!("// [{mark}\n"))
            .expect("it begins");
        let (part, _) = after.split_once(&format!("// {mark}]\n")).expect("it ends");
        for line in part.lines().filter(|line| !line.trim().is_empty()) {
            let line = line.trim().replace("$acquire", "acquire");
            assert!(document.contains(&line), "docs/testing.md has no {line:?}");
        }
    }
}
