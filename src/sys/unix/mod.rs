//! Unix: a descriptor is a file descriptor.

mod descriptor;
pub(crate) mod level;
pub(crate) mod sockets;

use std::io;

use rustix::fs::OFlags;

pub(crate) use self::descriptor::{
    AsDescriptor, BorrowedDescriptor, OwnedDescriptor, RawDescriptor, borrow, raw,
};

/// Sets an open file to non-blocking mode.
pub(crate) fn set_nonblocking(fd: BorrowedDescriptor<'_>) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    if !flags.contains(OFlags::NONBLOCK) {
        rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?;
    }
    Ok(())
}

/// `AsFd` and `AsRawFd`, from an expression for the borrowed descriptor.
macro_rules! impl_descriptor {
    ([$($G:tt)*] $Type:ty, $(#[$doc:meta])* |$this:ident| $descriptor:expr) => {
        impl<$($G)*> ::std::os::fd::AsFd for $Type {
            $(#[$doc])*
            #[cfg_attr(feature = "sim", track_caller)]
            fn as_fd(&self) -> ::std::os::fd::BorrowedFd<'_> {
                let $this = self;
                $descriptor
            }
        }

        impl<$($G)*> ::std::os::fd::AsRawFd for $Type {
            $(#[$doc])*
            #[cfg_attr(feature = "sim", track_caller)]
            fn as_raw_fd(&self) -> ::std::os::fd::RawFd {
                let $this = self;
                ::std::os::fd::AsRawFd::as_raw_fd(&$descriptor)
            }
        }
    };
}

/// `OwnedFd::from` and `IntoRawFd`, from an expression for the owned descriptor.
macro_rules! impl_owned_descriptor {
    ($Type:ty, $(#[$doc:meta])* |$this:ident| $descriptor:expr) => {
        impl From<$Type> for ::std::os::fd::OwnedFd {
            $(#[$doc])*
            #[cfg_attr(feature = "sim", track_caller)]
            fn from($this: $Type) -> ::std::os::fd::OwnedFd {
                $descriptor
            }
        }

        impl ::std::os::fd::IntoRawFd for $Type {
            $(#[$doc])*
            #[cfg_attr(feature = "sim", track_caller)]
            fn into_raw_fd(self) -> ::std::os::fd::RawFd {
                ::std::os::fd::IntoRawFd::into_raw_fd(::std::os::fd::OwnedFd::from(self))
            }
        }
    };
}

pub(crate) use {impl_descriptor, impl_owned_descriptor};
