//! Tells the thread sanitizer what the standard library orders. That library is not compiled with the sanitizer, so of its locks
//! the sanitizer sees the inlined half only: who lets a lock go releases, but who has waited for it does not acquire, and a
//! correct program is reported.
//!
//! `ci/tsan.sh` links each program with this. The linker's `--wrap` puts these functions in the place of the library's, whose
//! mangled names the script fills in for the words in braces; each calls the real one and says what it has ordered. Only what
//! each function promises is said, of its own address, so that a race is still one.
//!
//! One thing is more than promised: a decrement of an `Arc`'s count acquires as well as releases. `Arc` has an acquire fence where
//! that is needed, before it frees; the sanitizer knows no fences.

use std::ffi::c_void;

type Address = *const c_void;

unsafe extern "C" {
    fn __tsan_acquire(address: Address);
    fn __tsan_release(address: Address);
    fn __real___tsan_atomic64_fetch_sub(counter: *mut u64, by: u64, order: i32) -> u64;
}

unsafe extern "Rust" {
    #[link_name = "__real_{lock_contended}"]
    fn lock_contended(mutex: Address);
    #[link_name = "__real_{read_contended}"]
    fn read_contended(lock: Address);
    #[link_name = "__real_{write_contended}"]
    fn write_contended(lock: Address);
    #[link_name = "__real_{condvar_wait}"]
    fn condvar_wait(condvar: Address, mutex: Address);
    #[link_name = "__real_{condvar_wait_timeout}"]
    fn condvar_wait_timeout(condvar: Address, mutex: Address, seconds: u64, nanos: u32) -> bool;
    #[link_name = "__real_{barrier_wait}"]
    fn barrier_wait(barrier: Address) -> bool;
    #[link_name = "__real_{once_call}"]
    fn once_call(once: Address, ignore_poison: bool, init: &mut dyn FnMut(Address));
    #[link_name = "__real_{scoped_thread_ends}"]
    fn scoped_thread_ends(scope: Address, panicked: bool);
    #[link_name = "__real_{park}"]
    fn park();
    #[link_name = "__real_{park_timeout}"]
    fn park_timeout(seconds: u64, nanos: u32);
}

/// In LLVM's numbering.
const RELEASE: i32 = 3;
const ACQUIRE_RELEASE: i32 = 4;

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___tsan_atomic64_fetch_sub(
    counter: *mut u64,
    by: u64,
    order: i32,
) -> u64 {
    let order = if order == RELEASE {
        ACQUIRE_RELEASE
    } else {
        order
    };
    unsafe { __real___tsan_atomic64_fetch_sub(counter, by, order) }
}

#[unsafe(export_name = "__wrap_{lock_contended}")]
unsafe fn wrap_lock_contended(mutex: Address) {
    unsafe {
        lock_contended(mutex);
        __tsan_acquire(mutex);
    }
}

#[unsafe(export_name = "__wrap_{read_contended}")]
unsafe fn wrap_read_contended(lock: Address) {
    unsafe {
        read_contended(lock);
        __tsan_acquire(lock);
    }
}

#[unsafe(export_name = "__wrap_{write_contended}")]
unsafe fn wrap_write_contended(lock: Address) {
    unsafe {
        write_contended(lock);
        __tsan_acquire(lock);
    }
}

/// The lock is let go and taken again within.
#[unsafe(export_name = "__wrap_{condvar_wait}")]
unsafe fn wrap_condvar_wait(condvar: Address, mutex: Address) {
    unsafe {
        __tsan_release(mutex);
        condvar_wait(condvar, mutex);
        __tsan_acquire(mutex);
    }
}

#[unsafe(export_name = "__wrap_{condvar_wait_timeout}")]
unsafe fn wrap_condvar_wait_timeout(
    condvar: Address,
    mutex: Address,
    seconds: u64,
    nanos: u32,
) -> bool {
    unsafe {
        __tsan_release(mutex);
        let notified = condvar_wait_timeout(condvar, mutex, seconds, nanos);
        __tsan_acquire(mutex);
        notified
    }
}

#[unsafe(export_name = "__wrap_{barrier_wait}")]
unsafe fn wrap_barrier_wait(barrier: Address) -> bool {
    unsafe {
        __tsan_release(barrier);
        let leads = barrier_wait(barrier);
        __tsan_acquire(barrier);
        leads
    }
}

/// Whoever comes later finds the state word as the real function leaves it, so the release comes before that, from within.
#[unsafe(export_name = "__wrap_{once_call}")]
unsafe fn wrap_once_call(once: Address, ignore_poison: bool, init: &mut dyn FnMut(Address)) {
    let mut then_release = |state: Address| {
        init(state);
        unsafe { __tsan_release(once) };
    };
    unsafe {
        once_call(once, ignore_poison, &mut then_release);
        __tsan_acquire(once);
    }
}

/// The counter that the scope waits for is one of its first words.
#[unsafe(export_name = "__wrap_{scoped_thread_ends}")]
unsafe fn wrap_scoped_thread_ends(scope: Address, panicked: bool) {
    unsafe {
        (0..3).for_each(|word| __tsan_release(scope.byte_add(8 * word)));
        scoped_thread_ends(scope, panicked);
    }
}

#[unsafe(export_name = "__wrap_{park}")]
unsafe fn wrap_park() {
    unsafe { park() };
    acquire_own_token();
}

#[unsafe(export_name = "__wrap_{park_timeout}")]
unsafe fn wrap_park_timeout(seconds: u64, nanos: u32) {
    unsafe { park_timeout(seconds, nanos) };
    acquire_own_token();
}

/// The word that `unpark` releases is one of those of the thread's handle, behind its two counts.
fn acquire_own_token() {
    let thread = std::thread::current();
    let handle: Address = unsafe { std::mem::transmute_copy(&thread) };
    (4..14).for_each(|half| unsafe { __tsan_acquire(handle.byte_add(4 * half)) });
}
