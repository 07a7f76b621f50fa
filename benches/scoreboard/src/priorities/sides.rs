//! Who takes part, Go aside.

use std::future::Future;

use executor::task::Priority;

use super::measure::{Side, alone, beside};
use crate::runtimes::Tokio;
use crate::support::{Gosched, Scheduler, workers};

/// The figures of one run.
pub(super) fn run(side: &str, is_beside: bool) -> Vec<f64> {
    let all = workers();
    match side {
        "classes" => scene(Classes::new(None), is_beside),
        "classes-all" => scene(Classes::new(Some(all)), is_beside),
        "plain" => scene(One(Gosched::start()), is_beside),
        "tokio" => scene(One(Tokio::start()), is_beside),
        "tokio-two" => scene(Two(Tokio::start(), Tokio::start()), is_beside),
        _ => panic!("no side is called {side}"),
    }
}

/// The process ends after it: so that tasks may hold it, it is never dropped.
fn scene<S: Side>(side: S, is_beside: bool) -> Vec<f64> {
    let side = Box::leak(Box::new(side));
    match is_beside {
        true => beside(side),
        false => alone(side),
    }
}

/// Classes of this crate.
struct Classes {
    _runtime: executor::Runtime,
    interactive: executor::Handle,
    background: executor::Handle,
}

impl Classes {
    fn new(limit: Option<usize>) -> Classes {
        let mut builder = executor::Builder::new().worker_threads(workers());
        if let Some(limit) = limit {
            builder = builder.background_limit(limit);
        }
        let runtime = builder.build().expect("threads");
        Classes {
            interactive: runtime.handle().with_priority(Priority::Interactive),
            background: runtime.handle().with_priority(Priority::Background),
            _runtime: runtime,
        }
    }
}

impl Side for Classes {
    type Runtime = Gosched;

    fn interactive<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        drop(self.interactive.spawn(future));
    }

    fn batch<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        drop(self.background.spawn(future));
    }

    async fn await_one_of_batch(&'static self) {
        let _ = self.background.spawn(async {}).await;
    }
}

/// All on one runtime, alike.
struct One<R>(R);

impl<R: crate::support::Runtime> Side for One<R> {
    type Runtime = R;

    fn interactive<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        self.0.spawn_from_outside(future);
    }

    fn batch<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        self.0.spawn_from_outside(future);
    }
}

/// The batch on a runtime of its own, as DataFusion's documentation has it.
struct Two<R>(R, R);

impl<R: crate::support::Runtime> Side for Two<R> {
    type Runtime = R;

    fn interactive<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        self.0.spawn_from_outside(future);
    }

    fn batch<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        self.1.spawn_from_outside(future);
    }
}
