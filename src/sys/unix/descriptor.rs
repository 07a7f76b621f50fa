//! What can be watched for readiness: file descriptors.

pub(crate) use std::os::fd::{
    AsFd as AsDescriptor, BorrowedFd as BorrowedDescriptor, OwnedFd as OwnedDescriptor,
    RawFd as RawDescriptor,
};

/// The descriptor of an object.
#[inline]
pub(crate) fn borrow<T: AsDescriptor + ?Sized>(object: &T) -> BorrowedDescriptor<'_> {
    object.as_fd()
}

/// Its number.
#[allow(dead_code, reason = "epoll takes none")]
pub(crate) fn raw(descriptor: BorrowedDescriptor<'_>) -> RawDescriptor {
    use std::os::fd::AsRawFd;
    descriptor.as_raw_fd()
}
