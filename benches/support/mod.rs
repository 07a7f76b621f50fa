//! What all benches share: the traits that each runtime implements, so that every one runs the same workload code.

// Each bench uses a part of this.
#![allow(dead_code, unused_imports, unused_macros)]

mod gosched;
pub(crate) mod process;
pub(crate) mod ticks;
pub(crate) mod workloads;

pub(crate) use gosched::{Gosched, Joined};

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

/// Workers of each runtime: `BENCH_WORKERS`, else two.
pub(crate) fn workers() -> usize {
    let setting = std::env::var("BENCH_WORKERS").ok();
    setting.map_or(2, |number| {
        number.parse().expect("BENCH_WORKERS is a number")
    })
}

/// A scheduler as the workloads see it. Functions without `&self` act on the one that the calling task is in.
pub(crate) trait Scheduler: Sized + Send + Sync + 'static {
    const NAME: &'static str;
    /// Gives the output itself: a panic of the task goes on in whoever awaits it. Dropping it may cancel the task.
    type Task<T: Send + 'static>: Future<Output = T> + Send;

    /// One with [`workers`] workers.
    fn start() -> Self;
    fn block_on<F: Future>(&self, future: F) -> F::Output;
    /// Spawns and detaches, from a thread that belongs to no runtime.
    fn spawn_from_outside<F: Future<Output = ()> + Send + 'static>(&self, future: F);
    fn spawn<F>(future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;
    fn detach<F: Future<Output = ()> + Send + 'static>(future: F);
    fn yield_now() -> impl Future<Output = ()> + Send;

    /// Runs a future as a task.
    fn run<F>(&self, main: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.block_on(async { Self::spawn(main).await })
    }
}

/// A scheduler with timers, sockets and a place for blocking calls.
pub(crate) trait Runtime: Scheduler {
    type Listener: Send + 'static;
    type Stream: Send + 'static;

    fn spawn_blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static)
    -> Self::Task<T>;

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

/// Nanoseconds per operation: the median of `runs`, after one to warm up.
pub(crate) fn per_operation(operations: usize, runs: usize, work: impl Fn()) -> f64 {
    work();
    let run = |_| {
        let begin = std::time::Instant::now();
        work();
        begin.elapsed().as_nanos() as f64 / operations as f64
    };
    let mut figures: Vec<f64> = (0..runs).map(run).collect();
    figures.sort_by(f64::total_cmp);
    figures[runs / 2]
}

/// Short runs: these benches answer "did it change, and by how much", not by one percent.
macro_rules! config {
    () => {
        criterion::Criterion::default()
            .sample_size(20)
            .warm_up_time(std::time::Duration::from_millis(500))
            .measurement_time(std::time::Duration::from_secs(2))
    };
}

/// A workload under criterion; throughput in operations.
macro_rules! bench {
    ($criterion:expr, $name:expr, $operations:expr, $workload:ident($($arg:expr),*)) => {{
        use support::Scheduler as _;
        let mut group = $criterion.benchmark_group($name);
        group.throughput(criterion::Throughput::Elements($operations as u64));
        let runtime = support::Gosched::start();
        group.bench_function("gosched", |bencher| {
            bencher.iter(|| support::workloads::$workload(&runtime $(, $arg)*));
        });
        group.finish();
    }};
}

pub(crate) use {bench, config};
