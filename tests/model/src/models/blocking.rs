//! The blocking pool: each job is run or cancelled once, whoever leaves or goes idle meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use super::DEADLOCK;
use crate::blocking::{Config, Job, Pool};
use crate::checker::explore;
use crate::machine;
use crate::runner::Check;
use crate::sync::{Arc, Condvar, Hole, Mutex, thread, with_hole};

pub(super) const CHECKS: &[Check] = &[
    Check::model("blocking-idle", || blocking(Duration::MAX, None)),
    Check::twin("blocking-idle/submitter-has-no-fence", DEADLOCK, || {
        blocking(Duration::MAX, Some(Flaw::SubmitterHasNoFence))
    })
    .loom_only(),
    Check::twin("blocking-idle/thread-has-no-fence", DEADLOCK, || {
        blocking(Duration::MAX, Some(Flaw::ThreadHasNoFence))
    })
    .loom_only(),
    Check::model("blocking-leaving", || blocking(Duration::ZERO, None)),
    Check::twin("blocking-leaving/thread-has-no-fence", DEADLOCK, || {
        blocking(Duration::ZERO, Some(Flaw::ThreadHasNoFence))
    })
    .loom_only(),
    Check::model("blocking-time-out", || {
        blocking(Duration::from_micros(300), None)
    })
    .shuttle_only(),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    SubmitterHasNoFence,
    ThreadHasNoFence,
}

const JOBS: usize = if cfg!(executor_loom) { 2 } else { 10 };
/// How many threads find that their keep-alive has passed.
const TIMEOUTS: usize = if cfg!(executor_loom) { 0 } else { 5 };
const MAX_THREADS: usize = if cfg!(executor_loom) { 1 } else { 3 };

/// Counts what became of the jobs.
struct Book {
    runs: [AtomicUsize; JOBS],
    left: Mutex<usize>,
    done: Condvar,
}

struct Numbered(usize, Arc<Book>);

impl Job for Numbered {
    fn run(self) {
        let Numbered(number, book) = self;
        book.runs[number].fetch_add(1, SeqCst);
        let mut left = book.left.lock();
        *left -= 1;
        if *left == 0 {
            book.done.notify_all();
        }
    }

    fn cancel(self) {
        panic!("job {} was cancelled before the end", self.0);
    }
}

/// Two submitters, or one that submits twice, while threads run out of work.
fn blocking(keep_alive: Duration, flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        machine::reset(false);
        thread::grant_timeouts([TIMEOUTS, 0]);
        let book = Arc::new(Book {
            runs: Default::default(),
            left: Mutex::new(JOBS),
            done: Condvar::new(),
        });
        let hole = |of| (flaw == Some(of)).then_some(Hole::NoFence);
        let (in_thread, in_submit) = (
            hole(Flaw::ThreadHasNoFence),
            hole(Flaw::SubmitterHasNoFence),
        );
        let pool = Pool::new(Config {
            max_threads: MAX_THREADS,
            keep_alive,
            spawner: Box::new(move |body| {
                thread::spawn(move || with_hole(in_thread, body));
                Ok(())
            }),
        });
        let submit = |pool: &Pool<Numbered>, book: &Arc<Book>, number| {
            let job = Numbered(number, book.clone());
            assert!(pool.submit(job).is_ok(), "job {number} was refused");
        };
        with_hole(in_submit, || {
            submit(&pool, &book, 0);
            if cfg!(executor_shuttle) {
                let (pool, book) = (pool.clone(), book.clone());
                thread::spawn(move || {
                    (1..JOBS / 2).for_each(|number| submit(&pool, &book, number));
                });
            } else {
                (1..JOBS / 2).for_each(|number| submit(&pool, &book, number));
            }
            (JOBS / 2..JOBS).for_each(|number| submit(&pool, &book, number));
        });
        let mut left = book.left.lock();
        while *left != 0 {
            left = book.done.wait(left);
        }
        drop(left);
        pool.shutdown();
        assert!(pool.wait_idle(None));
        assert_eq!(pool.num_threads() + pool.num_idle_threads(), 0);
        for (number, runs) in book.runs.iter().enumerate() {
            assert_eq!(runs.load(SeqCst), 1, "runs of job {number}");
        }
    })
}
