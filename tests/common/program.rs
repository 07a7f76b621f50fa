//! A test program that runs itself.

use std::process::Command;

/// This test program, to be run once more. `EXECUTOR_TEST_RUNNER` has the words before it: those of an emulator, without which
/// the system does not know how to run it.
pub(crate) fn this_program() -> Command {
    let program = std::env::current_exe().unwrap();
    let runner = std::env::var("EXECUTOR_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    let Some(first) = words.next() else {
        return Command::new(program);
    };
    let mut command = Command::new(first);
    command.args(words).arg(program);
    command
}
