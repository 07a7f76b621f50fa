//! Values of tasks whose polls wait.

use executor::sim;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{block_in_place, spawn_blocking, yield_now};
use tokio::time::{Duration, sleep};

use crate::{MS, run, simulate};

tokio::task_local! {
    static NUMBER: u32;
    static TEXT: String;
}

const LONG: Duration = Duration::from_secs(1);

/// The three ways in which a thread waits in a poll.
fn wait(way: u32, time: Duration) {
    match way {
        0 => sim::block(time),
        1 => block_in_place(|| sim::block(time)),
        _ => block_in_place(|| Handle::current().block_on(sleep(time))),
    }
}

#[test]
fn a_value_is_borrowed_while_its_task_waits() {
    for way in 0..3 {
        simulate(|| async move {
            let (sender, receiver) = oneshot::channel();
            let entered_before = tokio::spawn(NUMBER.scope(2, async move {
                sender.send(()).unwrap();
                sim::block(100 * MS);
                NUMBER.get()
            }));
            receiver.await.unwrap();
            let borrows = tokio::spawn(NUMBER.scope(1, async move {
                NUMBER.with(|number| {
                    wait(way, LONG);
                    // Others may borrow it, too.
                    (*number, NUMBER.get())
                })
            }));
            sleep(10 * MS).await;
            let entered_after = tokio::spawn(NUMBER.scope(3, async move {
                wait(way, MS);
                yield_now().await;
                NUMBER.get()
            }));
            let none = tokio::spawn(async { NUMBER.try_get().is_err() });
            let closure = spawn_blocking(|| NUMBER.try_get().is_err());
            assert_eq!(entered_before.await.unwrap(), 2);
            assert_eq!(entered_after.await.unwrap(), 3);
            assert!(none.await.unwrap() && closure.await.unwrap());
            assert_eq!(borrows.await.unwrap(), (1, 1));
        });
    }
}

#[test]
fn a_destructor_that_waits_has_its_tasks_value() {
    struct Waits(u32);

    impl Drop for Waits {
        fn drop(&mut self) {
            wait(self.0, LONG);
            assert_eq!(NUMBER.get(), 1);
        }
    }

    for way in 0..3 {
        simulate(|| async move {
            let waits = Waits(way);
            let scoped = NUMBER.scope(1, async move { drop(waits) });
            let dropped = tokio::spawn(async move { drop(scoped) });
            sleep(10 * MS).await;
            let none = tokio::spawn(async { NUMBER.try_get().is_err() });
            let closure = spawn_blocking(|| NUMBER.try_get().is_err());
            assert!(none.await.unwrap() && closure.await.unwrap());
            dropped.await.unwrap();
        });
    }
}

/// A run that ends in the middle of a scope leaves no value behind.
#[test]
fn no_value_is_left_for_the_next_run() {
    let failure = run(
        1,
        NUMBER.scope(1, async {
            TEXT.scope(String::new(), async {
                NUMBER.with(|_| TEXT.with(|_| panic!("within both")))
            })
            .await
        }),
    );
    assert!(failure.unwrap_err().message().contains("within both"));
    assert!(NUMBER.try_get().is_err() && TEXT.try_with(|_| ()).is_err());
    let none = run(2, async {
        NUMBER.try_get().is_err() && TEXT.try_get().is_err()
    });
    assert!(none.unwrap());
}

#[test]
fn scopes_are_nested_as_elsewhere() {
    let program = || async {
        let nested = NUMBER.scope(1, async {
            let inner = NUMBER.scope(2, async {
                sleep(MS).await;
                NUMBER.get()
            });
            let mut inner = Box::pin(inner);
            let within = inner.as_mut().await;
            (within, inner.as_mut().take_value(), NUMBER.get())
        });
        assert_eq!(nested.await, (2, Some(2), 1));
        let mut taken = Box::pin(NUMBER.scope(1, async { NUMBER.try_get().is_err() }));
        assert_eq!(taken.as_mut().take_value(), Some(1));
        assert!(taken.await);
        let within = || NUMBER.sync_scope(1, || NUMBER.with(|_| NUMBER.sync_scope(2, || ())));
        let panicked = std::panic::catch_unwind(within).unwrap_err();
        let message = panicked.downcast_ref::<&str>().unwrap();
        assert!(message.contains("is borrowed"), "{message}");
        assert!(NUMBER.try_get().is_err());
    };
    let sim = sim::Builder::new().allow_task_panics(true).build();
    sim.run(program()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(program());
}
