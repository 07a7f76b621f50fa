//! The driver's watch and a foreign timer: whoever waits with the driver knows of the earliest deadline.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Wake, Waker};
use std::time::Duration;

use super::DEADLOCK;
use super::model::{Plan, run};
use crate::checker::explore;
use crate::machine;
use crate::runner::Check;
use crate::scheduler::timers::Timer;
use crate::sync::{Hole, thread, with_hole};

pub(super) const CHECKS: &[Check] = &[
    Check::model("remote-timer", || remote_timer(None)),
    Check::twin("remote-timer/timer-has-no-fence", DEADLOCK, || {
        remote_timer(Some(Flaw::TimerHasNoFence))
    })
    .loom_only(),
    Check::twin("remote-timer/driver-has-no-fence", DEADLOCK, || {
        remote_timer(Some(Flaw::DriverHasNoFence))
    })
    .loom_only(),
    Check::twin("remote-timer/driver-says-nothing", DEADLOCK, || {
        remote_timer(Some(Flaw::DriverSaysNothing))
    }),
    Check::twin("remote-timer/timer-marks-late", DEADLOCK, || {
        arm_beside_the_driver(Before::Nothing, None, Some("timer-marks-late"))
    }),
    Check::model("stale-mark", || stale_mark(None)),
    Check::twin("stale-mark/seen-without-lock", DEADLOCK, || {
        stale_mark(Some("stale-mark-seen-without-lock"))
    }),
    Check::model("moved-timer", || moved_timer(None)),
    Check::twin("moved-timer/cancel-keeps-next", DEADLOCK, || {
        moved_timer(Some("cancel-keeps-next"))
    })
    .loom_only(),
    Check::model("earlier-timer", || earlier_timer(None)),
    Check::twin("earlier-timer/timer-has-no-fence", DEADLOCK, || {
        earlier_timer(Some(Flaw::TimerHasNoFence))
    })
    .loom_only(),
    Check::twin("earlier-timer/driver-has-no-fence", DEADLOCK, || {
        earlier_timer(Some(Flaw::DriverHasNoFence))
    })
    .loom_only(),
    Check::twin("earlier-timer/driver-says-nothing", DEADLOCK, || {
        earlier_timer(Some(Flaw::DriverSaysNothing))
    }),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    TimerHasNoFence,
    DriverHasNoFence,
    /// It computes its time-out without publishing it.
    DriverSaysNothing,
}

struct Nobody(AtomicBool);

impl Wake for Nobody {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// A thread without a processor arms a timer while a worker without timers begins to wait with the driver. The worker may wait for ever
/// only if it will be told.
fn remote_timer(flaw: Option<Flaw>) -> usize {
    arm_beside_the_driver(Before::Nothing, flaw, None)
}

/// The same, and the worker with the driver has decided to wait for a later timer. Its own time-out never comes.
fn earlier_timer(flaw: Option<Flaw>) -> usize {
    arm_beside_the_driver(Before::Later, flaw, None)
}

/// The same, and there was a timer whose wheel is empty and marked still: the monitor takes the mark off.
fn stale_mark(twin: Option<&'static str>) -> usize {
    arm_beside_the_driver(Before::Cancelled, None, twin)
}

/// The same, where the timer is moved there from a later deadline, and the wheel wants to be looked at for one before that, which
/// was cancelled.
fn moved_timer(twin: Option<&'static str>) -> usize {
    arm_beside_the_driver(Before::Moved, None, twin)
}

/// What was armed on the same wheel before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Later,
    Cancelled,
    /// The timer itself.
    Moved,
}

/// How far off the foreign timer is.
const DEADLINE: Duration = Duration::from_secs(3600);

fn arm_beside_the_driver(before: Before, flaw: Option<Flaw>, twin: Option<&'static str>) -> usize {
    // More take a quarter of a minute.
    let preemptions = if before == Before::Moved { 2 } else { 3 };
    explore(preemptions, move || {
        let plan = Plan { driver: true, ..Plan::new(1, 0, twin) };
        run(plan, |model| {
        let shared = model.shared;
        let hole = |of| (flaw == Some(of)).then_some(Hole::NoFence);
        let (driver, remote) = (hole(Flaw::DriverHasNoFence), hole(Flaw::TimerHasNoFence));
        let waker = Waker::from(std::sync::Arc::new(Nobody(AtomicBool::new(false))));
        let [mut timer, mut other] = [Timer::new(), Timer::new()];
        match before {
            Before::Nothing => {}
            Before::Later => other.arm(shared, machine::now() + 2 * DEADLINE, &waker),
            Before::Cancelled | Before::Moved => {
                other.arm(shared, machine::now() + 2 * DEADLINE, &waker);
                shared.services.timers.drain(&mut Vec::new());
                shared.services.timers.unmark_empty();
                model.thread(|model| model.shared.services.timers.unmark_empty());
            }
        }
        let waits = thread::spawn(move || {
            with_hole(driver, || {
                let timeout = if flaw == Some(Flaw::DriverSaysNothing) {
                    shared.services.timers.parked_timeout()
                } else {
                    shared.services.timers.driver_timeout(true)
                };
                // With a time-out that is not too long it comes back by itself, in good time for the timer.
                if timeout.is_none_or(|timeout| timeout > DEADLINE * 3 / 2) {
                    let netpoll = shared.netpoll().expect("it is open");
                    let mut driver = netpoll.try_driver().expect("nobody else has the driver");
                    driver.poll(None, &mut Vec::new());
                }
                shared.services.timers.leave_driver();
            });
        });
        with_hole(remote, || {
            let deadline = machine::now() + DEADLINE;
            if before == Before::Moved {
                other.arm(shared, deadline - DEADLINE / 2, &waker);
                timer.arm(shared, deadline + DEADLINE, &waker);
                other.disarm();
                assert!(timer.reset(deadline), "it has not fired");
            } else {
                timer.arm(shared, deadline, &waker);
            }
        });
        waits.join().expect("the waiting thread panicked");
        drop((timer, other));
        model.close();
        });
    })
}
