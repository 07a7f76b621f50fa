//! Crowds of tasks that keep a processor busy.

use std::future::{Future, poll_fn};
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::{Duration, Instant};

use executor::task::yield_now;
use executor::{JoinHandle, spawn};

/// Ways to keep a processor busy for ever without a single long poll.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Each poll wakes its own task.
    WakesItself,
    Yields,
    /// Two tasks that wake each other, through the next slot.
    PingPong,
    /// Each task spawns its successor, through the next slot.
    Respawns,
    /// Each task spawns two, as long as there are not too many for the memory.
    Storm,
}

/// All but the storm, whose queue has thousands of tasks that rightly come first.
pub(crate) const FEW: [Kind; 4] = [
    Kind::WakesItself,
    Kind::Yields,
    Kind::PingPong,
    Kind::Respawns,
];
pub(crate) const ALL: [Kind; 5] = [FEW[0], FEW[1], FEW[2], FEW[3], Kind::Storm];
const STORM: usize = 500;

/// A busy crowd: counts its polls, and ends when told to.
#[derive(Clone, Default)]
pub(crate) struct Busy(Arc<State>);

#[derive(Default)]
struct State {
    work: Duration,
    polls: AtomicUsize,
    alive: AtomicUsize,
    stop: AtomicBool,
}

impl Busy {
    /// On the current runtime.
    pub(crate) fn start(kind: Kind) -> Busy {
        Busy::start_with(kind, Duration::ZERO)
    }

    /// The same, with so much to do in each poll.
    pub(crate) fn start_with(kind: Kind, work: Duration) -> Busy {
        let busy = Busy(Arc::new(State {
            work,
            ..State::default()
        }));
        match kind {
            Kind::WakesItself => drop(spawn(busy.clone().wakes_itself())),
            Kind::Yields => drop(spawn(busy.clone().yields())),
            Kind::PingPong => drop(busy.ping_pong(false)),
            Kind::Respawns => busy.clone().respawns(),
            Kind::Storm => busy.clone().storm(),
        }
        busy
    }

    pub(crate) fn polls(&self) -> usize {
        self.0.polls.load(SeqCst)
    }

    /// Clones of this, its own tasks' included.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    pub(crate) fn stop(&self) {
        self.0.stop.store(true, SeqCst);
    }

    /// One more poll. False: it is to be the last.
    fn goes_on(&self) -> bool {
        self.0.polls.fetch_add(1, SeqCst);
        if !self.0.work.is_zero() {
            let begin = Instant::now();
            while begin.elapsed() < self.0.work {
                spin_loop();
            }
        }
        !self.0.stop.load(SeqCst)
    }

    fn wakes_itself(self) -> impl Future<Output = ()> + Send {
        poll_fn(move |cx| {
            if !self.goes_on() {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    async fn yields(self) {
        while self.goes_on() {
            yield_now().await;
        }
    }

    /// `politely`: they yield before each answer.
    pub(crate) fn ping_pong(&self, politely: bool) -> [JoinHandle<()>; 2] {
        let (ping, pinged) = async_channel::bounded(1);
        let (pong, ponged) = async_channel::bounded(1);
        ping.try_send(()).unwrap();
        [(pong, pinged), (ping, ponged)].map(|(answer, question)| {
            let busy = self.clone();
            spawn(async move {
                while question.recv().await.is_ok() && busy.goes_on() {
                    if politely {
                        yield_now().await;
                    }
                    let _ = answer.send(()).await;
                }
            })
        })
    }

    fn respawns(self) {
        if self.goes_on() {
            drop(spawn(async move { self.respawns() }));
        }
    }

    fn storm(self) {
        if self.goes_on() {
            let children = 1 + usize::from(self.0.alive.load(SeqCst) < STORM);
            self.0.alive.fetch_add(children - 1, SeqCst);
            for _ in 0..children {
                let busy = self.clone();
                drop(spawn(async move { busy.storm() }));
            }
        }
    }
}
