//! The program and the libraries that are loaded, and the unwind tables within them.
//!
//! `/proc/self/maps` tells where each file is mapped. The first page of a mapped ELF file has its
//! program headers, and one of these names the table `.eh_frame_hdr`, which is sorted by address.

use std::cell::OnceCell;
use std::fs;
use std::ops::Range;

use super::memory::Memory;

const PT_LOAD: u32 = 1;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;

/// As [`Modules::new`] has found them.
#[derive(Debug)]
pub(super) struct Modules {
    memory: Memory,
    all: Vec<Module>,
}

/// Code that a file is mapped for.
#[derive(Debug)]
pub(super) struct Module {
    code: Range<u64>,
    /// Where the file begins.
    base: u64,
    pub(super) is_libc: bool,
    /// The address of its table, once it was asked for.
    table: OnceCell<Option<u64>>,
}

impl Modules {
    pub(super) fn new() -> Option<Modules> {
        let maps = fs::read("/proc/self/maps").ok()?;
        Some(Modules {
            memory: Memory::new(0..u64::MAX)?,
            all: parse(&String::from_utf8_lossy(&maps)),
        })
    }

    /// The module that the address belongs to, and what its tables are read with.
    pub(super) fn find(&mut self, address: u64) -> Option<(&Module, &mut Memory)> {
        let mut all = self.all.iter();
        let found = all.find(|module| module.code.contains(&address))?;
        Some((found, &mut self.memory))
    }
}

/// `START-END PERMISSIONS OFFSET DEVICE INODE PATH`
fn parse(maps: &str) -> Vec<Module> {
    let mut all = Vec::new();
    let mut file: Option<(&str, u64)> = None;
    for line in maps.lines() {
        let mut words = line.splitn(6, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (range, permissions, offset, _, _) = (word(), word(), word(), word(), word());
        let path = word().trim_start();
        let hex = |digits| u64::from_str_radix(digits, 16).ok();
        let range = range.split_once('-');
        let Some((start, end)) = range.and_then(|(start, end)| hex(start).zip(hex(end))) else {
            continue;
        };
        if path.is_empty() {
            continue;
        }
        if hex(offset) == Some(0) {
            file = Some((path, start));
        }
        if let Some((_, base)) = file.filter(|(of, _)| *of == path && permissions.contains('x')) {
            all.push(Module {
                code: start..end,
                base,
                is_libc: is_libc(path),
                table: OnceCell::new(),
            });
        }
    }
    all
}

/// Also what belongs to it: the thread library that it once had, the kernel's share.
fn is_libc(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let prefixes = ["libc.so", "libc-", "libpthread", "ld-musl", "[vdso]"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

impl Module {
    fn find_table(&self, memory: &mut Memory) -> Option<u64> {
        if &memory.array::<5>(self.base)? != b"\x7fELF\x02" {
            return None;
        }
        let headers = self.base.checked_add(memory.u64(self.base + 32)?)?;
        let [size, count] = [54, 56].map(|field| {
            let number = memory.array(self.base + field);
            number.map_or(0, |number| u64::from(u16::from_le_bytes(number)))
        });
        let (mut moved_by, mut table) = (None, None);
        for number in 0..count {
            let header = headers.checked_add(number * size)?;
            let kind = memory.u32(header)?;
            let (offset, address) = (memory.u64(header + 8)?, memory.u64(header + 16)?);
            match kind {
                PT_LOAD if moved_by.is_none() => {
                    moved_by = Some(self.base.wrapping_sub(address.wrapping_sub(offset)));
                }
                PT_GNU_EH_FRAME => table = Some(address),
                _ => {}
            }
        }
        Some(table?.wrapping_add(moved_by?))
    }

    /// The address of the entry of `.eh_frame` that is for the last function that begins at the
    /// address or before it.
    pub(super) fn entry_for(&self, address: u64, memory: &mut Memory) -> Option<u64> {
        let table = (*self.table.get_or_init(|| self.find_table(memory)))?;
        // Version 1; a pointer of four bytes, which is not needed; a number of four bytes; entries
        // of twice four bytes that count from here. Linkers write no other.
        let [version, pointer, number, entries] = memory.array(table)?;
        let is_known =
            version == 1 && matches!(pointer & 0xf, 0x3 | 0xb) && number == 0x03 && entries == 0x3b;
        if !is_known {
            return None;
        }
        let from_here =
            |offset: [u8; 4]| table.wrapping_add_signed(i64::from(i32::from_le_bytes(offset)));
        let mut begin = 0;
        let mut end = u64::from(memory.u32(table + 8)?);
        // The entry is in `begin..end`, if any is.
        while begin + 1 < end {
            let middle = begin + (end - begin) / 2;
            match from_here(memory.array(table + 12 + 8 * middle)?) <= address {
                true => begin = middle,
                false => end = middle,
            }
        }
        Some(from_here(memory.array(table + 12 + 8 * begin + 4)?))
    }
}
