//! A library without a single import, whose functions a host calls.

use std::future::pending;

/// Runs all tests. Returns how many there are; a failure traps.
#[unsafe(no_mangle)]
pub extern "C" fn run() -> u32 {
    let tests = wasm_tests::TESTS;
    tests.iter().for_each(|(_, test)| test());
    tests.len() as u32
}

/// Waits for what never comes, which traps.
#[unsafe(no_mangle)]
pub extern "C" fn asleep() {
    executor::block_on(pending::<()>());
}

/// A panic of a task ends the program.
#[unsafe(no_mangle)]
pub extern "C" fn panics() {
    drop(executor::block_on(executor::spawn(async { panic!() })));
}
