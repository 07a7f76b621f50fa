//! Submitting, lying down and finding: no token is left in a queue while everybody sleeps.

use super::DEADLOCK;
use crate::checker::explore;
use crate::runner::Check;
use crate::scheduler::yard::{Flaw, Plan, Yard};

pub(super) const CHECKS: &[Check] = &[
    Check::model("submit", || submit(None)),
    Check::twin("submit/submitter-has-no-fence", DEADLOCK, || {
        submit(Some(Flaw::SubmitterHasNoFence))
    })
    .loom_only(),
    Check::twin("submit/submitter-looks-first", DEADLOCK, || {
        submit(Some(Flaw::SubmitterLooksFirst))
    }),
    Check::twin("submit/sleeper-has-no-fence", DEADLOCK, || {
        submit(Some(Flaw::SleeperHasNoFence))
    })
    .loom_only(),
    Check::twin("submit/sleeper-looks-no-more", DEADLOCK, || {
        submit(Some(Flaw::SleeperLooksNoMore))
    }),
    Check::model("submit-to-seat", submit_to_seat),
    Check::model("two-submitters", || two_submitters(None)),
    Check::twin("two-submitters/no-wake-budget", "a wake-up too many", || {
        two_submitters(Some(Flaw::SubmitterWakesAnyway))
    }),
    Check::model("two-submitters-one-spare", two_submitters_one_spare),
    Check::model("restless", || restless(None)),
    Check::twin("restless/sneaks-out", "a gift was left in bed", || {
        restless(Some(Flaw::SleeperSneaksOut))
    }),
    Check::model("house", || house(None)).shuttle_only(),
    Check::twin("house/sleeper-looks-no-more", DEADLOCK, || {
        house(Some(Flaw::SleeperLooksNoMore))
    })
    .shuttle_only(),
    Check::twin("house/submitter-looks-first", DEADLOCK, || {
        house(Some(Flaw::SubmitterLooksFirst))
    })
    .shuttle_only(),
];

/// One submitter while the only worker goes to sleep.
fn submit(flaw: Option<Flaw>) -> usize {
    explore(3, move || {
        let (yard, cores) = Yard::new(Plan {
            processors: 1,
            tokens: 1,
            flaw,
            ..Plan::default()
        });
        cores
            .into_iter()
            .for_each(|core| yard.start(Some(core), false));
        yard.submit(0);
        yard.settle();
    })
}

/// The same, and the worker waits in the netpoller's seat.
fn submit_to_seat() -> usize {
    explore(2, || {
        let (yard, cores) = Yard::new(Plan {
            processors: 1,
            tokens: 1,
            seats: true,
            ..Plan::default()
        });
        cores
            .into_iter()
            .for_each(|core| yard.start(Some(core), false));
        yard.submit(0);
        yard.settle();
    })
}

/// Two submitters, two workers that go to sleep; and no more wake-ups than searches have ended.
fn two_submitters(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let (yard, cores) = Yard::new(Plan {
            processors: 2,
            tokens: 2,
            flaw,
            ..Plan::default()
        });
        cores
            .into_iter()
            .for_each(|core| yard.start(Some(core), false));
        yard.spawn(|yard| yard.submit(0));
        yard.submit(1);
        yard.settle();
    })
}

/// Two submitters and one core that lies here; a spare worker may take it while one of them tries to claim it.
fn two_submitters_one_spare() -> usize {
    explore(3, || {
        let (yard, cores) = Yard::new(Plan {
            processors: 1,
            tokens: 2,
            ..Plan::default()
        });
        yard.idle.put_cores(cores);
        yard.start(None, false);
        yard.spawn(|yard| yard.submit(0));
        yard.submit(1);
        yard.settle();
    })
}

/// A worker gets up by itself while it is given a core.
fn restless(flaw: Option<Flaw>) -> usize {
    explore(3, move || {
        let (yard, cores) = Yard::new(Plan {
            processors: 1,
            tokens: 2,
            restless: true,
            flaw,
            ..Plan::default()
        });
        cores
            .into_iter()
            .for_each(|core| yard.start(Some(core), false));
        yard.submit(0);
        yard.submit(1);
        yard.settle();
    })
}

/// Everything at once: four workers, one of them in the seat, two submitters, tokens that submit others on their worker.
fn house(flaw: Option<Flaw>) -> usize {
    const PARENTS: usize = 7;
    explore(0, move || {
        let (yard, cores) = Yard::new(Plan {
            processors: 4,
            tokens: 3 * PARENTS,
            parents: PARENTS,
            seats: true,
            restless: true,
            flaw,
        });
        cores
            .into_iter()
            .for_each(|core| yard.start(Some(core), false));
        yard.spawn(|yard| (0..PARENTS / 2).for_each(|number| yard.submit(number)));
        (PARENTS / 2..PARENTS).for_each(|number| yard.submit(number));
        yard.settle();
    })
}
