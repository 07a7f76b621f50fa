//! What a busy worker finds when it looks beyond its own queue, and after how many polls it looks.

use std::task::{Wake, Waker};

use super::*;
use crate::scheduler::tests::working::{Log, task};
use crate::scheduler::timers::Timer;
use crate::scheduler::timers::wheel::PIECE;
use crate::sync::thread;

/// A waker that writes its name down.
struct Writes(Log, u32);

impl Wake for Writes {
    fn wake(self: Arc<Self>) {
        self.0.lock().push(self.1);
    }
}

/// A waker of another executor that wakes a task of this one.
struct Wakes(&'static Shared, Mutex<Option<Runnable>>);

impl Wakes {
    fn waker(shared: &'static Shared, runnable: Runnable) -> Waker {
        Arc::new(Wakes(shared, Mutex::new(Some(runnable)))).into()
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        let runnable = self.1.lock().take().unwrap();
        self.0.submit(runnable, false);
    }
}

fn due(shared: &'static Shared, processor: Instant, waker: &Waker) -> Timer {
    let mut timer = Timer::new();
    timer.arm(shared, processor, waker);
    timer
}

const WAKER: u32 = 10_000;

impl TestScheduler {
    /// Runs so many tasks, one of which arms timers; gives before which of them the timers' wakers
    /// were called.
    fn places_of_timers(&self, tasks: u32, armed_in: u32, timers: usize) -> Vec<usize> {
        let (shared, log) = (self.shared, Log::default());
        let armed = Arc::new(Mutex::new(Vec::new()));
        let runnables = (0..tasks).map(|name| {
            if name != armed_in {
                return self.writes(&log, name, name == tasks - 1);
            }
            let (log, armed) = (log.clone(), armed.clone());
            task(move || {
                log.lock().push(name);
                let waker = Waker::from(Arc::new(Writes(log, WAKER)));
                let now = Instant::now();
                *armed.lock() = Vec::from_iter((0..timers).map(|_| due(shared, now, &waker)));
                thread::sleep(Duration::from_millis(1));
            })
        });
        self.queue(runnables);
        self.run();
        let mut before = 0;
        let mut places = Vec::new();
        for name in &*log.lock() {
            match *name {
                WAKER => places.push(before),
                name => {
                    assert_eq!(name as usize, before);
                    before += 1;
                }
            }
        }
        assert_eq!(before, tasks as usize);
        places
    }
}

/// The clock is read before every eighth poll, and not before the others.
#[test]
fn a_timer_fires_before_the_next_eighth_poll() {
    for (armed_in, fires_before) in [(21, 29), (28, 29), (29, 37), (54, 61), (62, 66)] {
        let test = TestScheduler::new(1);
        assert_eq!(test.places_of_timers(80, armed_in, 1), [fires_before]);
    }
}

/// See "Many at once" in `timers`.
#[test]
fn what_some_timers_brought_is_polled_before_the_next_ones_fire() {
    let test = TestScheduler::new(1);
    let places = test.places_of_timers(400, 21, 2 * PIECE + 1);
    assert_eq!(places.len(), 2 * PIECE + 1);
    let pieces = places.chunk_by(|a, b| a == b);
    let pieces = Vec::from_iter(pieces.map(|piece| (piece[0], piece.len())));
    assert_eq!(pieces[0].0, 29);
    // Each but the first at the next eighth poll after as many as the piece before it.
    for two in pieces.windows(2) {
        let ((place, length), (next, _)) = (two[0], two[1]);
        assert!(length <= PIECE);
        assert!(
            (length..=length + 8).contains(&(next - place)),
            "{pieces:?}"
        );
    }
}

/// They run in the order in which they were woken, and a second worker is woken for them if they
/// are two.
#[test]
fn what_is_ready_together_is_a_batch() {
    for count in 1..5 {
        let test = TestScheduler::new(2);
        let parked_worker = test.parked_workers(1).remove(0);
        let (shared, log) = (test.shared, Arc::new(Mutex::new(Vec::new())));
        let tasks = (0..count).map(|name| {
            let (log, parked_worker) = (log.clone(), parked_worker.clone());
            task(move || {
                log.lock().push((name, parked_worker.has_handed()));
                shared.closed.store(name == count - 1, Ordering::SeqCst);
            })
        });
        let now = Instant::now();
        let timers =
            Vec::from_iter(tasks.map(|task| due(shared, now, &Wakes::waker(shared, task))));
        thread::sleep(Duration::from_millis(1));
        test.run();
        let woken = count > 1;
        assert_eq!(
            *log.lock(),
            Vec::from_iter((0..count).map(|name| (name, woken)))
        );
        drop(timers);
    }
}

#[cfg(feature = "net")]
#[test]
fn a_busy_worker_looks_at_the_network_when_the_global_queue_has_its_turn() {
    use std::io::Write;
    use std::task::Context;

    use crate::reactor::{Direction, Reactor};
    use crate::sys::{borrow, pair::pair};

    const OWN: u32 = 100;
    let test = TestScheduler::new(1);
    let (shared, log) = (test.shared, Log::default());
    let registered = Arc::new(Mutex::new(None));
    test.queue((0..OWN).map(|name| {
        if name != 10 {
            return test.writes(&log, name, name == OWN - 1);
        }
        let (log, registered) = (log.clone(), registered.clone());
        task(move || {
            log.lock().push(name);
            let (socket, mut peer) = pair();
            let netpoll = shared.netpoll().unwrap();
            let source = Reactor::register(netpoll.reactor(), borrow(&socket)).unwrap();
            let waker = Waker::from(Arc::new(Writes(log, WAKER)));
            let mut cx = Context::from_waker(&waker);
            // It may be ready, for all that is known when it is registered.
            if let Some(seen) = source.check(Direction::Read) {
                source.clear_ready(Direction::Read, seen);
            }
            assert!(source.poll_ready(Direction::Read, &mut cx).is_pending());
            peer.write_all(b"x").unwrap();
            *registered.lock() = Some((source, socket, peer));
        })
    }));
    test.run();
    let place = log.lock().iter().position(|name| *name == WAKER);
    assert_eq!(place, Some(61));
    let registered = registered.lock().take();
    let (mut source, socket, _) = registered.unwrap();
    source.deregister(borrow(&socket)).unwrap();
}
