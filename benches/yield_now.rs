//! What does one pass through the run queue cost?
//!
//! Run it with `cargo bench --bench yield_now`.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use support::{bench, config};

fn benches(criterion: &mut Criterion) {
    bench!(criterion, "yield_now/1_task", 10_000, yields(1, 10_000));
    bench!(criterion, "yield_now/200_tasks", 20_000, yields(200, 100));
}

criterion_group!(name = group; config = config!(); targets = benches);
criterion_main!(group);
