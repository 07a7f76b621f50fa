//! One timer, as a future holds it: arming it, moving it, taking it off its wheel.

use std::task::Waker;

use super::TimerWheel;
use super::wheel::Key;
use crate::clock::{self, Instant};
use crate::scheduler::processor::Core;
use crate::scheduler::{Shared, this_thread};

/// One timer. Disarmed on drop.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    armed: Option<Armed>,
}

#[derive(Debug)]
struct Armed {
    shared: &'static Shared,
    wheel: u32,
    key: Key,
    deadline: u64,
}

impl Armed {
    fn wheel(&self) -> &'static TimerWheel {
        self.shared.services.timers.wheel(self.wheel as usize)
    }
}

impl Timer {
    pub(crate) const fn new() -> Timer {
        Timer { armed: None }
    }

    /// Arms the timer: `waker` is woken at `deadline` or up to about 65 µs later, never before. If
    /// it is armed already it stays on its wheel, and only what has changed is changed.
    pub(crate) fn arm(&mut self, shared: &'static Shared, deadline: Instant, waker: &Waker) {
        let deadline = clock::tick_after(deadline);
        if let Some(armed) = &mut self.armed {
            if armed.deadline == deadline
                && !armed.shared.is_closed_by_fork()
                && rearm(armed, waker)
            {
                return;
            }
            self.disarm();
        }
        self.arm_at(shared, deadline, waker);
    }

    /// False: the scheduler is closed, and the waker was woken instead.
    #[inline]
    fn arm_at(&mut self, shared: &'static Shared, deadline: u64, waker: &Waker) -> bool {
        let processor = this_thread::with_core(shared, Core::wheel).flatten();
        let (wheel, key, tell) = shared
            .services
            .timers
            .arm(processor, deadline, waker.clone());
        self.armed = Some(Armed {
            shared,
            wheel: wheel as u32,
            key,
            deadline,
        });
        if shared.is_closed() {
            // It may have missed the drain of a shutdown: nobody would fire it.
            self.disarm();
            waker.wake_by_ref();
            return false;
        }
        if tell {
            shared.wake_driver();
        }
        true
    }

    /// Moves an armed timer to another deadline, keeping its waker. False if it is not armed (it
    /// has fired, or its runtime has shut down, and its waker was woken by that).
    ///
    /// To a later deadline in place: whoever waits for the wheel looks at worst too early. To an
    /// earlier one by way of this thread's own wheel, or the remote one: a sleeping owner of
    /// another wheel would not hear of it.
    pub(crate) fn reset(&mut self, deadline: Instant) -> bool {
        let Some(armed) = self
            .armed
            .as_mut()
            .filter(|armed| !armed.shared.is_closed_by_fork())
        else {
            return false;
        };
        let deadline = clock::tick_after(deadline);
        if deadline >= armed.deadline {
            armed.deadline = deadline;
            return armed.wheel().wheel.lock().reset(armed.key, deadline);
        }
        let shared = armed.shared;
        let waker = armed.wheel().cancel(armed.key);
        self.armed = None;
        let Some(waker) = waker else { return false };
        self.arm_at(shared, deadline, &waker)
    }

    /// Takes the timer off its wheel.
    pub(crate) fn disarm(&mut self) {
        if let Some(armed) = self.armed.take() {
            if armed.shared.is_closed_by_fork() {
                return;
            }
            // Foreign code (`drop`) runs outside the lock.
            drop(armed.wheel().cancel(armed.key));
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// The timer is armed for this very deadline: makes sure that it wakes `waker`. False: it has
/// fired.
fn rearm(armed: &Armed, waker: &Waker) -> bool {
    let wheel = armed.wheel();
    match wheel.wheel.lock().waker(armed.key) {
        None => return false,
        Some(current) if current.will_wake(waker) => return true,
        Some(_) => {}
    }
    // Foreign code (`clone`, `drop`) runs outside the lock.
    let waker = waker.clone();
    let replaced = wheel.wheel.lock().replace_waker(armed.key, waker);
    match replaced {
        Ok(old) => {
            drop(old);
            true
        }
        Err(unused) => {
            drop(unused);
            false
        }
    }
}
