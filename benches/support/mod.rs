//! What all benches share: one trait that each runtime implements, so that every runtime runs the same workload code.

// Each bench uses a part of this.
#![allow(dead_code, unused_imports, unused_macros)]

mod runtimes;
pub(crate) mod workloads;

pub(crate) use runtimes::{Gosched, Smol, Tokio};

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

/// Workers of each runtime.
pub(crate) const WORKERS: usize = 2;

/// A runtime as the workloads see it. Functions without `&self` act on the runtime that the calling task is in.
pub(crate) trait Runtime: Sized + Send + Sync + 'static {
    const NAME: &'static str;
    /// Gives the output itself: a panic of the task goes on in whoever awaits it. Dropping it may cancel the task.
    type Task<T: Send + 'static>: Future<Output = T> + Send;
    type Listener: Send + 'static;
    type Stream: Send + 'static;

    /// A runtime with [`WORKERS`] workers.
    fn start() -> Self;
    fn block_on<F: Future>(&self, future: F) -> F::Output;
    /// Spawns and detaches, from a thread that belongs to no runtime.
    fn spawn_from_outside<F: Future<Output = ()> + Send + 'static>(&self, future: F);
    fn spawn<F>(future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;
    fn detach<F: Future<Output = ()> + Send + 'static>(future: F);
    fn spawn_blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static)
    -> Self::Task<T>;
    fn yield_now() -> impl Future<Output = ()> + Send;

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;
    /// True when `future` was in time.
    fn timeout<F: Future<Output = ()> + Send>(
        time: Duration,
        future: F,
    ) -> impl Future<Output = bool> + Send;

    fn listen() -> impl Future<Output = (Self::Listener, SocketAddr)> + Send;
    fn accept(listener: &mut Self::Listener) -> impl Future<Output = Self::Stream> + Send;
    fn connect(addr: SocketAddr) -> impl Future<Output = Self::Stream> + Send;
    fn read(stream: &mut Self::Stream, buffer: &mut [u8]) -> impl Future<Output = usize> + Send;
    fn write_all(stream: &mut Self::Stream, bytes: &[u8]) -> impl Future<Output = ()> + Send;
}

/// Short runs: these benches answer "which is faster, and by how much", not "did it change by one percent".
macro_rules! config {
    () => {
        criterion::Criterion::default()
            .sample_size(20)
            .warm_up_time(std::time::Duration::from_millis(500))
            .measurement_time(std::time::Duration::from_secs(2))
    };
}

/// A criterion group with the same workload on `gosched` and on `tokio`; throughput in operations.
macro_rules! side_by_side {
    ($criterion:expr, $name:expr, $operations:expr, $workload:ident($($arg:expr),*)) => {{
        use support::Runtime as _;
        let mut group = $criterion.benchmark_group($name);
        group.throughput(criterion::Throughput::Elements($operations as u64));
        side_by_side!(@one group, support::Gosched, $workload($($arg),*));
        side_by_side!(@one group, support::Tokio, $workload($($arg),*));
        group.finish();
    }};
    (@one $group:ident, $runtime:ty, $workload:ident($($arg:expr),*)) => {{
        let runtime = <$runtime>::start();
        $group.bench_function(<$runtime>::NAME, |bencher| {
            bencher.iter(|| support::workloads::$workload(&runtime $(, $arg)*));
        });
    }};
}

pub(crate) use {config, side_by_side};
