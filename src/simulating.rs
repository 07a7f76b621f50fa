//! How a package around this one is simulated with it: the one named `tokio`, in this repository.
//!
//! It is there without the feature `sim`, too, and says that nothing is simulated: a package cannot
//! ask which features another one was built with.
//!
//! This is no part of the interface, and may change at any time.

use std::rc::Rc;

use crate::runtime::Handle;
#[cfg(feature = "sim")]
use crate::simulated;

/// Whether this thread is in a simulation.
#[inline]
#[must_use]
pub fn is_here() -> bool {
    #[cfg(feature = "sim")]
    return simulated::is_here();
    #[cfg(not(feature = "sim"))]
    false
}

/// The caller keeps something in thread-locals, one for each thread of a simulation. Around each
/// wait of such a thread the function is called with the wait. It must take away what is kept, call
/// that once, and put back what it took, also if that unwinds. A thread's body is called likewise.
///
/// Only the first call in a process has an effect.
pub fn keep_around_waits(around: fn(&mut dyn FnMut())) {
    #[cfg(feature = "sim")]
    simulated::set_around(around);
    #[cfg(not(feature = "sim"))]
    let _ = around;
}

/// What the simulation keeps of this type, made when it is wanted first, and dropped when the
/// simulation ends. `None`: this thread is in none.
pub fn kept<T: 'static>(make: impl FnOnce() -> T) -> Option<Rc<T>> {
    #[cfg(feature = "sim")]
    return Some(simulated::world_if_any()?.kept(make));
    #[cfg(not(feature = "sim"))]
    {
        let _ = make;
        None
    }
}

/// Whether both are handles of one runtime.
#[must_use]
pub fn are_of_one_runtime(first: &Handle, second: &Handle) -> bool {
    std::ptr::eq(first.shared(), second.shared())
}

/// Whether the handle's runtime has shut down, or is about to.
#[must_use]
pub fn has_shut_down(handle: &Handle) -> bool {
    handle.shared().is_closed()
}

/// A number below `n`, drawn as all choices of the simulation are. `None`: this thread is in none.
#[must_use]
pub fn choose(n: u32) -> Option<u32> {
    #[cfg(feature = "sim")]
    return simulated::is_here().then(|| simulated::choose(simulated::Kind::Program, n, 1));
    #[cfg(not(feature = "sim"))]
    {
        let _ = n;
        None
    }
}

/// Waits until no other simulated thread can run, or is in the middle of something that takes time.
/// The simulation's clock may move meanwhile. Outside of a simulation it returns at once.
pub fn settle() {
    #[cfg(feature = "sim")]
    if let Some(world) = simulated::world_if_any() {
        world.settle_busy();
    }
}
