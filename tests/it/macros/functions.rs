//! Functions of every kind with `#[executor::main]` and `#[executor::test]`: what they are given, how they end.

use std::error::Error;
use std::future::pending;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use super::harness::Harness;
use crate::common::{full_name, message};
use executor::{Handle, spawn};

/// Counts its drops.
struct Counted(&'static AtomicUsize);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// The value is not `Send`, and is there across an `.await`.
#[executor::main]
async fn nothing() {
    let here = Rc::new(7);
    let there = spawn(async { 8 }).await.unwrap();
    assert_eq!(*here + 1, there);
}

/// What an error is converted to stands in the return type alone.
#[executor::main(worker_threads = 3)]
pub(crate) async fn boxed_error() -> Result<usize, Box<dyn Error>> {
    if Handle::current().worker_threads() == 3 {
        return Err(Box::new("x".parse::<u8>().unwrap_err()));
    }
    Ok("3".parse::<u8>()?.into())
}

#[executor::main(crate = "executor")]
async fn iterator() -> impl Iterator<Item = usize> {
    [3, 4].into_iter()
}

#[executor::main(crate = "::executor", worker_threads = 0x1_usize)]
async fn with_conditions() -> usize
where
    String: Clone,
{
    Handle::current().worker_threads()
}

/// By a macro, which inserts groups without delimiters.
macro_rules! functions {
    ($($(#[$attribute:meta])* $visibility:vis fn $name:ident($count:literal) -> $output:ty $body:block)*) => {
        $($(#[$attribute])* #[executor::main(worker_threads = $count)] $visibility async fn $name() -> $output $body)*
    };
}

functions! {
    /// Documented.
    pub(crate) fn by_a_macro(2) -> usize { Handle::current().worker_threads() }
    #[allow(unused_variables)]
    fn by_a_macro_too(3) -> Option<usize> { let unused = 1; Some(Handle::current().worker_threads()) }
}

#[test]
fn main_has_any_name_and_type_and_a_runtime_of_its_own() {
    nothing();
    assert_eq!(
        boxed_error().unwrap_err().to_string(),
        "invalid digit found in string"
    );
    assert_eq!(iterator().sum::<usize>(), 7);
    assert_eq!(with_conditions(), 1);
    assert_eq!((by_a_macro(), by_a_macro_too()), (2, Some(3)));
}

static LEFT: AtomicUsize = AtomicUsize::new(0);

#[executor::main]
async fn leaves_a_task() {
    let counted = Counted(&LEFT);
    drop(spawn(async move {
        let _counted = counted;
        pending::<()>().await;
    }));
}

#[executor::main]
async fn leaves_a_task_and_panics() {
    let counted = Counted(&LEFT);
    drop(spawn(async move {
        let _counted = counted;
        pending::<()>().await;
    }));
    panic!("on purpose");
}

#[test]
fn the_tasks_of_main_have_ended_when_it_returns_or_panics() {
    leaves_a_task();
    assert_eq!(LEFT.load(SeqCst), 1);
    assert_eq!(message(leaves_a_task_and_panics), "on purpose");
    assert_eq!(LEFT.load(SeqCst), 2);
}

#[executor::test]
async fn a_test_is_polled_by_the_thread_of_the_harness() {
    let here = Rc::new(thread::current().id());
    assert_ne!(
        spawn(async { thread::current().id() }).await.unwrap(),
        *here
    );
    let name = thread::current().name().map(str::to_owned);
    let this = full_name(
        module_path!(),
        "a_test_is_polled_by_the_thread_of_the_harness",
    );
    assert!(name.is_some_and(|name| name == this || name == "main"));
}

#[executor::test(worker_threads = 5)]
async fn a_test_has_as_many_processors_as_it_says() -> Result<(), Box<dyn Error>> {
    assert_eq!(Handle::current().worker_threads(), 5);
    assert_eq!(spawn(async { "5".parse::<u8>() }).await??, 5);
    Ok(())
}

#[executor::test(timeout = "1h", worker_threads = 1)]
async fn a_test_with_a_limit_has_its_name_and_need_not_be_send() -> ExitCode {
    let here = Rc::new(thread::current().name().map(str::to_owned));
    spawn(async {}).await.unwrap();
    let this = full_name(
        module_path!(),
        "a_test_with_a_limit_has_its_name_and_need_not_be_send",
    );
    assert!(here.as_ref().as_ref().is_some_and(|name| *name == this));
    ExitCode::SUCCESS
}

#[executor::test]
#[should_panic = "on purpose"]
#[allow(clippy::unused_unit)]
async fn a_test_keeps_its_attributes() -> () {
    spawn(async {}).await.unwrap();
    panic!("on purpose");
}

#[executor::test(timeout = "100s")]
#[should_panic = "on purpose"]
async fn a_test_with_a_limit_panics_with_what_it_says() {
    panic!("on {}", "purpose");
}

#[executor::test]
#[ignore = "failing_tests_fail starts it in a process of its own"]
async fn an_error() -> Result<(), String> {
    Err("it is wrong".to_owned())
}

#[executor::test(timeout = "1m")]
#[ignore = "failing_tests_fail starts it in a process of its own"]
async fn an_error_within_a_limit() -> Result<(), String> {
    Err("it is wrong, too".to_owned())
}

/// A poll that blocks for ever keeps nobody from the end.
#[executor::test]
#[ignore = "failing_tests_fail starts it in a process of its own"]
async fn a_panic_beside_a_stuck_task() {
    let (begun, has_begun) = async_channel::bounded(1);
    drop(spawn(async move {
        begun.send_blocking(()).unwrap();
        loop {
            thread::park();
        }
    }));
    has_begun.recv().await.unwrap();
    panic!("on purpose");
}

#[test]
fn failing_tests_fail() {
    let failed = Harness::run(
        module_path!(),
        &[
            "an_error",
            "an_error_within_a_limit",
            "a_panic_beside_a_stuck_task",
        ],
        2,
    );
    failed.ended(0, 3);
    failed.said("Error: \"it is wrong\"");
    failed.said("Error: \"it is wrong, too\"");
    failed.said("on purpose");
}
