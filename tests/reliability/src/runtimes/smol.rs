//! smol's parts as `smol::spawn` puts them together: an executor, threads that run it and go on after a panic, the
//! process-wide reactor and the process-wide pool for blocking jobs, whose bound is fixed when the process starts. Unlike
//! there, it can be stopped.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_executor::{Executor, FallibleTask};
use futures::future::{self, Either};
use futures::{FutureExt, StreamExt};

use super::{Outcome, Runtime, Task};

#[derive(Clone)]
pub(crate) struct Smol(Arc<Parts>);

struct Parts {
    executor: Arc<Executor<'static>>,
    stopping: Arc<AtomicBool>,
    /// Wakes the threads' main futures.
    stop: Mutex<Vec<futures::channel::oneshot::Sender<()>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

pub(crate) struct Joined<T> {
    /// `Some` until it is dropped or cancelled: smol cancels a task with its handle.
    task: Option<FallibleTask<T>>,
}

impl<T> Drop for Joined<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.detach();
        }
    }
}

impl<T> Future for Joined<T> {
    type Output = Outcome<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<T>> {
        let task = self.task.as_mut().expect("polled after it was cancelled");
        match catch_unwind(AssertUnwindSafe(|| Pin::new(task).poll(cx))) {
            Ok(polled) => polled.map(|output| output.map_or(Outcome::Cancelled, Outcome::Finished)),
            // The executor hands a task's panic to whoever awaits it.
            Err(_) => Poll::Ready(Outcome::Panicked),
        }
    }
}

impl<T: Send> Task<T> for Joined<T> {
    async fn cancel(mut self) -> Outcome<T> {
        let task = self.task.take().expect("cancelled twice");
        match AssertUnwindSafe(task.cancel()).catch_unwind().await {
            Ok(output) => output.map_or(Outcome::Cancelled, Outcome::Finished),
            Err(_) => Outcome::Panicked,
        }
    }
}

impl Runtime for Smol {
    const NAME: &'static str = "smol";
    const EXACT: bool = false;
    const DROP_MAY_PANIC: bool = false;
    type Task<T: Send + 'static> = Joined<T>;
    type Listener = async_net::TcpListener;
    type Stream = async_net::TcpStream;

    fn start(workers: usize, _blocking: usize) -> io::Result<Smol> {
        let smol = Smol(Arc::new(Parts {
            executor: Arc::default(),
            stopping: Arc::default(),
            stop: Mutex::default(),
            threads: Mutex::default(),
        }));
        for index in 0..workers {
            let (stop, stopped) = futures::channel::oneshot::channel();
            let executor = Arc::clone(&smol.0.executor);
            let stopping = Arc::clone(&smol.0.stopping);
            let thread = thread::Builder::new()
                .name(format!("smol-{index}"))
                .spawn(move || {
                    let mut stopped = stopped;
                    while !stopping.load(Ordering::Acquire) {
                        // A panic of a task unwinds through here; smol's own threads go on likewise.
                        let _ = catch_unwind(AssertUnwindSafe(|| {
                            async_io::block_on(executor.run(&mut stopped))
                        }));
                    }
                })?;
            lock(&smol.0.stop).push(stop);
            lock(&smol.0.threads).push(thread);
        }
        Ok(smol)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        async_io::block_on(future)
    }

    fn spawn<F>(&self, future: F) -> Joined<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Joined {
            task: Some(self.0.executor.spawn(future).fallible()),
        }
    }

    fn spawn_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Joined<T> {
        Joined {
            task: Some(blocking::unblock(job).fallible()),
        }
    }

    async fn sleep(time: Duration) {
        async_io::Timer::after(time).await;
    }

    async fn timeout<F: Future + Send>(time: Duration, future: F) -> Option<F::Output> {
        let future = std::pin::pin!(future);
        match future::select(future, async_io::Timer::after(time)).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    }

    async fn ticks(period: Duration, times: usize) -> Vec<Instant> {
        let mut interval = async_io::Timer::interval(period);
        let mut ticks = Vec::new();
        while ticks.len() < times {
            interval.next().await;
            ticks.push(Instant::now());
        }
        ticks
    }

    async fn yield_now() {
        let mut yielded = false;
        future::poll_fn(|cx| {
            if yielded {
                return Poll::Ready(());
            }
            yielded = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    async fn listen() -> io::Result<(async_net::TcpListener, SocketAddr)> {
        let listener = async_net::TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    }

    async fn accept(listener: &async_net::TcpListener) -> io::Result<async_net::TcpStream> {
        Ok(listener.accept().await?.0)
    }

    async fn connect(addr: SocketAddr) -> io::Result<async_net::TcpStream> {
        async_net::TcpStream::connect(addr).await
    }

    fn stop(self, limit: Duration) {
        let until = Instant::now() + limit;
        self.0.stopping.store(true, Ordering::Release);
        lock(&self.0.stop).clear();
        let threads = std::mem::take(&mut *lock(&self.0.threads));
        for thread in threads {
            while !thread.is_finished() && Instant::now() < until {
                thread::sleep(Duration::from_micros(100));
            }
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
        // The executor goes with its last holder and cancels what is left.
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
