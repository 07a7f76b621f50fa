//! What a `JoinSet` and its tasks share, and its models: tasks finish or wait while the set looks, is aborted, or ends.

use std::collections::VecDeque;
use std::sync::Arc as PlainArc;
use std::task::{Context, Wake, Waker};

use crate::checker::explore;
use crate::group::Group;
use crate::runner::Check;
use crate::scheduler::models::DEADLOCK;
use crate::sync::{Arc, atomic::AtomicUsize, atomic::Ordering, thread};
use crate::tasks::Priority;
use crate::twin;

pub(crate) const CHECKS: &[Check] = &[
    Check::model("join-set", || explore(3, || joining(None))),
    Check::twin("join-set/looks-and-leaves-no-waker", DEADLOCK, || {
        explore(3, || joining(Some(Flaw::LeavesNoWaker)))
    }),
    Check::twin("join-set/keeps-the-first-waker", DEADLOCK, || {
        explore(3, || joining(Some(Flaw::KeepsTheFirstWaker)))
    }),
    Check::model("join-set-aborted", || explore(3, || aborting(false))),
    Check::twin("join-set-aborted/after-its-end", DEADLOCK, || {
        explore(3, || aborting(true))
    }),
    Check::model("join-set-aborted-in-a-queue", || {
        explore(3, || queued(None))
    }),
    Check::twin("join-set-aborted-in-a-queue/forgets-it", DEADLOCK, || {
        explore(3, || queued(Some("group-lists-nothing")))
    }),
    Check::model("join-set-lifted", || explore(3, || lifting(None))),
    Check::twin(
        "join-set-lifted/forgets-what-is-queued",
        OTHER_CLASS,
        || explore(3, || lifting(Some("group-lists-nothing"))),
    ),
    Check::twin("join-set-lifted/reads-the-level-once", OTHER_CLASS, || {
        explore(3, || lifting(Some("group-reads-the-level-once")))
    }),
    Check::model("join-set-ends", || explore(3, || ending(false))),
    Check::twin("join-set-ends/closes-not", KEPT, || {
        explore(3, || ending(true))
    }),
];

const KEPT: &str = "an outcome that nobody will take is kept";

const OTHER_CLASS: &str = "a task has another class than its set";

const TASKS: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    LeavesNoWaker,
    KeepsTheFirstWaker,
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: PlainArc<Self>) {
        self.0.unpark();
    }
}

fn unpark_me() -> Waker {
    Waker::from(PlainArc::new(Unpark(thread::current())))
}

/// Each completion comes out once, though the set is polled with another waker each time, as after it has moved to another task.
fn joining(flaw: Option<Flaw>) {
    let group = Arc::new(Group::<_, Waker>::new());
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let group = group.clone();
            thread::spawn(move || group.complete(group.place(), number))
        })
        .collect();
    let mut seen = [false; TASKS];
    let mut taken = VecDeque::new();
    let elsewhere = Waker::noop();
    let mut looks = 0;
    while seen.contains(&false) {
        looks += 1;
        // The first look is another task's, who has gone when the completion comes.
        let waker = match flaw {
            Some(Flaw::KeepsTheFirstWaker) => elsewhere.clone(),
            _ if looks == 1 => elsewhere.clone(),
            _ => unpark_me(),
        };
        let found = match flaw {
            Some(Flaw::LeavesNoWaker) => group.try_take(&mut taken),
            _ => group.take(&mut taken, &mut Context::from_waker(&waker)),
        };
        assert_eq!(found, !taken.is_empty());
        for number in taken.drain(..) {
            assert!(!std::mem::replace(&mut seen[number], true), "it came twice");
        }
        if !found && looks > 1 {
            thread::park();
        }
    }
    for task in tasks {
        task.join().expect("it ends");
    }
}

/// A task is pending while its set is aborted: it finds that at once, or is woken and finds it. One that is spawned later goes on.
fn aborting(late: bool) {
    let group = Arc::new(Group::<(), Waker>::new());
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (group, mut place) = (group.clone(), group.place());
            thread::spawn(move || {
                let waker = unpark_me();
                // As the polls of a task: the question first, then what is pending.
                while !group.is_aborted(place) && group.wait(&mut place, || waker.clone(), |_| ()) {
                    thread::park();
                }
                group.complete(place, ());
            })
        })
        .collect();
    if late {
        group.close();
    }
    group.abort(Waker::wake);
    assert!(!group.is_aborted(group.place()));
    for task in tasks {
        task.join().expect("it ends");
    }
}

/// A background task lies in its queue when its set is aborted: it leaves the queue, and finds that.
fn queued(flaw: Option<&'static str>) {
    twin::set(flaw);
    let group = Arc::new(Group::<(), Waker>::new());
    let place = group.place();
    group.list(unpark_me(), |_| true);
    let owner = {
        let group = group.clone();
        thread::spawn(move || group.abort(Waker::wake))
    };
    while !group.is_aborted(place) {
        thread::park();
    }
    group.complete(place, ());
    owner.join().expect("it ends");
}

/// Two tasks are pending, and one lies in a queue, while their set is awaited by one task, and then by another: all have the class
/// of the second.
fn lifting(flaw: Option<&'static str>) {
    twin::set(flaw);
    let group = Arc::new(Group::<(), usize>::new());
    let levels: Arc<[AtomicUsize; TASKS + 1]> = Arc::new([0; TASKS + 1].map(AtomicUsize::new));
    let set_level = |levels: &[AtomicUsize; TASKS + 1], number: usize, class: Priority| {
        levels[number].store(class as usize, Ordering::Release);
    };
    group.list(TASKS, |_| true);
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let (group, levels, mut place) = (group.clone(), levels.clone(), group.place());
            let lift = move |class| set_level(&levels, number, class);
            thread::spawn(move || assert!(group.wait(&mut place, || number, lift)))
        })
        .collect();
    for class in [Priority::Interactive, Priority::Normal] {
        group.lift(class, |number| set_level(&levels, number, class));
    }
    for task in tasks {
        task.join().expect("it ends");
    }
    for level in levels.iter() {
        let level = level.load(Ordering::Relaxed);
        assert_eq!(level, Priority::Normal as usize, "{OTHER_CLASS}");
    }
}

/// Counts its drop.
struct Outcome(Arc<AtomicUsize>);

impl Drop for Outcome {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Tasks finish while the set ends: what nobody took is dropped, and once, though the tasks still have the queue.
fn ending(closes_not: bool) {
    let group = Arc::new(Group::<_, Waker>::new());
    let dropped = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (group, outcome) = (group.clone(), Outcome(dropped.clone()));
            thread::spawn(move || group.complete(group.place(), outcome))
        })
        .collect();
    let mut taken = VecDeque::new();
    group.take(&mut taken, &mut Context::from_waker(Waker::noop()));
    drop(taken);
    if !closes_not {
        group.close();
    }
    for task in tasks {
        task.join().expect("it ends");
    }
    assert_eq!(dropped.load(Ordering::Relaxed), TASKS, "{KEPT}");
    drop(group);
    assert_eq!(dropped.load(Ordering::Relaxed), TASKS);
}
