//! tower: the middlewares that keep time or a task of their own.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use libraries_tokio_context::{everywhere, output};
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;
use tower::timeout::Timeout;
use tower::timeout::error::Elapsed;
use tower::{ServiceExt, service_fn};

#[test]
fn a_buffer_passes_each_request_on_once() {
    everywhere(|| async {
        let sum = Arc::new(AtomicUsize::new(0));
        let adder = sum.clone();
        let service = service_fn(move |n: usize| {
            adder.fetch_add(n, Relaxed);
            async move { Ok::<_, Infallible>(n) }
        });
        let buffer = Buffer::new(service, 4);
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                let buffer = buffer.clone();
                executor::spawn(async move { buffer.oneshot(n).await.unwrap() })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(output(task).await, n);
        }
        assert_eq!(sum.load(Relaxed), (0..100).sum::<usize>());
    });
}

#[test]
fn a_timeout_ends_a_call_that_does_not() {
    everywhere(|| async {
        let never = service_fn(|(): ()| pending::<Result<(), Infallible>>());
        let error = Timeout::new(never, Duration::from_millis(1)).oneshot(());
        assert!(error.await.unwrap_err().is::<Elapsed>());
        let at_once = service_fn(|n: u32| async move { Ok::<_, Infallible>(n) });
        let answer = Timeout::new(at_once, Duration::from_secs(3600)).oneshot(7);
        assert_eq!(answer.await.unwrap(), 7);
    });
}

#[test]
fn a_limit_is_never_exceeded_and_lets_all_through() {
    everywhere(|| async {
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let highest = most.clone();
        let service = service_fn(move |()| {
            let (inside, most) = (inside.clone(), most.clone());
            async move {
                most.fetch_max(inside.fetch_add(1, Relaxed) + 1, Relaxed);
                tokio::time::sleep(Duration::from_millis(1)).await;
                inside.fetch_sub(1, Relaxed);
                Ok::<_, Infallible>(())
            }
        });
        let limited = ConcurrencyLimit::new(service, 3);
        let tasks: Vec<_> = (0..30)
            .map(|_| executor::spawn(limited.clone().oneshot(())))
            .collect();
        for task in tasks {
            output(task).await.unwrap();
        }
        assert!((1..=3).contains(&highest.load(Relaxed)));
    });
}
