//! A dump asks tasks where they wait, beside what wakes and ends them: each task that was asked answers once, the asker
//! never waits in vain, and nobody's wake is lost.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::DEADLOCK;
use super::model::{Model, Plan, run};
use crate::checker::{explore, explore_twin_at_length};
use crate::runner::Check;
use crate::scheduler::submit::OnWorkers;
use crate::sync::{Arc, Mutex, thread};
use crate::tasks::capture::{self, ask as ask_member};
use crate::tasks::collector::Collector;
use crate::tasks::layout::meta_of;
use crate::tasks::registry::{Member, Registry};
use crate::tasks::{self, JoinHandle, Purpose};

pub(super) const CHECKS: &[Check] = &[
    Check::model("capture", || capture(None)),
    Check::twin("capture/notes-after-the-flag", DEADLOCK, || {
        capture(Some("capture-notes-after-the-flag"))
    })
    .shuttle_only(),
    Check::twin("capture/notes-after-the-wake", DEADLOCK, || {
        capture(Some("capture-notes-after-the-wake"))
    }),
    Check::twin("capture/asker-lets-the-lock-go", DEADLOCK, || {
        capture(Some("capture-asker-lets-the-lock-go"))
    }),
    Check::twin("capture/leaf-keeps-a-dead-waker", DEADLOCK, || {
        capture(Some("capture-leaf-keeps-a-dead-waker"))
    }),
    Check::model("capture-flag", || flag(None)).loom_only(),
    Check::twin("capture-flag/releases-nothing", DEADLOCK, || {
        flag(Some("capture-flag-releases-nothing"))
    })
    .loom_only(),
    // The others are of shuttle only: a task that is woken twice sees what the second waker did before its wake, and the
    // task's state orders the two.
    Check::model("capture-abort", || abort(None)).shuttle_only(),
    Check::twin("capture-abort/leave-ignores-it", DEADLOCK, || {
        abort(Some("capture-leave-ignores-it"))
    })
    .shuttle_only(),
    Check::twin("capture-abort/asks-the-dead", DEADLOCK, || {
        abort(Some("capture-asks-the-dead"))
    })
    .shuttle_only(),
    Check::model("capture-closing", || closing(None)).shuttle_only(),
    Check::twin("capture-closing/leave-ignores-it", DEADLOCK, || {
        closing(Some("capture-leave-ignores-it"))
    })
    .shuttle_only(),
    Check::model("capture-again", || again(None)).shuttle_only(),
    Check::twin("capture-again/flag-stays", TOO_OFTEN, || {
        again(Some("capture-flag-stays"))
    })
    .shuttle_only(),
    Check::twin("capture-again/answers-who-asked-first", DEADLOCK, || {
        again(Some("capture-answers-who-asked-first"))
    })
    .shuttle_only(),
    Check::twin("capture-again/answers-uncaptured", UNCAPTURED, || {
        again(Some("capture-answers-uncaptured"))
    })
    .shuttle_only(),
];

const TOO_OFTEN: &str = "a task is captured at most as often as it is asked";
const UNCAPTURED: &str = "a task that goes on was captured";

/// Loom has every interleaving of few threads.
const WORKERS: usize = if cfg!(executor_loom) { 1 } else { 2 };
const TASKS: usize = if cfg!(executor_loom) { 1 } else { 5 };

/// What a task waits for.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_open: bool,
    /// The one that the task was polled with last.
    waker: Option<Waker>,
}

impl Gate {
    /// Wakes the task, for nothing unless it is opened.
    fn wake(&self, opens: bool) {
        let waker = {
            let mut state = self.0.lock();
            state.is_open |= opens;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Gated<F> {
    gate: Gate,
    future: F,
}

impl<F: Future + Unpin> Future for Gated<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        {
            let mut state = self.gate.0.lock();
            if !state.is_open {
                let kept = state.waker.as_ref();
                if kept.is_none_or(|kept| !kept.will_wake(cx.waker())) {
                    state.waker = Some(cx.waker().clone());
                }
                drop(state);
                // Its poll lasts for a while.
                #[cfg(executor_shuttle)]
                crate::sync::thread::yield_now();
                return Poll::Pending;
            }
        }
        Pin::new(&mut self.future).poll(cx)
    }
}

/// Tasks that wait at gates; each was polled once, elsewhere.
fn spawn(model: &Model) -> (Vec<Gate>, Vec<JoinHandle<()>>) {
    let spawn = |number| {
        let gate = Gate::default();
        let gated = Gated {
            gate: gate.clone(),
            future: model.future(number),
        };
        let (runnable, handle) = tasks::create::<_, OnWorkers>(gated, 0, model.shared.registry);
        assert!(model.shared.count_remote_spawn(), "nobody has closed yet");
        model.shared.poll_off_processor(runnable, Purpose::Run);
        (gate, handle)
    };
    (0..TASKS).map(spawn).unzip()
}

/// Asks the tasks one after the other, as a dump does, and those that were being polled once more. How many were asked.
fn ask_all(registry: &'static Registry, collector: &Collector) -> usize {
    let mut asked = 0;
    let mut polled = Vec::new();
    for member in registry.members() {
        collector.wait(1, None);
        match ask_member(collector, member) {
            Some(member) => polled.push(member),
            None => asked += 1,
        }
    }
    collector.wait(0, None);
    asked + ask_polled(polled, collector)
}

fn ask_polled(polled: Vec<Member>, collector: &Collector) -> usize {
    let all = polled.len();
    all - polled
        .into_iter()
        .filter_map(|member| ask_member(collector, member))
        .count()
}

/// A dump without a deadline. How many were asked.
fn dump(registry: &'static Registry) -> usize {
    let collector = begin(registry);
    let asked = ask_all(registry, &collector);
    collector.wait(0, None);
    registry.end_collecting(&collector);
    let answers = collector.take();
    assert_eq!(answers.len(), asked, "each task that was asked answers");
    for answer in answers.values() {
        assert!(
            answer.has_ended || !answer.future.is_empty(),
            "{UNCAPTURED}"
        );
    }
    asked
}

fn begin(registry: &'static Registry) -> Arc<Collector> {
    let collector = Arc::new(Collector::default());
    assert!(registry.begin_collecting(&collector), "nobody else dumps");
    collector
}

/// Somebody wakes tasks, for nothing and then to end them, while they are asked.
fn capture(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        run(Plan::new(WORKERS, TASKS, twin), |model| {
            let (gates, _handles) = spawn(model);
            model.start_workers();
            model.thread(move |_| {
                gates.iter().for_each(|gate| gate.wake(false));
                gates.iter().for_each(|gate| gate.wake(true));
            });
            dump(model.shared.registry);
        });
    })
}

/// The end of a poll takes the flag of an asker whose wake has not come yet, so that the flag alone orders the two: the
/// asker is found, and the flag set again. Under loom no real poll ends there, as the wake and the flag are one step.
fn flag(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        run(Plan::new(WORKERS, TASKS, twin), |model| {
            let (gates, _handles) = spawn(model);
            let registry = model.shared.registry;
            let polled: Vec<Member> = registry.members().collect();
            let ends = thread::spawn(move || {
                for Member(waker) in &polled {
                    capture::end(meta_of(waker), Some(waker));
                }
            });
            let collector = begin(registry);
            let asked: Vec<Member> = registry.members().collect();
            for member in &asked {
                collector.ask_future(member.tag(), || member.want_stack());
            }
            ends.join().expect("it has not panicked");
            asked.into_iter().for_each(|Member(waker)| waker.wake());
            collector.wait(0, None);
            registry.end_collecting(&collector);
            gates.iter().for_each(|gate| gate.wake(true));
        });
    })
}

/// Somebody aborts tasks while they are asked.
fn abort(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        run(Plan::new(WORKERS, TASKS, twin), |model| {
            let (_gates, handles) = spawn(model);
            model.start_workers();
            model.thread(move |_| handles.iter().for_each(JoinHandle::abort));
            dump(model.shared.registry);
        });
    })
}

/// Somebody closes while tasks are asked.
fn closing(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        let plan = Plan { stays_open: true, ..Plan::new(WORKERS, TASKS, twin) };
        run(plan, |model| {
            let (_gates, _handles) = spawn(model);
            model.start_monitor();
            model.start_workers();
            model.thread(|model| drop(dump(model.shared.registry)));
            model.close();
        });
    })
}

/// Tasks are asked by somebody who gives up at once, and then by another one, while they are woken.
fn again(twin: Option<&'static str>) -> usize {
    explore_twin_at_length(twin.is_some(), 2, move || {
        run(Plan::new(WORKERS, TASKS, twin), |model| {
            let (gates, _handles) = spawn(model);
            model.start_workers();
            let wakes = gates.clone();
            model.thread(move |_| {
                for _ in 0..2 {
                    wakes.iter().for_each(|gate| gate.wake(false));
                }
            });
            let registry = model.shared.registry;
            let hasty = begin(registry);
            let members = registry.members().collect();
            let mut asked = ask_polled(members, &hasty);
            registry.end_collecting(&hasty);
            asked += dump(registry);
            assert!(registry.num_captured() <= asked as u64, "{TOO_OFTEN}");
            gates.iter().for_each(|gate| gate.wake(true));
        });
    })
}
