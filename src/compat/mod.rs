//! Adapters for libraries that need a runtime. Each has a feature of its own; none is on by
//! default.
//!
//! | feature | for | what to do |
//! |---|---|---|
//! | `tokio-io` | libraries over tokio's `AsyncRead` and `AsyncWrite` | pass them a stream, a half of one, or an `Async` |
//! | `tokio-compat` | libraries that need a live tokio context | nothing: this crate's tasks have one. `Compat` for a future elsewhere |
//! | `hyper` | hyper 1, hyper-util | pass the stream; `HyperExecutor`, `HyperTimer` |
//! | `axum-0-8` | axum | `serve`, in place of `axum::serve`, which also takes a `TcpListener` or `UnixListener` |
//! | `futures-task` | libraries that take a `futures` `Spawn` or `LocalSpawn` | pass them a [`Handle`](crate::Handle) |
//! | `quinn-0-11` | QUIC | `QuinnRuntime` |
//! | `hickory-0-26` | DNS | `HickoryRuntime` |
//!
//! Libraries that only use the traits of `futures`, or have threads of their own (async-fs,
//! async-process, zbus), need no feature.

#[cfg(feature = "axum-0-8")]
pub mod axum;
#[cfg(feature = "futures-task")]
pub mod futures_task;
#[cfg(feature = "hickory-0-26")]
mod hickory;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(feature = "quinn-0-11")]
mod quinn;
#[cfg(feature = "axum-0-8")]
mod serve;
#[cfg(feature = "tokio-compat")]
pub mod tokio_context;
#[cfg(feature = "tokio-io")]
pub mod tokio_io;

#[cfg(feature = "hickory-0-26")]
pub use self::hickory::HickoryRuntime;
#[cfg(feature = "hyper")]
pub use self::hyper::{HyperExecutor, HyperTimer};
#[cfg(feature = "quinn-0-11")]
pub use self::quinn::QuinnRuntime;
#[cfg(feature = "axum-0-8")]
pub use self::serve::{Serve, ServeGracefully, serve};
#[cfg(feature = "tokio-compat")]
pub use self::tokio_context::Compat;
