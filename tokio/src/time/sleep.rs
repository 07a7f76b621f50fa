//! [`Sleep`]: ready once an instant has passed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::timer::Timer;
use super::{Duration, Instant, after};

/// Waits until `deadline`.
///
/// # Panics
///
/// Outside a runtime, and in one without timers.
#[doc(alias = "delay_until")]
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(deadline)
}

/// Waits until `duration` has passed, counted from this call. At most some 30 years.
///
/// # Panics
///
/// Outside a runtime, and in one without timers.
#[doc(alias = "delay_for")]
#[doc(alias = "wait")]
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::new(after(duration))
}

pin_project! {
    /// The future of [`sleep`] and [`sleep_until`].
    ///
    /// # Panics
    ///
    /// A poll does, if the runtime in which it was made has shut down.
    #[project(!Unpin)]
    #[doc(alias = "Delay")]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Sleep {
        timer: Timer,
    }
}

impl Sleep {
    #[track_caller]
    pub(super) fn new(deadline: Instant) -> Sleep {
        Sleep {
            timer: Timer::new(deadline),
        }
    }

    /// The instant at which this is ready.
    pub fn deadline(&self) -> Instant {
        self.timer.deadline()
    }

    /// Whether it was polled or reset, and the deadline has passed since.
    pub fn is_elapsed(&self) -> bool {
        self.timer.is_elapsed()
    }

    /// Gives it another deadline. A task that waits for it will be woken at that.
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.project().timer.reset(deadline);
    }
}

impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().timer.poll(cx)
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}
