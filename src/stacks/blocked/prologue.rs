//! The few instructions of x86-64 that tell where a function has its frame.

use super::memory::Memory;

/// `mov rbp, rsp`, in both encodings.
const SETS_FRAME_POINTER: [[u8; 3]; 2] = [[0x48, 0x89, 0xe5], [0x48, 0x8b, 0xec]];

/// A function pushes six registers at most, and makes room.
const MOST_INSTRUCTIONS: usize = 16;

/// How far the instructions from `begin` on, where the frame pointer has just been set, move the
/// stack pointer: `push` of registers, and then `sub rsp, SIZE`. `None`: they set no frame pointer,
/// or go as far as `end`.
pub(super) fn pushed_from(begin: u64, end: u64, code: &mut Memory) -> Option<u64> {
    if !SETS_FRAME_POINTER.contains(&code.array(begin.checked_sub(3)?)?) {
        return None;
    }
    let (mut at, mut pushed) = (begin, 0);
    for _ in 0..MOST_INSTRUCTIONS {
        let instruction: [u8; 7] = code.array(at)?;
        let (length, moved_by, is_last) = match instruction {
            [0x50..=0x57, ..] => (1, 8, false),
            [0x41, 0x50..=0x57, ..] => (2, 8, false),
            [0x48, 0x83, 0xec, size, ..] => (4, i64::from(size as i8), true),
            [0x48, 0x81, 0xec, size @ ..] => (7, i64::from(i32::from_le_bytes(size)), true),
            _ => return Some(pushed),
        };
        at += length;
        if at > end {
            return None;
        }
        pushed += u64::try_from(moved_by).ok()?;
        if is_last {
            return Some(pushed);
        }
    }
    None
}

/// Whether the instruction before this address is a call, and, if it names what it calls, one of
/// this function.
pub(super) fn is_behind_call_of(function: u64, address: u64, code: &mut Memory) -> bool {
    let Some(bytes) = address
        .checked_sub(7)
        .and_then(|begin| code.array::<7>(begin))
    else {
        return false;
    };
    let [.., b4, b3, b2, b1, b0] = bytes;
    let relative = || address.wrapping_add_signed(i64::from(i32::from_le_bytes([b3, b2, b1, b0])));
    if b4 == 0xe8 {
        return relative() == function;
    }
    // By a pointer at a place that the instruction names.
    if bytes[1..3] == [0xff, 0x15] {
        return code.u64(relative()) == Some(function);
    }
    // By a register, or by a pointer to which a register points: of two, three, four, six or seven
    // bytes.
    [2, 3, 4, 6, 7].iter().any(|&length| {
        let call = &bytes[7 - length..];
        call[0] == 0xff && call[1] >> 3 & 7 == 2
    })
}
