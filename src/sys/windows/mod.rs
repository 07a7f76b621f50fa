//! Windows: a descriptor is a socket. Nothing else can be watched for readiness there.

mod descriptor;
pub(crate) mod level;
pub(crate) mod sockets;

use std::io;

use socket2::SockRef;

pub(crate) use self::descriptor::{
    AsDescriptor, BorrowedDescriptor, OwnedDescriptor, RawDescriptor, borrow, raw,
};

/// Sets a socket to non-blocking mode.
pub(crate) fn set_nonblocking(socket: BorrowedDescriptor<'_>) -> io::Result<()> {
    SockRef::from(&socket).set_nonblocking(true)
}

/// `AsSocket` and `AsRawSocket`, from an expression for the borrowed descriptor.
macro_rules! impl_descriptor {
    ([$($G:tt)*] $Type:ty, $(#[$doc:meta])* |$this:ident| $descriptor:expr) => {
        impl<$($G)*> ::std::os::windows::io::AsSocket for $Type {
            $(#[$doc])*
            #[cfg_attr(feature = "sim", track_caller)]
            fn as_socket(&self) -> ::std::os::windows::io::BorrowedSocket<'_> {
                let $this = self;
                $descriptor
            }
        }

        impl<$($G)*> ::std::os::windows::io::AsRawSocket for $Type {
            $(#[$doc])*
            #[cfg_attr(feature = "sim", track_caller)]
            fn as_raw_socket(&self) -> ::std::os::windows::io::RawSocket {
                let $this = self;
                ::std::os::windows::io::AsRawSocket::as_raw_socket(&$descriptor)
            }
        }
    };
}

/// `OwnedSocket::from` and `IntoRawSocket`, from an expression for the owned descriptor.
macro_rules! impl_owned_descriptor {
    ($Type:ty, $(#[$doc:meta])* |$this:ident| $descriptor:expr) => {
        impl From<$Type> for ::std::os::windows::io::OwnedSocket {
            $(#[$doc])*
            #[cfg_attr(feature = "sim", track_caller)]
            fn from($this: $Type) -> ::std::os::windows::io::OwnedSocket {
                $descriptor
            }
        }

        impl ::std::os::windows::io::IntoRawSocket for $Type {
            $(#[$doc])*
            #[cfg_attr(feature = "sim", track_caller)]
            fn into_raw_socket(self) -> ::std::os::windows::io::RawSocket {
                ::std::os::windows::io::IntoRawSocket::into_raw_socket(
                    ::std::os::windows::io::OwnedSocket::from(self),
                )
            }
        }
    };
}

pub(crate) use {impl_descriptor, impl_owned_descriptor};
