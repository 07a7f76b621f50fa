//! What is recorded, in 16 bytes.

use crate::tasks::Priority;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A poll begins, or goes on in this lane. Left out when it begins where the last one ended.
    Begin,
    /// A poll has returned, and its task waits or is runnable again.
    End,
    /// A poll has returned, and its task has ended.
    Done,
    /// The rest of the poll happens elsewhere: its thread has given the processor away.
    Leave,
    /// A task was made runnable.
    Wake,
    /// A task was spawned.
    Spawn,
    /// A worker took runnables from another processor's queue.
    Steal,
    /// A thread has acquired the processor.
    Acquire,
    /// A thread has released the processor.
    Release,
    /// The monitor has taken a processor from a stuck worker.
    Retake,
    /// So many runnables were in a [`Queue`].
    Depth,
    /// The poll that has begun is of a task of another class than `Normal`: the number of the
    /// [`Priority`].
    Class,
}

impl Kind {
    /// Whether it says that its thread polls, or has polled.
    pub(crate) fn is_of_polls(self) -> bool {
        !matches!(
            self,
            Kind::Wake | Kind::Spawn | Kind::Steal | Kind::Retake | Kind::Depth | Kind::Class
        )
    }

    const ALL: [Kind; 12] = [
        Kind::Begin,
        Kind::End,
        Kind::Done,
        Kind::Leave,
        Kind::Wake,
        Kind::Spawn,
        Kind::Steal,
        Kind::Acquire,
        Kind::Release,
        Kind::Retake,
        Kind::Depth,
        Kind::Class,
    ];
}

/// Bits of the second word that say what has happened; the others say when.
const KIND_BITS: u32 = 4;

/// Something that has happened in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: Kind,
    /// In ticks; see [`super::stamp`].
    pub(crate) stamp: u64,
    /// The [word](crate::tasks::Meta::tag) of the task; of a [`Kind::Acquire`] the thread; else a
    /// [`pair`].
    pub(crate) what: u64,
}

impl Event {
    pub(super) fn to_words(self) -> [u64; 2] {
        [self.what, self.stamp << KIND_BITS | self.kind as u64]
    }

    /// `None`: nobody has written this.
    pub(super) fn from_words([what, tag]: [u64; 2]) -> Option<Event> {
        let kind = *Kind::ALL.get((tag & ((1 << KIND_BITS) - 1)) as usize)?;
        let stamp = tag >> KIND_BITS;
        Some(Event { kind, stamp, what })
    }
}

/// A queue whose length is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Of a processor.
    Local(usize),
    Global,
    /// Of the jobs of the blocking pool.
    Blocking,
}

/// Far more than there are processors.
const GLOBAL: usize = u32::MAX as usize;
const BLOCKING: usize = GLOBAL - 1;

impl Queue {
    /// For a [`pair`].
    pub(crate) fn number(self) -> usize {
        match self {
            Queue::Local(processor) => processor,
            Queue::Global => GLOBAL,
            Queue::Blocking => BLOCKING,
        }
    }

    pub(super) fn from_number(number: usize) -> Queue {
        match number {
            GLOBAL => Queue::Global,
            BLOCKING => Queue::Blocking,
            processor => Queue::Local(processor),
        }
    }
}

/// The class in a [`Kind::Class`].
pub(super) fn class_of(what: u64) -> Priority {
    const INTERACTIVE: u64 = Priority::Interactive as u64;
    const BACKGROUND: u64 = Priority::Background as u64;
    match what {
        INTERACTIVE => Priority::Interactive,
        BACKGROUND => Priority::Background,
        _ => Priority::Normal,
    }
}

/// Two small numbers as one: a processor or queue, and how many runnables or which instance.
pub(crate) fn pair(first: usize, second: usize) -> u64 {
    (first as u64) << 32 | second as u64 & u64::from(u32::MAX)
}

pub(crate) fn unpair(what: u64) -> (usize, usize) {
    ((what >> 32) as usize, what as u32 as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_survives_packing() {
        for (number, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
            for (stamp, what) in [(0, 0), (1 << 59, u64::MAX), (12345, pair(65_535, 77))] {
                let event = Event { kind, stamp, what };
                assert_eq!(Event::from_words(event.to_words()), Some(event));
            }
        }
        assert_eq!(unpair(pair(65_535, 77)), (65_535, 77));
        assert_eq!(Event::from_words([0, 15]), None);
    }
}
