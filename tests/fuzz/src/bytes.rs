//! Reading an input: every sequence of bytes is a program, and one that ends early is a short one.

/// What is left of an input.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub fn new(bytes: &'a [u8]) -> Bytes<'a> {
        Bytes(bytes)
    }

    /// The next byte; `None` at the end.
    pub fn op(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next byte, zero beyond the end.
    pub fn byte(&mut self) -> u8 {
        self.op().unwrap_or(0)
    }

    /// The next bytes, at most so many.
    pub fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Numbers of every magnitude, those beside powers of two and the last ones made likely.
    pub fn magnitude(&mut self) -> u64 {
        let kind = self.byte();
        let off = u64::from(kind >> 6).wrapping_sub(1);
        match kind & 0x3f {
            0 => 0,
            1 => u64::MAX - u64::from(kind >> 6),
            2..=9 => u64::from(self.byte()),
            shift => (u64::from(self.byte() & 0x3f) << (shift - 4)).wrapping_add(off),
        }
    }
}
