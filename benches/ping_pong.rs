//! What does it cost to hand a message to another task and to get an answer?
//!
//! Run it with `cargo bench --bench ping_pong`.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use support::{bench, config};

fn benches(criterion: &mut Criterion) {
    bench!(criterion, "ping_pong/1_pair", 10_000, ping_pong(1, 10_000));
    bench!(
        criterion,
        "ping_pong/1000_pairs",
        20_000,
        ping_pong(1_000, 20)
    );
}

criterion_group!(name = group; config = config!(); targets = benches);
criterion_main!(group);
