//! The memory of this process, as the kernel copies it.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

const PAGE: u64 = 4096;

/// Pages kept of one [`Memory`] at most: 4 MiB.
const MOST_PAGES: usize = 1024;

/// Reads a page at most once, so what lies in one page was read at one moment.
#[derive(Debug)]
pub(super) struct Memory {
    file: File,
    /// No address beyond is read.
    range: Range<u64>,
    /// By their number. `None`: it cannot be read.
    pages: HashMap<u64, Option<Box<[u8]>>>,
}

impl Memory {
    /// `None`: the kernel does not let it be read.
    pub(super) fn new(range: Range<u64>) -> Option<Memory> {
        // Opened each time: in a forked child, an open one is the parent's memory.
        let file = File::open("/proc/self/mem").ok()?;
        Some(Memory {
            file,
            range,
            pages: HashMap::new(),
        })
    }

    pub(super) fn read(&mut self, address: u64, bytes: &mut [u8]) -> Option<()> {
        let end = address.checked_add(bytes.len() as u64)?;
        if address < self.range.start || end > self.range.end {
            return None;
        }
        let (mut at, mut bytes) = (address, bytes);
        while !bytes.is_empty() {
            let page = self.page(at / PAGE)?;
            let source = &page[(at % PAGE) as usize..];
            let (now, later) = bytes.split_at_mut(bytes.len().min(source.len()));
            now.copy_from_slice(&source[..now.len()]);
            at += now.len() as u64;
            bytes = later;
        }
        Some(())
    }

    pub(super) fn array<const N: usize>(&mut self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.read(address, &mut bytes)?;
        Some(bytes)
    }

    pub(super) fn u32(&mut self, address: u64) -> Option<u32> {
        self.array(address).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, address: u64) -> Option<u64> {
        self.array(address).map(u64::from_le_bytes)
    }

    fn page(&mut self, number: u64) -> Option<&[u8]> {
        if self.pages.len() == MOST_PAGES && !self.pages.contains_key(&number) {
            return None;
        }
        let file = &self.file;
        let read = || {
            let mut page = vec![0; PAGE as usize].into_boxed_slice();
            file.read_exact_at(&mut page, number * PAGE).ok()?;
            Some(page)
        };
        self.pages.entry(number).or_insert_with(read).as_deref()
    }
}
