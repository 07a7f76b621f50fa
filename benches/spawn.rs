//! What does a task cost from its birth to its join: spawned by one task, by many, in a chain, from outside?
//!
//! Run it with `cargo bench --bench spawn`.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use support::{bench, config};

fn benches(criterion: &mut Criterion) {
    bench!(criterion, "spawn/join_10k", 10_000, spawn_join(10_000));
    bench!(criterion, "spawn/fan_out_8x2k", 16_000, fan_out(8, 2_000));
    bench!(criterion, "spawn/chained_10k", 10_000, chained(10_000));
    bench!(
        criterion,
        "spawn/remote_2x5k",
        10_000,
        remote_spawn(2, 5_000)
    );
}

criterion_group!(name = group; config = config!(); targets = benches);
criterion_main!(group);
