//! What `io`, `net` and the reactor need of the operating system, under one interface. Each system
//! has a folder here; nothing above these folders asks which system it is on.
//!
//! | | `unix` | `windows` |
//! |---|---|---|
//! | a *descriptor*: what can be watched for readiness | a file descriptor (`AsFd`) | a socket (`AsSocket`) |
//! | [`level`]: is it ready at this moment? | `poll` | `WSAPoll` |
//! | [`sockets`]: calls that `std` lacks or makes in another way | `rustix` | `socket2` |
//! | traits that public types have for their descriptor | `AsFd`, `AsRawFd`, `IntoRawFd` | `AsSocket`, `AsRawSocket`, `IntoRawSocket` |
//!
//! The wait itself is in the reactor (`poller.rs`, `portable.rs`), and what the monitor asks of
//! threads in `scheduler/monitor/probe`.

#[cfg(test)]
pub(crate) mod pair;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

// Epoll needs no numbers of descriptors.
#[cfg(unix)]
#[allow(unused_imports)]
pub(crate) use self::unix::{
    AsDescriptor, BorrowedDescriptor, OwnedDescriptor, RawDescriptor, borrow, impl_descriptor,
    impl_owned_descriptor, level, raw, set_nonblocking, sockets,
};
#[cfg(windows)]
pub(crate) use self::windows::{
    AsDescriptor, BorrowedDescriptor, OwnedDescriptor, RawDescriptor, borrow, impl_descriptor,
    impl_owned_descriptor, level, raw, set_nonblocking, sockets,
};

/// What an operation on a descriptor would meet at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// An operation would block.
    Idle,
    /// A socket has an error, a hang-up or urgent data to report; otherwise an operation would
    /// block. The report may persist after an operation was tried and blocked: for an error queue
    /// (`IP_RECVERR`, timestamps) until the queue is read, for urgent data until it is read as
    /// such, for the end of a datagram socket for ever.
    Flagged,
    Ready,
}
