//! Stands for the library: what the macros name, with the same types, and nothing behind it.

pub use gosched_macros::{main, test};

#[doc(hidden)]
pub mod __macros {
    pub use std::process::ExitCode;

    pub struct Main;

    impl Main {
        pub fn new() -> Main {
            Main
        }

        pub fn worker_threads(self, _: usize) -> Main {
            Main
        }

        pub fn run<F: Future>(self, _: impl FnOnce() -> F) -> F::Output {
            unreachable!()
        }
    }

    pub struct Test;

    impl Test {
        pub fn new() -> Test {
            Test
        }

        pub fn worker_threads(self, _: usize) -> Test {
            Test
        }

        pub fn timeout(self, _: u64, _: u32) -> Test {
            Test
        }

        pub fn seeds(self, _: usize) -> Test {
            Test
        }

        pub fn seed(self, _: u64) -> Test {
            Test
        }

        pub fn run<F>(self, _: impl Fn() -> F + Send + 'static) -> ExitCode
        where
            F: Future,
            F::Output: std::process::Termination,
        {
            unreachable!()
        }

        pub fn simulate<F>(self, _: impl Fn() -> F + Sync) -> ExitCode
        where
            F: Future,
            F::Output: Outcome,
        {
            unreachable!()
        }
    }

    #[diagnostic::on_unimplemented(message = "a test in a simulation cannot return `{Self}`")]
    pub trait Outcome {}

    impl Outcome for () {}

    impl<T: Outcome, E: std::fmt::Debug> Outcome for Result<T, E> {}
}
