//! One seeded fault per name, each in tasks on the workers of a runtime: `faults NAME`. The scripts that run the suite under a
//! tool first see here that the tool sees.

use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, OnceLock, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use executor::{Builder, Runtime};

fn main() {
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    match std::env::args().nth(1).as_deref() {
        Some("nothing") => nothing(&runtime),
        Some("use_after_free") => on_a_worker(&runtime, use_after_free),
        Some("invalid_read") => on_a_worker(&runtime, invalid_read),
        Some("uninitialised") => on_a_worker(&runtime, uninitialised),
        Some("leak") => on_a_worker(&runtime, leak),
        Some("data_race") => data_race(&runtime),
        other => panic!("no such fault: {other:?}"),
    }
    drop(runtime);
    println!("ended");
}

fn on_a_worker(runtime: &Runtime, fault: fn()) {
    runtime
        .block_on(runtime.spawn(async move { fault() }))
        .unwrap();
}

#[inline(never)]
fn use_after_free() {
    let freed = Box::into_raw(Box::new(black_box(1_u64)));
    // SAFETY: none; this is the fault.
    unsafe {
        drop(Box::from_raw(freed));
        black_box(freed.read_volatile());
    }
}

#[inline(never)]
fn invalid_read() {
    let values = vec![black_box(1_u64); 4];
    // SAFETY: none; this is the fault.
    black_box(unsafe { values.as_ptr().add(4).read_volatile() });
}

/// A decision by a value that nobody has written.
#[inline(never)]
fn uninitialised() {
    let value = Box::<u64>::new_uninit();
    // SAFETY: none; this is the fault.
    if unsafe { value.as_ptr().read_volatile() } == black_box(7) {
        println!("seven");
    }
}

#[inline(never)]
fn leak() {
    for value in 0..64_u64 {
        std::mem::forget(black_box(Box::new(value)));
    }
}

struct Unguarded(UnsafeCell<usize>);

// SAFETY: none; `data_race` is the fault, the others order what they do.
unsafe impl Sync for Unguarded {}

impl Unguarded {
    #[inline(never)]
    fn add(&self) {
        // SAFETY: as above.
        unsafe { *self.0.get() += 1 };
    }
}

/// Two tasks meet, with nothing that orders them, and write; a hundred times, as on a busy machine one of them may lose its
/// CPU between the two for so long that the tool has forgotten the other.
fn data_race(runtime: &Runtime) {
    let (value, met) = (
        Arc::new(Unguarded(UnsafeCell::new(0))),
        Arc::new(AtomicUsize::new(0)),
    );
    let tasks = [(); 2].map(|()| {
        let (value, met) = (value.clone(), met.clone());
        runtime.spawn(async move {
            for round in 1..=100 {
                met.fetch_add(1, Ordering::Relaxed);
                while met.load(Ordering::Relaxed) < 2 * round {
                    std::hint::spin_loop();
                }
                value.add();
            }
        })
    });
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
}

/// The same shape without a fault: unguarded values, ordered by each of the standard library's ways. A tool that does not know
/// one of them reports it.
fn nothing(runtime: &Runtime) {
    let tasks: Vec<_> = (0..1000)
        .map(|n| {
            runtime.spawn(async move {
                executor::task::yield_now().await;
                Box::new(n)
            })
        })
        .collect();
    let sum: usize = tasks
        .into_iter()
        .map(|task| *runtime.block_on(task).unwrap())
        .sum();
    assert_eq!(sum, 499_500);
    for _ in 0..200 {
        locks();
        barrier();
        once();
        park();
        channels();
        counts();
    }
}

const ROUNDS: usize = 50;

fn locks() {
    let (lock, condvar, rwlock) = (Mutex::new(0), Condvar::new(), RwLock::new(0));
    thread::scope(|scope| {
        for turn in 0..3 {
            let (lock, condvar, rwlock) = (&lock, &condvar, &rwlock);
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    *rwlock.write().unwrap() += 1;
                    black_box(*rwlock.read().unwrap());
                    let mut guard = lock.lock().unwrap();
                    while *guard % 3 != turn {
                        guard = match turn {
                            0 => condvar.wait(guard).unwrap(),
                            _ => {
                                condvar
                                    .wait_timeout(guard, Duration::from_secs(1))
                                    .unwrap()
                                    .0
                            }
                        };
                    }
                    *guard += 1;
                    condvar.notify_all();
                }
            });
        }
    });
    assert_eq!(
        (lock.into_inner().unwrap(), rwlock.into_inner().unwrap()),
        (3 * ROUNDS, 3 * ROUNDS)
    );
}

fn barrier() {
    let (value, barrier) = (Unguarded(UnsafeCell::new(0)), Barrier::new(2));
    thread::scope(|scope| {
        for turn in 0..2 {
            let (value, barrier) = (&value, &barrier);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    if round % 2 == turn {
                        value.add();
                    }
                    barrier.wait();
                }
            });
        }
    });
    assert_eq!(value.0.into_inner(), ROUNDS);
}

fn once() {
    let value = OnceLock::new();
    thread::scope(|scope| {
        (0..3)
            .for_each(|_| drop(scope.spawn(|| assert_eq!(**value.get_or_init(|| Box::new(7)), 7))));
    });
}

fn park() {
    let (value, turn) = (Unguarded(UnsafeCell::new(0)), AtomicUsize::new(0));
    thread::scope(|scope| {
        let parked = scope.spawn(|| {
            while {
                thread::park();
                turn.load(Ordering::Relaxed) == 0
            } {}
            value.add();
        });
        value.add();
        turn.store(1, Ordering::Relaxed);
        parked.thread().unpark();
    });
    assert_eq!(value.0.into_inner(), 2);
}

fn channels() {
    let (unbounded, values) = mpsc::channel();
    let (rendezvous, acknowledged) = mpsc::sync_channel(0);
    let thread = thread::spawn(move || {
        for value in values {
            let value: Box<usize> = value;
            rendezvous.send(value).unwrap();
        }
    });
    for value in 0..ROUNDS {
        unbounded.send(Box::new(value)).unwrap();
        assert_eq!(*acknowledged.recv().unwrap(), value);
    }
    drop(unbounded);
    thread.join().unwrap();
}

/// The last of a value's holders frees it.
fn counts() {
    let value = Arc::new(Unguarded(UnsafeCell::new(0)));
    let other = value.clone();
    let thread = thread::spawn(move || {
        other.add();
        drop(other);
    });
    drop(value);
    thread.join().unwrap();
}
