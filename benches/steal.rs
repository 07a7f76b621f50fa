//! How well does work spread that starts on one worker?
//!
//! Run it with `cargo bench --bench steal`.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use support::{config, side_by_side};

fn benches(criterion: &mut Criterion) {
    let work = std::time::Duration::from_micros(10);
    side_by_side!(
        criterion,
        "steal/imbalance_1000x10us",
        1_000,
        imbalance(1_000, work)
    );
    side_by_side!(criterion, "steal/skynet_100k", 111_111, skynet(100_000));
}

criterion_group!(name = group; config = config!(); targets = benches);
criterion_main!(group);
