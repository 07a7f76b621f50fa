//! Files: see tokio's documentation of the module of this name.
//!
//! Each operation runs on a thread of the runtime that may block. If the runtime shuts down before
//! it has begun, it fails with "background task failed". If it was asked for after that, then
//! [`is_rt_shutdown_err`](crate::runtime::is_rt_shutdown_err) knows the error.

mod dir_builder;
mod file;
mod file_times;
mod open_options;
mod paths;
mod read_dir;

pub use dir_builder::DirBuilder;
pub use file::File;
pub use file_times::FileTimes;
pub use open_options::OpenOptions;
pub use paths::{
    canonicalize, copy, create_dir, create_dir_all, hard_link, metadata, read, read_link,
    read_to_string, remove_dir, remove_dir_all, remove_file, rename, set_permissions, symlink,
    symlink_metadata, try_exists, write,
};
pub use read_dir::{DirEntry, ReadDir, read_dir};

use std::io;

use crate::blocking;

/// Runs a blocking operation, and waits for it.
async fn asyncify<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    blocking::run(f).await?
}
