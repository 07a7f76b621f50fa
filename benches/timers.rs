//! What does a timer cost: around a future that is ready, armed and cancelled, armed and fired?
//!
//! Run it with `cargo bench --bench timers`.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use support::{bench, config};

fn benches(criterion: &mut Criterion) {
    bench!(
        criterion,
        "timers/timeout_of_ready",
        10_000,
        timeout_of_ready(10_000)
    );
    bench!(
        criterion,
        "timers/arm_and_cancel",
        10_000,
        arm_and_cancel(1, 10_000)
    );
    bench!(criterion, "timers/fire_10k_in_10ms", 10_000, fire(10_000));
}

criterion_group!(name = group; config = config!(); targets = benches);
criterion_main!(group);
