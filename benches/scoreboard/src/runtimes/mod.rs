//! The runtimes beside this crate.

pub(crate) mod go;
mod smol;
mod tokio;

pub(crate) use self::smol::Smol;
pub(crate) use self::tokio::Tokio;
