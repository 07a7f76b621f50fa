//! What a `block_on` that waits pays for the search for deadlocks: nothing, while that is off.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use executor::runtime::{Builder, OnDeadlock};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: it does what the system's does.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static WAKER: Mutex<Option<Waker>> = Mutex::new(None);
static END: AtomicBool = AtomicBool::new(false);

/// Allocations of a `block_on` whose future is pending once, and wakes itself or lets another thread do that later.
fn allocations(what: OnDeadlock, waits: bool) -> usize {
    let runtime = Builder::new().worker_threads(1).on_deadlock(what);
    let runtime = runtime.build().unwrap();
    let once = || {
        let mut is_pending = true;
        let before = ALLOCATIONS.get();
        runtime.block_on(poll_fn(|cx| {
            if !std::mem::replace(&mut is_pending, false) {
                return Poll::Ready(());
            }
            if waits {
                *WAKER.lock().unwrap() = Some(cx.waker().clone());
            } else {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        }));
        ALLOCATIONS.get() - before
    };
    // What is made once in a thread is made by the first.
    once();
    (0..20).map(|_| once()).sum()
}

#[test]
fn the_search_for_deadlocks_costs_a_wait_no_allocation_while_it_is_off() {
    let _turn = crate::turn();
    let helper = thread::spawn(|| {
        while !END.load(SeqCst) {
            let waker = WAKER.lock().unwrap().take();
            thread::sleep(Duration::from_millis(2));
            waker.into_iter().for_each(Waker::wake);
        }
    });
    let off = [false, true].map(|waits| allocations(OnDeadlock::Ignore, waits));
    assert_eq!(off[0], off[1], "to wait costs nothing");
    let on = allocations(OnDeadlock::Report, true);
    assert!(on > off[1], "else this test would see nothing");
    END.store(true, SeqCst);
    helper.join().unwrap();
}
