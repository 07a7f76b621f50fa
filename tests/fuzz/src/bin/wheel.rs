//! The timer wheel against a list: arm, cancel, reset, change the waker, advance, drain, in any order and at any tick.

#![no_main]

use std::cell::Cell;
use std::task::{RawWaker, RawWakerVTable, Waker};

use gosched_fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../../../src/scheduler/timers/wheel.rs"]
#[rustfmt::skip]
mod wheel;

use wheel::{Key, Wheel};

fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes::new(input);
    let mut both = Both::new();
    while let Some(op) = bytes.op() {
        both.apply(op, &mut bytes);
        both.compare();
    }
    both.advance(u64::MAX);
    both.compare();
    assert_eq!(both.wheel.len(), 0);
    assert_eq!(alive(0), 0, "a waker was leaked or dropped twice");
});

thread_local! {
    /// Wakers of [`waker`] that exist.
    static ALIVE: Cell<isize> = const { Cell::new(0) };
}

fn alive(change: isize) -> isize {
    ALIVE.set(ALIVE.get() + change);
    ALIVE.get()
}

/// A waker that is only a number. The wheel must not clone, wake or forget it.
fn waker(id: usize) -> Waker {
    fn dropped(_: *const ()) {
        alive(-1);
    }
    fn cloned(_: *const ()) -> RawWaker {
        panic!("the wheel cloned a waker");
    }
    fn woken(_: *const ()) {
        panic!("the wheel woke a waker");
    }
    static TABLE: RawWakerVTable = RawWakerVTable::new(cloned, woken, woken, dropped);
    alive(1);
    // SAFETY: the functions never follow the pointer, which only carries a number, and all is done on one thread.
    unsafe { Waker::new(std::ptr::without_provenance(id), &TABLE) }
}

fn id(waker: &Waker) -> usize {
    waker.data().addr()
}

/// A timer as the list knows it: one more line for each that was ever armed.
struct Line {
    key: Key,
    /// The tick at which it fires and its waker; `None` once it is gone.
    armed: Option<(u64, usize)>,
}

/// The wheel and the list.
struct Both {
    wheel: Wheel,
    lines: Vec<Line>,
    now: u64,
    wakers: usize,
}

impl Both {
    fn new() -> Both {
        Both {
            wheel: Wheel::new(),
            lines: Vec::new(),
            now: 0,
            wakers: 0,
        }
    }

    fn next_waker(&mut self) -> usize {
        self.wakers += 1;
        self.wakers
    }

    fn apply(&mut self, op: u8, bytes: &mut Bytes<'_>) {
        let back = op & 0x80 != 0;
        match op & 0x0f {
            0..=3 => {
                let (tick, id) = (self.tick(back, bytes), self.next_waker());
                let key = self.wheel.insert(tick, waker(id));
                let armed = Some((tick.max(self.now), id));
                self.lines.push(Line { key, armed });
            }
            4 | 5 => self.cancel(bytes),
            6 | 7 => {
                let tick = self.tick(back, bytes);
                self.reset(tick, bytes);
            }
            8 => self.replace_waker(bytes),
            9 => {
                let tick = self.tick(back, bytes);
                self.advance(tick);
            }
            10 | 11 => self.advance(self.now.saturating_add(u64::from(bytes.byte()))),
            12 | 13 => {
                if let Some(next) = self.wheel.next_expiry() {
                    self.advance(next);
                    assert_ne!(
                        self.wheel.next_expiry(),
                        Some(next),
                        "no progress at {next}"
                    );
                }
            }
            14 => self.drain(),
            // The place in the slab is used again at once.
            _ => {
                for _ in 0..bytes.byte() {
                    let key = self.wheel.insert(self.now.saturating_add(70), waker(0));
                    assert!(self.wheel.cancel(key).is_some());
                    assert!(self.wheel.cancel(key).is_none());
                }
            }
        }
    }

    fn tick(&self, back: bool, bytes: &mut Bytes<'_>) -> u64 {
        let distance = bytes.magnitude();
        if back {
            self.now.saturating_sub(distance)
        } else {
            self.now.saturating_add(distance)
        }
    }

    /// Any timer there ever was.
    fn any(&mut self, bytes: &mut Bytes<'_>) -> Option<&mut Line> {
        let count = self.lines.len();
        let n = usize::from(bytes.byte());
        (count > 0).then(|| &mut self.lines[n % count])
    }

    fn cancel(&mut self, bytes: &mut Bytes<'_>) {
        let Some(line) = self.any(bytes) else { return };
        let (key, expected) = (line.key, line.armed.take());
        let cancelled = self.wheel.cancel(key);
        assert_eq!(cancelled.as_ref().map(id), expected.map(|timer| timer.1));
    }

    fn reset(&mut self, tick: u64, bytes: &mut Bytes<'_>) {
        let now = self.now;
        let Some(line) = self.any(bytes) else { return };
        let key = line.key;
        let armed = line.armed.is_some();
        if let Some(timer) = &mut line.armed {
            timer.0 = tick.max(now);
        }
        assert_eq!(self.wheel.reset(key, tick), armed);
    }

    fn replace_waker(&mut self, bytes: &mut Bytes<'_>) {
        let new = self.next_waker();
        let Some(line) = self.any(bytes) else { return };
        let key = line.key;
        let expected = line
            .armed
            .as_mut()
            .map(|timer| std::mem::replace(&mut timer.1, new));
        match (self.wheel.replace_waker(key, waker(new)), expected) {
            (Ok(old), Some(expected)) => assert_eq!(id(&old), expected),
            (Err(back), None) => assert_eq!(id(&back), new),
            (found, _) => panic!("wheel and list disagree on who is armed: {found:?}"),
        }
    }

    fn advance(&mut self, to: u64) {
        let mut fired = Vec::new();
        // All at once, or in pieces until nothing more is due.
        let piece = [usize::MAX, 3][to as usize % 2];
        loop {
            let count = self.wheel.advance(to, piece, &mut fired);
            assert!(
                count <= piece.saturating_mul(2),
                "a piece, and one of the backlog"
            );
            let due = self.wheel.next_expiry();
            // The call that finds nothing more brings the wheel to its tick.
            if to < self.now || count == 0 && due.is_none_or(|due| due > to) {
                break;
            }
        }
        let mut due = Vec::new();
        if to >= self.now {
            self.now = to;
            for line in &mut self.lines {
                due.extend(line.armed.take_if(|&mut (tick, _)| tick <= to));
            }
        }
        // In the order of ticks, unless in pieces; within one tick in any.
        let tick_of = |waker: &Waker| due.iter().find(|timer| timer.1 == id(waker));
        let ticks: Vec<_> = fired
            .iter()
            .map(|waker| tick_of(waker).map(|timer| timer.0))
            .collect();
        assert!(ticks.iter().all(Option::is_some), "fired early or twice");
        assert!(ticks.is_sorted() || piece == 3, "fired out of order");
        assert_eq!(fired.len(), due.len(), "fired late or never");
    }

    fn drain(&mut self) {
        let mut drained = Vec::new();
        self.wheel.drain(&mut drained);
        let mut found: Vec<usize> = drained.iter().map(id).collect();
        let lines = self.lines.iter_mut();
        let mut expected: Vec<usize> = lines.filter_map(|l| l.armed.take()).map(|t| t.1).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    fn compare(&self) {
        let armed = || self.lines.iter().filter_map(|line| line.armed);
        assert_eq!(self.wheel.len(), armed().count());
        assert_eq!(alive(0), armed().count() as isize);
        let earliest = armed().map(|timer| timer.0).min();
        match (self.wheel.next_expiry(), earliest) {
            (None, None) => {}
            (Some(next), Some(earliest)) => assert!(self.now <= next && next <= earliest),
            (next, earliest) => panic!("next expiry {next:?}, earliest {earliest:?}"),
        }
        for line in &self.lines {
            let expected = line.armed.map(|timer| timer.1);
            assert_eq!(self.wheel.waker(line.key).map(id), expected);
        }
    }
}
