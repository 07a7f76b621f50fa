//! What a reactor watches: a file descriptor or, with the feature `sim`, a socket of a simulation.

use crate::sys::{self, AsDescriptor, BorrowedDescriptor};

/// What a poller can watch.
#[cfg(not(feature = "sim"))]
pub(crate) type Object<'a> = BorrowedDescriptor<'a>;

/// What a poller can watch.
#[cfg(feature = "sim")]
#[derive(Clone, Copy, Debug)]
pub enum Object<'a> {
    System(BorrowedDescriptor<'a>),
    Simulated(Simulated),
}

/// A socket of a simulation.
#[cfg(feature = "sim")]
#[derive(Clone, Copy, Debug)]
pub struct Simulated(pub(crate) crate::simulated::net::SocketId);

#[cfg(feature = "sim")]
impl<'a> From<BorrowedDescriptor<'a>> for Object<'a> {
    fn from(fd: BorrowedDescriptor<'a>) -> Object<'a> {
        Object::System(fd)
    }
}

/// What can be registered with a runtime: whatever has a file descriptor (`AsFd`), on Windows a
/// socket (`AsSocket`). It is not to be implemented for anything else.
pub trait Pollable {
    #[doc(hidden)]
    fn object(&self) -> Object<'_>;
}

impl<T: AsDescriptor> Pollable for T {
    #[inline]
    fn object(&self) -> Object<'_> {
        // The identity where there are no simulations.
        #[allow(clippy::useless_conversion)]
        sys::borrow(self).into()
    }
}
