//! Futures and closures of 900 KiB, from threads with 2 MiB of stack. That leaves room for two copies of one, so each entry point
//! must box it before it passes it on. A stack that overflows ends the process, so each case has one of its own.

use std::env;
use std::future::IntoFuture;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use executor::runtime::Builder;
use executor::task::{self, JoinSet, yield_now};
use executor::{Handle, Runtime, block_on, spawn, spawn_blocking, spawn_local};

use crate::common::{run_ignored, within_patience};

/// The tools that see every access need more of the stack.
const SIZE: usize = match option_env!("EXECUTOR_TEST_SLOW") {
    None => 900 * 1024,
    Some(_) => 300 * 1024,
};
const STACK: usize = 2 * 1024 * 1024;

async fn large() -> u8 {
    let mut bytes = [0; SIZE];
    black_box(&mut bytes)[SIZE - 1] = 7;
    yield_now().await;
    black_box(&bytes)[SIZE - 1]
}

/// The same for a future that must stay on its thread.
async fn large_local() -> u8 {
    let output = large().await;
    black_box(*std::rc::Rc::new(output))
}

fn large_job() -> impl FnOnce() -> u8 + Send {
    let mut bytes = [0; SIZE];
    black_box(&mut bytes)[SIZE - 1] = 7;
    move || black_box(&bytes)[SIZE - 1]
}

fn runtime() -> Runtime {
    let builder = Builder::new().worker_threads(1).thread_stack_size(STACK);
    builder.build().unwrap()
}

/// Calls the entry point in a task of a worker, and awaits what it gives.
fn in_task<H>(call: impl FnOnce() -> H + Send + 'static)
where
    H: IntoFuture<Output = Result<u8, executor::JoinError>>,
    H::IntoFuture: Send,
{
    let runtime = runtime();
    let output = runtime.spawn(async move {
        let future = call().into_future();
        future.await.unwrap()
    });
    assert_eq!(block_on(output).unwrap(), 7);
}

/// Calls the entry point on a thread that is in no runtime.
fn on_thread(call: impl FnOnce() -> u8 + Send + 'static) {
    let thread = thread::Builder::new().stack_size(STACK);
    assert_eq!(thread.spawn(call).unwrap().join().unwrap(), 7);
}

async fn next<T>(mut set: JoinSet<T>) -> Result<T, executor::JoinError> {
    set.join_next().await.unwrap()
}

const CASE: &str = "EXECUTOR_TEST_LARGE";

/// The entry points, by name.
const CASES: &[(&str, fn())] = &[
    ("a task", || in_task(|| spawn(large()))),
    ("a task with a name", || {
        in_task(|| task::Builder::new().name("large").spawn(large()))
    }),
    ("a task of a builder without a name", || {
        in_task(|| task::Builder::new().spawn(large()))
    }),
    ("a task by handle", || {
        in_task(|| Handle::current().spawn(large()))
    }),
    ("a task by runtime", || {
        on_thread(|| {
            let runtime = runtime();
            block_on(runtime.spawn(large())).unwrap()
        })
    }),
    ("a task of a join set", || {
        in_task(|| {
            let mut set = JoinSet::new();
            set.spawn(large());
            Box::pin(next(set))
        })
    }),
    ("a blocking job", || in_task(|| spawn_blocking(large_job()))),
    ("a blocking job by handle", || {
        in_task(|| Handle::current().spawn_blocking(large_job()))
    }),
    ("a blocking job by runtime", || {
        on_thread(|| {
            let runtime = runtime();
            block_on(runtime.spawn_blocking(large_job())).unwrap()
        })
    }),
    ("a blocking job of a join set", || {
        in_task(|| {
            let mut set = JoinSet::new();
            set.spawn_blocking(large_job());
            Box::pin(next(set))
        })
    }),
    ("a local task", || {
        on_thread(|| block_on(async { spawn_local(large_local()).await.unwrap() }))
    }),
    ("a main task", || on_thread(|| executor::run(large()))),
    ("a main future", || on_thread(|| block_on(large()))),
    ("a main future by handle", || {
        on_thread(|| {
            let handle = runtime();
            handle.handle().block_on(large())
        })
    }),
    ("a main future by runtime", || {
        on_thread(|| runtime().block_on(large()))
    }),
    #[cfg(feature = "hyper")]
    ("a task of hyper", || {
        on_thread(|| {
            let (tell, told) = std::sync::mpsc::channel();
            hyper::rt::Executor::execute(&executor::compat::HyperExecutor, tells(tell));
            told.recv().unwrap()
        })
    }),
    #[cfg(feature = "futures-task")]
    ("a task of futures", || {
        on_thread(|| {
            let runtime = runtime();
            let (tell, told) = std::sync::mpsc::channel();
            futures::task::SpawnExt::spawn(runtime.handle(), tells(tell)).unwrap();
            told.recv().unwrap()
        })
    }),
];

#[test]
fn each_entry_point_takes_a_large_future() {
    within_patience(|| {
        for (name, _) in CASES {
            println!("{name}");
            run_ignored(module_path!(), "one_entry_point", CASE, name);
        }
    });
}

#[test]
#[ignore = "each_entry_point_takes_a_large_future starts it in a process of its own"]
fn one_entry_point() {
    let name = env::var(CASE).unwrap();
    let (_, case) = CASES.iter().find(|(other, _)| *other == name).unwrap();
    case();
}

#[allow(dead_code)]
async fn tells(tell: std::sync::mpsc::Sender<u8>) {
    tell.send(large().await).unwrap();
}

/// A box more must not be a box for ever, nor hide what is in it.
#[test]
fn a_large_future_is_dropped_once_before_its_handle_resolves() {
    struct Flag(Arc<AtomicUsize>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    within_patience(|| {
        let drops = Arc::default();
        let flag = Flag(Arc::clone(&drops));
        let handle = spawn(async move {
            let _flag = flag;
            let bytes = black_box([0; 64 * 1024]);
            std::future::pending::<()>().await;
            black_box(bytes);
        });
        handle.abort();
        assert!(block_on(handle).unwrap_err().is_cancelled());
        assert_eq!(drops.load(SeqCst), 1);
    });
}
