//! How well does work spread that starts on one worker?
//!
//! Run it with `cargo bench --bench steal`.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use support::{bench, config};

fn benches(criterion: &mut Criterion) {
    let work = std::time::Duration::from_micros(10);
    bench!(
        criterion,
        "steal/imbalance_1000x10us",
        1_000,
        imbalance(1_000, work)
    );
    bench!(criterion, "steal/skynet_100k", 111_111, skynet(100_000));
}

criterion_group!(name = group; config = config!(); targets = benches);
criterion_main!(group);
