//! The timeline's ring, and its models: one thread writes over old events while another copies.

#[path = "../../../src/observe/timeline/event.rs"]
#[rustfmt::skip]
mod event;
#[path = "../../../src/observe/timeline/ring.rs"]
#[rustfmt::skip]
mod ring;

use event::{Event, Kind};
use ring::Ring;

use crate::checker::explore;
use crate::runner::Check;
use crate::sync::{Arc, Hole, thread, with_hole};

pub(crate) const CHECKS: &[Check] = &[
    Check::model("ring", || explore(3, || ring(None, None, false))),
    Check::model("ring-changes-hands", || {
        explore(2, || ring(None, None, true))
    }),
    Check::twin("ring/writer-unfenced", BROKEN, || {
        explore(3, || ring(Some(Hole::NoFence), None, false))
    })
    .loom_only(),
    Check::twin("ring/reader-unfenced", BROKEN, || {
        explore(3, || ring(None, Some(Hole::NoFence), false))
    })
    .loom_only(),
];

const BROKEN: &str = "an event that nobody wrote";

/// Events of a piece, and of the ring.
const EVENTS: usize = 2;

fn event(number: u64) -> Event {
    Event {
        kind: Kind::Wake,
        stamp: number,
        what: number,
    }
}

/// A ring of two events is copied while the third and fourth come.
fn ring(writer: Option<Hole>, reader: Option<Hole>, changes: bool) {
    let ring = Arc::new(Ring::<EVENTS>::new(EVENTS));
    ring.push(event(0));
    ring.push(event(1));
    let writes = {
        let ring = ring.clone();
        thread::spawn(move || {
            with_hole(writer, || {
                ring.push(event(2));
                if !changes {
                    ring.push(event(3));
                }
            });
            if changes {
                // The processor goes from hand to hand, by a lock.
                thread::spawn(move || ring.push(event(3)))
                    .join()
                    .expect("it ends");
            }
        })
    };
    let copied = with_hole(reader, || ring.copy(0));
    for event in &copied.events {
        assert!(event.what == event.stamp && event.what < 4, "{BROKEN}");
    }
    let first = copied
        .events
        .first()
        .map_or(copied.lost, |event| event.what);
    assert_eq!(copied.lost, first, "{BROKEN}");
    for pair in copied.events.windows(2) {
        assert_eq!(pair[0].what + 1, pair[1].what, "{BROKEN}");
    }
    writes.join().expect("it ends");
    let after = ring.copy(0);
    assert_eq!(after.lost, 2);
    assert_eq!(after.events, [event(2), event(3)]);
}
