//! Nanoseconds since the soak began, never 0.

use std::sync::OnceLock;
use std::time::Instant;

static BEGAN: OnceLock<Instant> = OnceLock::new();

pub(crate) fn now() -> u64 {
    BEGAN.get_or_init(Instant::now).elapsed().as_nanos() as u64 + 1
}
