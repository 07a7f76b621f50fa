//! Lists directories, several entries with each job.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{FileType, Metadata};
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::asyncify;
use crate::blocking::{self, Job};

/// Entries that one job reads.
const CHUNK: usize = 32;

/// The entries of a directory.
///
/// # Errors
///
/// The operating system's.
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref().to_owned();
    let listing = asyncify(move || {
        let mut listing = Listing {
            rest: Some(std::fs::read_dir(path)?),
            entries: VecDeque::with_capacity(CHUNK),
        };
        listing.read();
        Ok(listing)
    });
    Ok(ReadDir(State::Idle(listing.await?)))
}

/// The entries of a directory that are left, in the order of the file system.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct ReadDir(State);

#[derive(Debug)]
enum State {
    Idle(Listing),
    Busy(Job<Listing>),
}

#[derive(Debug, Default)]
struct Listing {
    /// Entries that were read.
    entries: VecDeque<io::Result<DirEntry>>,
    /// `None` after the last one.
    rest: Option<std::fs::ReadDir>,
}

impl Listing {
    fn read(&mut self) {
        while self.entries.len() < CHUNK {
            let Some(next) = self.rest.as_mut().and_then(Iterator::next) else {
                self.rest = None;
                return;
            };
            let is_error = next.is_err();
            self.entries.push_back(next.map(|std| DirEntry {
                file_type: std.file_type().ok(),
                std: Arc::new(std),
            }));
            // It may come again each time.
            if is_error {
                return;
            }
        }
    }
}

impl ReadDir {
    /// The next entry. `None`: there are no more.
    ///
    /// # Errors
    ///
    /// The operating system's.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no entry is lost.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        poll_fn(|cx| self.poll_next_entry(cx)).await
    }

    /// The poll form of [`next_entry`](ReadDir::next_entry).
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        loop {
            match &mut self.0 {
                State::Idle(listing) => {
                    if let Some(entry) = listing.entries.pop_front() {
                        return Poll::Ready(entry.map(Some));
                    }
                    if listing.rest.is_none() {
                        return Poll::Ready(Ok(None));
                    }
                    let mut listing = std::mem::take(listing);
                    self.0 = State::Busy(blocking::run(move || {
                        listing.read();
                        listing
                    }));
                }
                State::Busy(job) => {
                    let result = ready!(Pin::new(job).poll(cx));
                    // After an error the listing is gone, and nothing is left.
                    let (listing, error) = match result {
                        Ok(listing) => (listing, None),
                        Err(error) => (Listing::default(), Some(error)),
                    };
                    self.0 = State::Idle(listing);
                    if let Some(error) = error {
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
    }
}

/// An entry of a directory.
#[derive(Debug)]
pub struct DirEntry {
    /// `None` if the file system did not say.
    file_type: Option<FileType>,
    std: Arc<std::fs::DirEntry>,
}

impl DirEntry {
    /// The path that was given to [`read_dir`], with the entry's name.
    pub fn path(&self) -> PathBuf {
        self.std.path()
    }

    /// The entry's name.
    pub fn file_name(&self) -> OsString {
        self.std.file_name()
    }

    /// What the file system knows about the entry, or about a symbolic link itself.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let std = self.std.clone();
        asyncify(move || std.metadata()).await
    }

    /// Whether the entry is a file, a directory or something else.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn file_type(&self) -> io::Result<FileType> {
        if let Some(file_type) = self.file_type {
            return Ok(file_type);
        }
        let std = self.std.clone();
        asyncify(move || std.file_type()).await
    }

    /// The number of the entry's inode.
    pub fn ino(&self) -> u64 {
        self.std.ino()
    }
}
