//! The call stack of a thread that is blocked in the kernel, read by another thread.
//!
//! The thread is left alone: no signal interrupts what it waits in, and it runs no code for this.
//!
//! 1. The kernel tells where a blocked thread left the program: `/proc/self/task/TID/syscall` ends
//!    with its stack pointer and its program counter.
//! 2. The stack is read through `/proc/self/mem` ([`memory`]). What the kernel copies may be gone
//!    meanwhile, or may change: that is an error or a wrong number, never a fault.
//! 3. The unwind tables of the loaded [`modules`], read in the same way, say where each frame has
//!    its return address ([`unwind`]), as for a panic.
//! 4. The kernel is asked again. The stack counts if `Place::of(thread)` and
//!    `voluntary_switches(thread)` give what they gave before the walk. A thread that has run between
//!    the two readings and is blocked at the second has increased `voluntary_ctxt_switches`.
//!
//! # What it cannot see
//!
//! * A stack that ends early. Of the registers only the stack pointer is known at first. A function
//!   that needs another to find its frame is passed if it keeps a frame pointer and begins in the
//!   usual way, as those of the standard library do. At any other the stack ends, as it does at
//!   code without unwind tables, at a signal handler, and at [`MOST_FRAMES`].
//! * Anything where `/proc` is hidden or the process is not dumpable, and on systems other than
//!   Linux on x86-64. On AArch64 the innermost return address is in a register that the kernel does
//!   not tell.
//!
//! # Cost
//!
//! A stack of 17 frames takes 90 µs with optimisation, and the list of the modules, which is read
//! once for all stacks of a dump or a round of the monitor, another 80 to 180 µs (2 virtual CPUs, AMD
//! EPYC, 2026-11-29). So only what somebody is told, or what is listed with stacks, is read.

mod memory;
mod modules;
mod prologue;
mod unwind;

#[cfg(test)]
mod tests;

use std::fs;

use memory::Memory;
use modules::Modules;
use unwind::Frame;

use super::TaskStack;

/// Of one stack at most, as for tasks that wait.
const MOST_FRAMES: usize = 96;

/// From the innermost frame to the outermost, in bytes.
const DEEPEST: u64 = 256 << 10;

/// Reads the stacks of blocked threads, one after the other.
#[derive(Debug, Default)]
pub(crate) struct BlockedStacks {
    modules: Option<Modules>,
}

impl BlockedStacks {
    /// The calls on the stack of the thread with this number, without those of the C library at the
    /// inner end. `None`: it runs, or has run meanwhile, or nothing is known.
    pub(crate) fn read(&mut self, thread: u64) -> Option<TaskStack> {
        let switches = voluntary_switches(thread)?;
        let place = Place::of(thread)?;
        let modules = match &mut self.modules {
            Some(modules) => modules,
            modules => modules.insert(Modules::new()?),
        };
        let addresses = walk(modules, place)?;
        let has_stayed =
            Place::of(thread) == Some(place) && voluntary_switches(thread) == Some(switches);
        (has_stayed && !addresses.is_empty()).then(|| TaskStack::of_blocked(addresses.into()))
    }
}

/// Where a blocked thread left the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    stack_pointer: u64,
    program_counter: u64,
}

impl Place {
    fn of(thread: u64) -> Option<Place> {
        let line = fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).ok()?;
        Place::parse(&line)
    }

    /// `NUMBER ARGUMENTS.. SP PC`, or `-1 SP PC` in a page fault; `running` has none.
    fn parse(line: &str) -> Option<Place> {
        let mut words = line.split_ascii_whitespace().rev();
        let mut address = || {
            let digits = words.next()?.strip_prefix("0x")?;
            u64::from_str_radix(digits, 16).ok()
        };
        let program_counter = address()?;
        let stack_pointer = address()?;
        Some(Place {
            stack_pointer,
            program_counter,
        })
    }
}

/// How often the thread has given up its CPU to wait.
fn voluntary_switches(thread: u64) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).ok()?;
    let mut lines = status.lines();
    let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    count.trim().parse().ok()
}

fn walk(modules: &mut Modules, place: Place) -> Option<Vec<usize>> {
    let limit = place.stack_pointer.checked_add(DEEPEST)?;
    let mut stack = Memory::new(place.stack_pointer..limit)?;
    let mut frame = Frame::innermost(place.program_counter, place.stack_pointer);
    let mut addresses = Vec::with_capacity(32);
    loop {
        let Some((module, code)) = modules.find(frame.lookup_address()) else {
            // Code that was made at run time. It is right, but nothing is known of its frame.
            addresses.push(frame.address() as usize);
            break;
        };
        if !(addresses.is_empty() && module.is_libc) {
            addresses.push(frame.address() as usize);
        }
        if addresses.len() == MOST_FRAMES {
            break;
        }
        match frame.caller(module, code, &mut stack) {
            Some(caller) => frame = caller,
            None => break,
        }
    }
    Some(addresses)
}
