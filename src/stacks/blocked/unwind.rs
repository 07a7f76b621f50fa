//! From a frame to its caller's.
//!
//! The tables say where the return address is, by the *canonical frame address*: what the stack
//! pointer will be once the function has returned. That is so far from the stack pointer, which is
//! known, or from the frame pointer, which is not until a function has saved it. Then
//! [`find_frame_pointer`](Frame::find_frame_pointer) finds it out.

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EndianSlice, FrameDescriptionEntry, LittleEndian, Register,
    RegisterRule, UnwindContext, UnwindSection, X86_64,
};

use super::memory::Memory;
use super::modules::Module;
use super::prologue::{is_behind_call_of, pushed_from};

/// Of an entry of the tables, in bytes. The longest functions have some thousands.
const LONGEST_ENTRY: u32 = 1 << 16;

/// A call that has not returned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    address: u64,
    /// The address is the next instruction's, and no call stands before it.
    is_innermost: bool,
    stack_pointer: u64,
    /// The register `rbp`, if it is known.
    frame_pointer: Option<u64>,
}

type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// What the tables say of a function, cut out of them.
struct Entry {
    bytes: Vec<u8>,
    /// Where the function's own part begins; before it is what it shares with others.
    own: usize,
    /// The address that `bytes` has in the tables, as far as `own` is concerned.
    base: u64,
}

impl Frame {
    pub(super) fn innermost(program_counter: u64, stack_pointer: u64) -> Frame {
        Frame {
            address: program_counter,
            is_innermost: true,
            stack_pointer,
            frame_pointer: None,
        }
    }

    pub(super) fn address(&self) -> u64 {
        self.address
    }

    /// Within the call: a function may end with one.
    pub(super) fn lookup_address(&self) -> u64 {
        self.address.wrapping_sub(u64::from(!self.is_innermost))
    }

    /// `None`: there is none, or it cannot be found.
    pub(super) fn caller(
        &self,
        module: &Module,
        code: &mut Memory,
        stack: &mut Memory,
    ) -> Option<Frame> {
        let address = self.lookup_address();
        let entry = Entry::read(module.entry_for(address, code)?, code)?;
        let section = entry.section();
        let bases = entry.bases();
        let function = entry.parse(&section, &bases)?;
        if !function.contains(address) {
            return None;
        }
        let mut context = UnwindContext::new();
        let row = function
            .unwind_info_for_address(&section, &bases, &mut context, address)
            .ok()?;
        let rule = |register: Register| {
            let mut rules = row.registers();
            rules
                .find(|(of, _)| *of == register)
                .map(|(_, rule)| rule.clone())
        };
        let (of_return, of_frame_pointer) = (rule(X86_64::RA), rule(X86_64::RBP));
        let CfaRule::RegisterAndOffset { register, offset } = *row.cfa() else {
            return None;
        };
        let mut frame_pointer = self.frame_pointer;
        let from = match register {
            X86_64::RSP => self.stack_pointer,
            X86_64::RBP => {
                let known = frame_pointer
                    .or_else(|| self.find_frame_pointer(&function, &entry, code, stack))?;
                *frame_pointer.insert(known)
            }
            _ => return None,
        };
        let canonical = from.checked_add_signed(offset)?;
        if canonical <= self.stack_pointer {
            return None;
        }
        let mut saved = |offset| stack.u64(canonical.checked_add_signed(offset)?);
        let Some(RegisterRule::Offset(offset)) = of_return else {
            // The thread's first function.
            return None;
        };
        let address = saved(offset).filter(|&address| address != 0)?;
        match of_frame_pointer {
            None | Some(RegisterRule::SameValue | RegisterRule::Undefined) => {}
            Some(RegisterRule::Offset(offset)) => frame_pointer = Some(saved(offset)?),
            Some(_) => frame_pointer = None,
        }
        Some(Frame {
            address,
            is_innermost: false,
            stack_pointer: canonical,
            frame_pointer,
        })
    }

    /// The frame pointer of a function that keeps one: what it has pushed since it set it is what
    /// its first instructions push. That holds if it has not moved the stack pointer later, so what
    /// would be the return address is to be one: behind a call, and of this function if the
    /// instruction tells.
    fn find_frame_pointer(
        &self,
        function: &FrameDescriptionEntry<Bytes<'_>>,
        entry: &Entry,
        code: &mut Memory,
        stack: &mut Memory,
    ) -> Option<u64> {
        let (section, bases) = (entry.section(), entry.bases());
        let mut context = UnwindContext::new();
        let mut rows = function.rows(&section, &bases, &mut context).ok()?;
        let is_set = CfaRule::RegisterAndOffset {
            register: X86_64::RBP,
            offset: 16,
        };
        let begin = loop {
            let row = rows.next_row().ok()??;
            if *row.cfa() == is_set {
                break row.start_address();
            }
        };
        let pushed = pushed_from(begin, self.lookup_address(), code)?;
        let found = self.stack_pointer.checked_add(pushed)?;
        let address = stack.u64(found.checked_add(8)?)?;
        is_behind_call_of(function.initial_address(), address, code).then_some(found)
    }
}

impl Entry {
    fn read(address: u64, memory: &mut Memory) -> Option<Entry> {
        let length = |address, memory: &mut Memory| {
            let length = memory.u32(address)?;
            // At least a distance or an id; zero ends the tables.
            (4..LONGEST_ENTRY)
                .contains(&length)
                .then_some(length as usize + 4)
        };
        let own_length = length(address, memory)?;
        let distance = memory.u32(address + 4)?;
        let shared = (address + 4).checked_sub(u64::from(distance))?;
        let own = length(shared, memory)?;
        let mut bytes = vec![0; own + own_length];
        memory.read(shared, &mut bytes[..own])?;
        memory.read(address, &mut bytes[own..])?;
        // In the tables the two may be far apart.
        let distance = own as u32 + 4;
        bytes[own + 4..own + 8].copy_from_slice(&distance.to_le_bytes());
        let base = address.checked_sub(own as u64)?;
        Some(Entry { bytes, own, base })
    }

    fn section(&self) -> EhFrame<Bytes<'_>> {
        let mut section = EhFrame::new(&self.bytes, LittleEndian);
        section.set_address_size(8);
        section
    }

    fn bases(&self) -> BaseAddresses {
        BaseAddresses::default().set_eh_frame(self.base)
    }

    fn parse<'a>(
        &self,
        section: &EhFrame<Bytes<'a>>,
        bases: &BaseAddresses,
    ) -> Option<FrameDescriptionEntry<Bytes<'a>>> {
        let shared = |section: &EhFrame<Bytes<'a>>, bases: &BaseAddresses, offset| {
            section.cie_from_offset(bases, offset)
        };
        section.fde_from_offset(bases, self.own.into(), shared).ok()
    }
}
