//! What a reactor watches: a file descriptor or, with the feature `sim`, a socket of a simulation.

use std::os::fd::{AsFd, BorrowedFd};

/// What a poller can watch.
#[cfg(not(feature = "sim"))]
pub(crate) type Object<'a> = BorrowedFd<'a>;

/// What a poller can watch.
#[cfg(feature = "sim")]
#[derive(Clone, Copy, Debug)]
pub enum Object<'a> {
    System(BorrowedFd<'a>),
    Simulated(Simulated),
}

/// A socket of a simulation.
#[cfg(feature = "sim")]
#[derive(Clone, Copy, Debug)]
pub struct Simulated(pub(crate) crate::simulated::net::SocketId);

#[cfg(feature = "sim")]
impl<'a> From<BorrowedFd<'a>> for Object<'a> {
    fn from(fd: BorrowedFd<'a>) -> Object<'a> {
        Object::System(fd)
    }
}

/// What can be registered with a runtime: whatever has a file descriptor ([`AsFd`]). It is not to
/// be implemented for anything else.
pub trait Pollable {
    #[doc(hidden)]
    fn object(&self) -> Object<'_>;
}

impl<T: AsFd> Pollable for T {
    #[inline]
    fn object(&self) -> Object<'_> {
        // The identity where there are no simulations.
        #[allow(clippy::useless_conversion)]
        self.as_fd().into()
    }
}
