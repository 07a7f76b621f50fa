//! The queue of tasks that somebody runs: who spawns, wakes, runs and closes it at the same time.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use super::DEADLOCK;
use crate::checker::explore;
use crate::runner::Check;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, thread};
use crate::tasks::queue::{Notify, Queue};
use crate::twin;

pub(super) const CHECKS: &[Check] = &[
    Check::model("queue-spawning", || spawning(None)),
    Check::twin("queue-spawning/spawn-has-no-fence", LEFT, || {
        spawning(Some("queue-spawn-has-no-fence"))
    })
    .loom_only(),
    Check::twin("queue-spawning/close-has-no-fence", LEFT, || {
        spawning(Some("queue-close-has-no-fence"))
    })
    .loom_only(),
    Check::twin("queue-spawning/drain-waits-for-none", LEFT, || {
        spawning(Some("queue-drain-waits-for-none"))
    }),
    Check::model("queue-closing", || closing(None)),
    Check::twin("queue-closing/tasks-that-wait-are-left", DEADLOCK, || {
        closing(Some("queue-tasks-that-wait-are-left"))
    }),
    Check::twin("queue-closing/push-tells-nobody", DEADLOCK, || {
        closing(Some("queue-push-tells-nobody"))
    })
    .shuttle_only(),
    Check::model("queue-letting-go", || letting_go(None)),
    Check::twin("queue-letting-go/close-has-no-fence", DEADLOCK, || {
        letting_go(Some("queue-close-has-no-fence"))
    })
    .loom_only(),
    Check::twin("queue-letting-go/let-go-has-no-fence", DEADLOCK, || {
        letting_go(Some("queue-let-go-has-no-fence"))
    })
    .loom_only(),
    Check::twin("queue-letting-go/tells-nobody", DEADLOCK, || {
        letting_go(Some("queue-let-go-tells-nobody"))
    }),
];

const LEFT: &str = "each future is dropped once, before the queue has closed";

/// The owner is the thread that runs the queue: nobody has to be told.
struct Nobody;

impl Notify for Nobody {
    fn notify(&self) {}
}

/// Counts drops.
struct Drops(Arc<AtomicUsize>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A thread spawns a task while another closes.
fn spawning(twin: Option<&'static str>) -> usize {
    explore(3, move || {
        twin::set(twin);
        let queue = Arc::new(Queue::new(Nobody, None));
        let drops = Arc::new(AtomicUsize::new(0));
        let (spawns, dropped) = (queue.clone(), Drops(drops.clone()));
        let spawner = thread::spawn(move || {
            spawns.spawn(
                async move {
                    let _dropped = dropped;
                },
                0,
            )
        });
        queue.close();
        assert_eq!(queue.len(), 0, "{LEFT}");
        let handle = spawner.join().expect("it does not panic");
        assert!(handle.is_finished(), "{LEFT}");
        assert_eq!((drops.load(Relaxed), queue.num_alive()), (1, 0), "{LEFT}");
    })
}

/// A thread runs a task, which goes on to wait, while another closes.
fn letting_go(twin: Option<&'static str>) -> usize {
    explore(3, move || {
        twin::set(twin);
        let queue = Arc::new(Queue::new(Nobody, None));
        let drops = Arc::new(AtomicUsize::new(0));
        let dropped = Drops(drops.clone());
        let handle = queue.spawn(
            async move {
                let _dropped = dropped;
                std::future::pending::<()>().await;
            },
            0,
        );
        let runs = queue.clone();
        let runner = thread::spawn(move || runs.run(1));
        queue.close();
        assert!(handle.is_finished(), "{LEFT}");
        assert_eq!((drops.load(Relaxed), queue.num_alive()), (1, 0), "{LEFT}");
        runner.join().expect("it does not panic");
    })
}

/// A task waits. One thread wakes it, one runs the queue, and one closes it.
fn closing(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        twin::set(twin);
        let queue = Arc::new(Queue::new(Nobody, None));
        let drops = Arc::new(AtomicUsize::new(0));
        let place = Arc::new(Mutex::new(None::<Waker>));
        let (dropped, kept) = (Drops(drops.clone()), place.clone());
        let handle = queue.spawn(
            async move {
                let _dropped = dropped;
                poll_fn(move |cx| {
                    *kept.lock() = Some(cx.waker().clone());
                    Poll::<()>::Pending
                })
                .await;
            },
            0,
        );
        assert_eq!(queue.run(1), 1);
        let waker = place.lock().take().expect("it was polled");
        let wakes = thread::spawn(move || waker.wake());
        let runs = queue.clone();
        let runner = thread::spawn(move || runs.run(1));
        queue.close();
        assert!(handle.is_finished(), "{LEFT}");
        assert_eq!((drops.load(Relaxed), queue.num_alive()), (1, 0), "{LEFT}");
        wakes.join().expect("it does not panic");
        runner.join().expect("it does not panic");
        assert_eq!(queue.len(), 0, "{LEFT}");
    })
}
