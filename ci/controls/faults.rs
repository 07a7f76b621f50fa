//! One seeded fault per name, each in tasks on the workers of a runtime: `faults NAME`. The scripts that run the suite under a
//! tool first see here that the tool sees.

use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

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
    runtime.block_on(runtime.spawn(async move { fault() })).unwrap();
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

// SAFETY: none; this is the fault.
unsafe impl Sync for Unguarded {}

/// Two tasks meet, with nothing that orders them, and write.
fn data_race(runtime: &Runtime) {
    let (value, met) = (Arc::new(Unguarded(UnsafeCell::new(0))), Arc::new(AtomicUsize::new(0)));
    let tasks = [(); 2].map(|()| {
        let (value, met) = (value.clone(), met.clone());
        runtime.spawn(async move {
            met.fetch_add(1, Ordering::Relaxed);
            while met.load(Ordering::Relaxed) < 2 {
                std::hint::spin_loop();
            }
            // SAFETY: none; this is the fault.
            unsafe { *value.0.get() += 1 };
        })
    });
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
}

/// The same shape with a lock, a value that moves between threads, and one that is freed once.
fn nothing(runtime: &Runtime) {
    let sum = Arc::new(Mutex::new(Box::new(0)));
    let tasks: Vec<_> = (0..1000)
        .map(|n| {
            let sum = sum.clone();
            runtime.spawn(async move {
                executor::task::yield_now().await;
                **sum.lock().unwrap() += n;
                Box::new(n)
            })
        })
        .collect();
    let returned: usize = tasks.into_iter().map(|task| *runtime.block_on(task).unwrap()).sum();
    assert_eq!(returned, **sum.lock().unwrap());
}
