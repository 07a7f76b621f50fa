//! The flags of a source.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub};

/// A set of readiness flags of an I/O object, as the operating system reports them.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Ready(u8);

impl Ready {
    /// No flag.
    pub const EMPTY: Ready = Ready(0);
    /// There is something to read.
    pub const READABLE: Ready = Ready(1);
    /// There is room to write.
    pub const WRITABLE: Ready = Ready(2);
    /// Nothing more will come after what can still be read.
    pub const READ_CLOSED: Ready = Ready(4);
    /// Nothing more can be written.
    pub const WRITE_CLOSED: Ready = Ready(8);
    /// An error is to be fetched.
    pub const ERROR: Ready = Ready(16);
    /// There is urgent data, or what else the kind of file calls so. Only Linux and Android tell.
    pub const PRIORITY: Ready = Ready(32);

    /// Those that are final: no operation takes them back.
    pub(super) const CLOSED: Ready = Ready(Ready::READ_CLOSED.0 | Ready::WRITE_CLOSED.0);
    /// Those whose events count as events for writers. All others count for readers.
    pub(super) const FOR_WRITERS: Ready = Ready(Ready::WRITABLE.0 | Ready::WRITE_CLOSED.0);
    /// Number of flags.
    pub(super) const COUNT: u32 = 6;

    /// The set as a number of [`COUNT`](Ready::COUNT) bits.
    pub(super) const fn bits(self) -> usize {
        self.0 as usize
    }

    /// The set that [`bits`](Ready::bits) made a number of. Higher bits of the number do not
    /// matter.
    pub(super) const fn from_bits(bits: usize) -> Ready {
        Ready(bits as u8 & ((1 << Ready::COUNT) - 1))
    }

    /// The flags that are in either set.
    pub const fn union(self, other: Ready) -> Ready {
        Ready(self.0 | other.0)
    }

    /// Whether there is no flag in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all flags of `other` are in the set.
    pub const fn contains(self, other: Ready) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any flag of `other` is in the set.
    pub const fn intersects(self, other: Ready) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Ready {
    type Output = Ready;

    fn bitor(self, other: Ready) -> Ready {
        self.union(other)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Ready) {
        *self = self.union(other);
    }
}

impl BitAnd for Ready {
    type Output = Ready;

    fn bitand(self, other: Ready) -> Ready {
        Ready(self.0 & other.0)
    }
}

/// The flags of the first set that are not in the second.
impl Sub for Ready {
    type Output = Ready;

    fn sub(self, other: Ready) -> Ready {
        Ready(self.0 & !other.0)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(Ready, &str); Ready::COUNT as usize] = [
            (Ready::READABLE, "READABLE"),
            (Ready::WRITABLE, "WRITABLE"),
            (Ready::READ_CLOSED, "READ_CLOSED"),
            (Ready::WRITE_CLOSED, "WRITE_CLOSED"),
            (Ready::ERROR, "ERROR"),
            (Ready::PRIORITY, "PRIORITY"),
        ];
        let mut set = f.debug_set();
        for (flag, name) in NAMES {
            if self.contains(flag) {
                set.entry(&format_args!("{name}"));
            }
        }
        set.finish()
    }
}
