//! From signal handlers to those who wait.
//!
//! A signal handler may take no lock, so it wakes nobody itself. One thread of the process does it
//! (Go has one for signals, too). No runtime takes part, so it does not matter which of them end.
//!
//! # Protocol
//!
//! 1. Whoever wants to hear of a signal first starts the reader thread, if this process has none: it
//!    makes a pair of sockets, publishes the handlers' end in [`WRITE_END`], and gives the other to
//!    the thread. Then, once for each signal, it installs the handler, which stays for good.
//! 2. The handler sets `pending` of its signal's slot, then writes one byte, without waiting. If
//!    there is no room, then there are bytes that the reader has yet to read.
//! 3. The reader waits for bytes, and takes them. Afterwards it takes `pending` of every slot. For
//!    each that was set, it adds one to the slot's count and wakes all listeners. No signal is
//!    missed: its flag was set before its byte was written, or, without room, before a byte was
//!    read.
//! 4. A [`Listener`] knows the count that it has seen. Under the slot's lock it compares the two,
//!    and leaves a waker if they are equal. The reader changes the count and takes the wakers under
//!    the same lock, so no wake is lost.
//! 5. If there is no listener, the reader leaves the signal to the next one, which is ready from the
//!    beginning. (The real tokio does so if its runtime has not come to read the signal yet.)
//! 6. A listener that is dropped takes its waker along.
//! 7. A child made by `fork` has the handlers and not the thread. Its first step 1 starts over with
//!    a new pair of sockets, so that it does not get its parent's signals.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read};
use std::mem;
use std::os::fd::IntoRawFd;
use std::os::raw::c_int;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::thread;

use real::task::coop::poll_proceed;

/// Where handlers write. It is never closed. `Relaxed`: it is set before a handler can run, by
/// whoever installs the first one; a handler that still sees the socket of a parent process (step
/// 7) does no harm.
static WRITE_END: AtomicI32 = AtomicI32::new(-1);

/// The process that has the reader thread.
static READER: Mutex<Option<u32>> = Mutex::new(None);

/// The slots of all signals, that of signal 1 first.
static SLOTS: LazyLock<Box<[Slot]>> = LazyLock::new(|| {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "illumos"))]
    let highest = libc::SIGRTMAX();
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "illumos")))]
    let highest = 33;
    (0..highest).map(|_| Slot::default()).collect()
});

/// One kind of signal.
#[derive(Default)]
struct Slot {
    /// Set by the handler, taken by the reader. `Release` and `Acquire` are what the protocol
    /// needs if the sockets order nothing; they do.
    pending: AtomicBool,
    is_installed: Mutex<bool>,
    listeners: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    /// How often the reader has found the signal.
    count: u64,
    /// Whether no listener has heard of the last one.
    is_unheard: bool,
    alive: usize,
    next_key: u64,
    wakers: HashMap<u64, Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Catches a signal from now on.
///
/// # Errors
///
/// For signals that cannot be caught, and when the operating system refuses.
#[cfg(feature = "process")]
pub(crate) fn install(signal: c_int) -> io::Result<()> {
    slot_with_handler(signal).map(drop)
}

/// Steps 1 and 7.
fn slot_with_handler(signal: c_int) -> io::Result<&'static Slot> {
    if signal <= 0 || signal_hook_registry::FORBIDDEN.contains(&signal) {
        let text = format!("Refusing to register signal {signal}");
        return Err(io::Error::other(text));
    }
    let Some(slot) = SLOTS.get(signal as usize - 1) else {
        return Err(io::Error::other("signal too large"));
    };
    start_reader()?;
    let mut is_installed = lock(&slot.is_installed);
    if !*is_installed {
        // SAFETY: an action must only do what a signal handler may. This one accesses two atomics
        // and calls `send`, which POSIX allows; the registry keeps `errno`.
        unsafe { signal_hook_registry::register(signal, move || handle(slot)) }?;
        *is_installed = true;
    }
    Ok(slot)
}

/// Step 2.
fn handle(slot: &Slot) {
    slot.pending.store(true, Ordering::Release);
    let byte = 1_u8;
    // Elsewhere the standard library sets an option of the socket.
    #[cfg(not(target_vendor = "apple"))]
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    #[cfg(target_vendor = "apple")]
    let flags = libc::MSG_DONTWAIT;
    // SAFETY: the pointer is to a byte of this function's, and the length is one. Whatever the
    // descriptor is, the call is sound.
    unsafe {
        libc::send(
            WRITE_END.load(Ordering::Relaxed),
            (&raw const byte).cast(),
            1,
            flags,
        )
    };
}

fn start_reader() -> io::Result<()> {
    let mut reader = lock(&READER);
    if *reader == Some(process::id()) {
        return Ok(());
    }
    let (receiver, sender) = UnixStream::pair()?;
    thread::Builder::new()
        .name("tokio-signals".into())
        .spawn(move || read(receiver))?;
    WRITE_END.store(sender.into_raw_fd(), Ordering::Relaxed);
    *reader = Some(process::id());
    Ok(())
}

/// Step 3: what the reader thread does.
fn read(mut receiver: UnixStream) {
    let mut bytes = [0; 256];
    loop {
        match receiver.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // Somebody has closed a descriptor that is not theirs.
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        for (signal, slot) in (1..).zip(SLOTS.iter()) {
            if slot.pending.swap(false, Ordering::Acquire) {
                tell(signal, slot);
            }
        }
    }
}

fn tell(signal: c_int, slot: &Slot) {
    #[cfg(feature = "process")]
    if signal == libc::SIGCHLD {
        crate::process::reap_orphans();
    }
    #[cfg(not(feature = "process"))]
    let _ = signal;

    let wakers = {
        let mut listeners = lock(&slot.listeners);
        listeners.count += 1;
        listeners.is_unheard = listeners.alive == 0;
        mem::take(&mut listeners.wakers)
    };
    for waker in wakers.into_values() {
        // A waker is anybody's code, and the others must be woken too.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
            // Its destructor might panic, too.
            mem::forget(payload);
        }
    }
}

/// Hears of one kind of signal.
pub(crate) struct Listener {
    slot: &'static Slot,
    key: u64,
    /// The count at the last signal that was reported, or at the beginning.
    seen: u64,
}

/// Catches a signal from now on, and hears of it.
///
/// # Errors
///
/// For signals that cannot be caught, and when the operating system refuses.
pub(crate) fn listen(signal: c_int) -> io::Result<Listener> {
    let slot = slot_with_handler(signal)?;
    let mut listeners = lock(&slot.listeners);
    let key = listeners.next_key;
    listeners.next_key += 1;
    listeners.alive += 1;
    let unheard = u64::from(mem::take(&mut listeners.is_unheard));
    Ok(Listener {
        slot,
        key,
        seen: listeners.count - unheard,
    })
}

impl Listener {
    /// Step 4.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let progress = ready!(poll_proceed(cx));
        // Neither cloned nor dropped under the lock: both may be foreign code.
        let waker = cx.waker().clone();
        let mut listeners = lock(&self.slot.listeners);
        if listeners.count != self.seen {
            self.seen = listeners.count;
            progress.made_progress();
            return Poll::Ready(());
        }
        let old = listeners.wakers.insert(self.key, waker);
        drop(listeners);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut listeners = lock(&self.slot.listeners);
        listeners.alive -= 1;
        let waker = listeners.wakers.remove(&self.key);
        drop(listeners);
        drop(waker);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}
