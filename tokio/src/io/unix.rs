//! Any file descriptor: see tokio's documentation of the module of this name.

mod async_fd;
mod error;
mod guards;

pub use async_fd::AsyncFd;
pub use error::{AsyncFdRegisterError, TryIoError};
pub use guards::{AsyncFdReadyGuard, AsyncFdReadyMutGuard};

#[doc(hidden)]
#[allow(deprecated)]
pub use error::AsyncFdTryNewError;
