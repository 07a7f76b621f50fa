//! This thread is a worker, until a task that it polls closes the scheduler.

use super::*;
use crate::tasks::Meta;

/// A task that calls `f` when it is polled.
fn task(f: impl FnOnce() + Send + 'static) -> Runnable {
    let (runnable, task) = async_task::Builder::new()
        .metadata(Meta::new(Id::next(), 0, 0))
        .spawn(|_| async { f() }, |_| ());
    task.detach();
    Runnable::new(runnable)
}

impl Yard {
    /// Works with a core that lies here, and begins as one that searches.
    fn run(&self) {
        self.shared.services.lock().netpoll = Some(Netpoll::new().unwrap());
        let core = self.shared.idle.pick_up().unwrap();
        assert!(self.shared.idle.begin_search(usize::MAX));
        worker::run(self.shared, Some(core), true);
    }

    /// A task that closes the scheduler, and tells whether this worker has been woken before.
    fn closes(&self, sleeper: &Arc<Sleeper<Box<Core>>>) -> (Runnable, Arc<Mutex<Option<bool>>>) {
        let told = Arc::new(Mutex::new(None));
        let tell = told.clone();
        let (shared, sleeper) = (self.shared, sleeper.clone());
        let runnable = task(move || {
            *tell.lock() = Some(sleeper.has_gift());
            shared.closed.store(true, Ordering::SeqCst);
        });
        (runnable, told)
    }
}

#[test]
fn a_searcher_that_finds_more_than_one_wakes_the_next_before_it_polls() {
    for others in [0, 1, 5] {
        let yard = Yard::new(2);
        let sleepers = yard.sleepers(1);
        let (closes, woken) = yard.closes(&sleepers[0]);
        yard.shared.global.push(closes);
        (0..others).for_each(|_| yard.shared.global.push(token().1));
        yard.run();
        assert_eq!(*woken.lock(), Some(others > 0), "{others} others");
        assert_eq!(yard.shared.idle.num_searching(), usize::from(others > 0));
        assert_eq!(
            yard.take_global().len(),
            others,
            "a closed scheduler begins no poll"
        );
        // The worker has laid its core down; the other one's is in its hands.
        assert_eq!(yard.shared.idle.num_lying(), if others > 0 { 1 } else { 2 });
        assert!(!local::holds_core());
    }
}
