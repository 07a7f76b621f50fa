//! What can be watched for readiness: sockets.

pub(crate) use std::os::windows::io::{
    AsSocket as AsDescriptor, BorrowedSocket as BorrowedDescriptor, OwnedSocket as OwnedDescriptor,
    RawSocket as RawDescriptor,
};

/// The descriptor of an object.
#[inline]
pub(crate) fn borrow<T: AsDescriptor + ?Sized>(object: &T) -> BorrowedDescriptor<'_> {
    object.as_socket()
}

/// Its number.
pub(crate) fn raw(descriptor: BorrowedDescriptor<'_>) -> RawDescriptor {
    use std::os::windows::io::AsRawSocket;
    descriptor.as_raw_socket()
}
