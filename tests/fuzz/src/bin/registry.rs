//! The registry of I/O sources, with what each source knows (readiness, waiters), against lists.
//!
//! The real files, around a poller that is none: it notes what it is asked to watch, and refuses when told to.

#![no_main]

use gosched_fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;

#[allow(dead_code, unused_imports)]
#[path = "../../../../src/sync.rs"]
#[rustfmt::skip]
mod sync;

#[path = "../reactor/mod.rs"]
mod reactor;

fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes::new(input);
    let mut both = reactor::Both::default();
    while let Some(op) = bytes.op() {
        both.apply(op, &mut bytes);
        both.compare();
    }
    both.end();
});
