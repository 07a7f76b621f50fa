//! The buffer between a caller, whose bytes may be gone tomorrow, and a thread that blocks.

use std::fmt;
use std::io::{self, Read, Write};

use real::io::ReadBuf;

/// How many bytes one job reads or writes at most, unless the caller says otherwise.
pub(crate) const MAX_BUF_SIZE: usize = 2 * 1024 * 1024;

/// Bytes that were read and not taken, or taken and not written.
#[derive(Default)]
pub(crate) struct Buf {
    /// All of it is initialized, and stays so for the next job.
    storage: Vec<u8>,
    /// The bytes are `storage[begin..end]`.
    begin: usize,
    end: usize,
}

impl Buf {
    pub(crate) fn len(&self) -> usize {
        self.end - self.begin
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn clear(&mut self) {
        self.begin = 0;
        self.end = 0;
    }

    /// Forgets the bytes. Returns how far to seek so that they are read again.
    #[cfg(feature = "fs")]
    pub(crate) fn discard(&mut self) -> i64 {
        let len = self.len() as i64;
        self.clear();
        -len
    }

    /// Moves as many bytes as there is room for into `dst`.
    pub(crate) fn copy_to(&mut self, dst: &mut ReadBuf<'_>) {
        let len = self.len().min(dst.remaining());
        dst.put_slice(&self.storage[self.begin..self.begin + len]);
        self.begin += len;
        if self.is_empty() {
            self.clear();
        }
    }

    /// Takes at most `max` bytes of `parts` in place of its own. Returns how many.
    pub(crate) fn copy_from<'a>(
        &mut self,
        parts: impl IntoIterator<Item = &'a [u8]>,
        max: usize,
    ) -> usize {
        self.clear();
        self.storage.clear();
        for part in parts {
            let len = part.len().min(max - self.storage.len());
            self.storage.extend_from_slice(&part[..len]);
        }
        self.end = self.storage.len();
        self.end
    }

    /// Reads once, at most `max` bytes. The buffer must be empty.
    pub(crate) fn read_from(&mut self, mut source: impl Read, max: usize) -> io::Result<usize> {
        debug_assert!(self.is_empty());
        self.clear();
        if self.storage.len() < max {
            self.storage.resize(max, 0);
        }
        let room = &mut self.storage[..max];
        let len = loop {
            match source.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.end = len.min(max);
        Ok(self.end)
    }

    /// Writes all bytes, and forgets them even if that fails.
    pub(crate) fn write_to(&mut self, mut target: impl Write) -> io::Result<()> {
        let result = target.write_all(&self.storage[self.begin..self.end]);
        self.clear();
        result
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buf").field("len", &self.len()).finish()
    }
}
