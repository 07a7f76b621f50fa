//! Operations on local tasks, all on one thread, so that an input does the same every time: see `gosched_fuzz::operations`.

#![no_main]

use gosched_fuzz::operations::{Scope, execute};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| execute(input, Scope::Local));
