//! A bounded record of events that one thread writes and any may copy, while it writes.
//!
//! # Protocol
//!
//! The writer, for event number `n`:
//!
//! 1. `begun = n + 1`.
//! 2. The two words of the event, into place `n` modulo the capacity: over event `n - capacity`.
//! 3. `written = n + 1`, with `Release`.
//!
//! A reader:
//!
//! 4. Loads `written` with `Acquire`: all events below it are there, unless they have been
//!    overwritten.
//! 5. Copies the last `capacity` of them.
//! 6. Fences, and loads `begun`: what it copied of events below `begun - capacity` may be half of
//!    another one, and is dropped.
//!
//! The failure that `begun` prevents: with one count, written last, the event that is being written
//! at the moment would not be known to the reader, and its place would be taken for the event that
//! was there before. The store of step 1 is seen by step 6 if the words of step 2 were seen by step
//! 5: a `Release` fence stands between the stores (on x86 it is no instruction), an `Acquire` fence
//! between the loads (a seqlock; Boehm, "Can seqlocks get along with programming language memory
//! models?", 2012).
//!
//! Only one thread writes at a time, and who takes the ring over sees what its predecessor wrote
//! (the processor that it belongs to went from hand to hand), so the counts are plain loads for the
//! writer.

use super::event::Event;
use crate::sync::OnceLock;
use crate::sync::atomic::{AtomicU64, Ordering, fence};

/// Events of a piece, a power of two: 64 KiB. Pieces are made as they are reached, so a ring that
/// is never full is never paid for. Models have shorter ones.
const PIECE: usize = 1 << 12;

/// Of fixed length, so that a place in it needs no check.
type Piece<const PIECE: usize> = Box<[[AtomicU64; 2]; PIECE]>;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Ring<const PIECE: usize = { self::PIECE }> {
    pieces: Box<[OnceLock<Piece<PIECE>>]>,
    /// The capacity, less one. Changed while nobody writes, so that its next writer sees it; a
    /// reader that does not copies from before the change, which nobody asks for.
    mask: AtomicU64,
    /// See the protocol: the writer stores both, readers pair with it.
    begun: AtomicU64,
    written: AtomicU64,
}

/// What a reader has copied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) events: Vec<Event>,
    /// Events that were overwritten before they could be copied.
    pub(crate) lost: u64,
}

impl<const PIECE: usize> Ring<PIECE> {
    /// With the largest capacity there may be.
    pub(crate) fn new(capacity: usize) -> Self {
        let pieces = pieces::<PIECE>(capacity);
        Ring {
            pieces: (0..pieces).map(|_| OnceLock::new()).collect(),
            mask: AtomicU64::new((pieces * PIECE - 1) as u64),
            begun: AtomicU64::new(0),
            written: AtomicU64::new(0),
        }
    }

    /// From now on there is room for so many events, or up to twice as many. Nobody may write at
    /// the moment, and what was written is not to be copied any more.
    pub(crate) fn set_capacity(&self, capacity: usize) {
        let pieces = pieces::<PIECE>(capacity).min(self.pieces.len());
        let mask = (pieces * PIECE - 1) as u64;
        self.mask.store(mask, Ordering::Relaxed);
    }

    fn capacity(&self) -> u64 {
        self.mask.load(Ordering::Relaxed) + 1
    }

    /// Piece and place in it of an event.
    #[inline]
    fn place(&self, number: u64) -> (&OnceLock<Piece<PIECE>>, usize) {
        let index = (number & self.mask.load(Ordering::Relaxed)) as usize;
        (&self.pieces[index / PIECE], index % PIECE)
    }

    /// Writes an event over the oldest one. By one thread at a time, see the module's
    /// documentation.
    #[inline]
    pub(crate) fn push(&self, event: Event) {
        let number = self.begun.load(Ordering::Relaxed);
        self.begun.store(number + 1, Ordering::Relaxed);
        // Step 1 before step 2. Pairs with the fence in `copy`.
        fence(Ordering::Release);
        let (piece, place) = self.place(number);
        let piece = piece.get_or_init(new_piece);
        let tags = event.to_words();
        piece[place][0].store(tags[0], Ordering::Relaxed);
        piece[place][1].store(tags[1], Ordering::Relaxed);
        // Pairs with the load in `copy`.
        self.written.store(number + 1, Ordering::Release);
    }

    /// How many events have been written so far.
    pub(crate) fn position(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// The events since a [`position`](Ring::position), as far as they are still there.
    pub(crate) fn copy(&self, since: u64) -> Copied {
        let written = self.written.load(Ordering::Acquire);
        let oldest = written.saturating_sub(self.capacity()).max(since);
        let tags: Vec<[u64; 2]> = (oldest..written).map(|number| self.read(number)).collect();
        // Step 6: pairs with the fence in `push`.
        fence(Ordering::Acquire);
        let begun = self.begun.load(Ordering::Relaxed);
        let whole = begun.saturating_sub(self.capacity()).max(oldest);
        let broken = ((whole - oldest) as usize).min(tags.len());
        let events = tags[broken..]
            .iter()
            .filter_map(|&tags| Event::from_words(tags));
        Copied {
            events: events.collect(),
            lost: oldest + broken as u64 - since.min(oldest),
        }
    }

    fn read(&self, number: u64) -> [u64; 2] {
        let (piece, place) = self.place(number);
        match piece.get() {
            Some(piece) => [
                piece[place][0].load(Ordering::Relaxed),
                piece[place][1].load(Ordering::Relaxed),
            ],
            // Not so: what was written has its piece. All ones are no event.
            None => [u64::MAX; 2],
        }
    }
}

#[cold]
fn new_piece<const PIECE: usize>() -> Piece<PIECE> {
    let places: Vec<[AtomicU64; 2]> = (0..PIECE).map(|_| Default::default()).collect();
    let Ok(piece) = places.try_into() else {
        unreachable!("it has PIECE places");
    };
    piece
}

/// So many pieces for so many events: a power of two, so that the place of an event is found
/// without a division.
fn pieces<const PIECE: usize>(capacity: usize) -> usize {
    capacity.div_ceil(PIECE).max(1).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::super::event::Kind;
    use super::*;

    fn event(number: u64) -> Event {
        Event {
            kind: Kind::Wake,
            stamp: number,
            what: number,
        }
    }

    #[test]
    fn the_oldest_go_first_and_are_counted() {
        let ring = Ring::<PIECE>::new(1);
        let capacity = ring.capacity();
        (0..capacity).for_each(|number| ring.push(event(number)));
        assert_eq!(ring.copy(0).events.len() as u64, capacity);
        assert_eq!(ring.copy(0).lost, 0);
        (0..3).for_each(|number| ring.push(event(capacity + number)));
        let copied = ring.copy(0);
        assert_eq!(copied.lost, 3);
        assert!(copied.events.into_iter().eq((3..capacity + 3).map(event)));
        let copied = ring.copy(capacity + 1);
        assert_eq!(copied.lost, 0, "what came before is not asked for");
        assert!(
            copied
                .events
                .into_iter()
                .eq((capacity + 1..capacity + 3).map(event))
        );
    }

    #[test]
    fn the_capacity_can_be_less_for_a_while() {
        let ring = Ring::<PIECE>::new(4 * PIECE);
        (0..100).for_each(|number| ring.push(event(number)));
        let begin = ring.position();
        ring.set_capacity(PIECE);
        (0..2 * PIECE as u64).for_each(|number| ring.push(event(number)));
        let copied = ring.copy(begin);
        assert_eq!((copied.events.len(), copied.lost), (PIECE, PIECE as u64));
        let begin = ring.position();
        ring.set_capacity(3 * PIECE);
        (0..4 * PIECE as u64).for_each(|number| ring.push(event(number)));
        let copied = ring.copy(begin);
        assert!(
            copied
                .events
                .into_iter()
                .eq((0..4 * PIECE as u64).map(event))
        );
    }

    #[test]
    fn an_empty_ring_has_no_memory_and_no_events() {
        let ring = Ring::<PIECE>::new(1 << 20);
        assert!(ring.pieces.iter().all(|piece| piece.get().is_none()));
        assert_eq!(ring.copy(0).events, []);
        ring.push(event(7));
        assert_eq!(
            ring.pieces
                .iter()
                .filter(|piece| piece.get().is_some())
                .count(),
            1
        );
    }
}
