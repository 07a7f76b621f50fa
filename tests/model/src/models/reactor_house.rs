//! The house with the reactor in its midst: what workers find in files as they look around, and what with the driver.

use std::os::fd::AsFd;
use std::sync::Arc as PlainArc;
use std::task::{Context, Poll, Wake, Waker};

use super::DEADLOCK;
use super::model::{Model, Plan, run};
use crate::checker::explore_at_length;
use crate::kernel::Pipe;
use crate::reactor::{Direction, Reactor};
use crate::runner::Check;
use crate::sync::Arc;

pub(super) const CHECKS: &[Check] = &[
    Check::model("reactor-house", || house(None)).shuttle_only(),
    Check::twin("reactor-house/parker-looks-no-more", DEADLOCK, || {
        house(Some("parker-looks-no-more"))
    })
    .shuttle_only(),
    Check::twin("reactor-house/driver-wakes-nobody", DEADLOCK, || {
        house(Some("driver-wakes-nobody"))
    })
    .shuttle_only(),
];

/// A waker of another executor, that spawns a task.
struct Spawn(Model, usize);

impl Wake for Spawn {
    fn wake(self: PlainArc<Self>) {
        self.0.spawn(self.1);
    }
}

/// Four workers with the reactor in their midst: tasks come from outside, from other tasks, and from files, of which
/// each worker finds some as it looks around and some with the driver.
fn house(twin: Option<&'static str>) -> usize {
    const PARENTS: usize = 4;
    const FILES: usize = 8;
    const FIRST: usize = 3 * PARENTS;
    explore_at_length(0, move || {
        let plan = Plan { parents: PARENTS, driver: true, ..Plan::new(4, FIRST + FILES, twin) };
        run(plan, |model| {
            let pipes: Vec<_> = (0..FILES).map(|_| Arc::new(Pipe::new(0))).collect();
            let reactor = model.shared.reactor().expect("it is open");
            let sources: Vec<_> = (pipes.iter())
                .map(|pipe| Reactor::register(&reactor, pipe.as_fd()))
                .map(|source| source.expect("this kernel refuses nothing"))
                .collect();
            for (index, source) in sources.iter().enumerate() {
                let waker = Waker::from(PlainArc::new(Spawn(model.clone(), FIRST + index)));
                let mut context = Context::from_waker(&waker);
                if let Poll::Ready(Ok(seen)) = source.poll_ready(Direction::Read, &mut context) {
                    source.clear_ready(Direction::Read, seen);
                }
                let waits = source
                    .poll_ready(Direction::Read, &mut context)
                    .is_pending();
                assert!(waits, "nobody has sent anything");
            }
            model.start_workers();
            model.thread(move |_| pipes.iter().for_each(|pipe| pipe.send()));
            (0..PARENTS).for_each(|number| model.spawn(number));
            model.wait_ended();
        });
    })
}
