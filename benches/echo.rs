//! How many messages go through sockets and back?
//!
//! Run it with `cargo bench --bench echo`.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use support::{bench, config};

fn benches(criterion: &mut Criterion) {
    bench!(criterion, "echo/64_connections", 6_400, echo(64, 100));
}

criterion_group!(name = group; config = config!(); targets = benches);
criterion_main!(group);
