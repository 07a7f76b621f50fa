//! Channels of which some part is ours.

use std::pin::pin;
use std::task::{Context, Waker};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Duration, sleep, timeout};

use crate::{MS, simulate, simulate_in_time};

#[test]
fn closures_that_block_send_and_receive() {
    simulate(|| async {
        let (requests, mut inbox) = mpsc::channel::<(u64, oneshot::Sender<u64>)>(1);
        let (log, mut lines) = mpsc::unbounded_channel();
        let server = spawn_blocking(move || {
            let mut served = 0;
            while let Some((n, answer)) = inbox.blocking_recv() {
                executor::sim::block(MS);
                answer.send(n * n).unwrap();
                log.send(n).unwrap();
                served += 1;
            }
            served
        });
        let clients: Vec<_> = (0..5)
            .map(|n| {
                let requests = requests.clone();
                spawn_blocking(move || {
                    let (answer, wait) = oneshot::channel();
                    requests.blocking_send((n, answer)).unwrap();
                    assert_eq!(wait.blocking_recv(), Ok(n * n));
                })
            })
            .collect();
        drop(requests);
        for client in clients {
            client.await.unwrap();
        }
        assert_eq!(server.await.unwrap(), 5);
        let all = spawn_blocking(move || {
            let mut all = Vec::new();
            while lines.blocking_recv_many(&mut all, 2) > 0 {}
            all
        });
        let mut all = all.await.unwrap();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_receiver_sees_each_change_of_a_value() {
    simulate_in_time(|| async {
        let (sender, mut receiver) = watch::channel(0);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(pin!(receiver.changed()).poll(&mut cx).is_pending());
        sender.send(1).unwrap();
        assert!(receiver.has_changed().unwrap());
        receiver.changed().await.unwrap();
        assert_eq!(*receiver.borrow(), 1);
        let waiter = tokio::spawn({
            let mut receiver = receiver.clone();
            async move {
                let seen = receiver.wait_for(|value| *value > 3).await.unwrap();
                (*seen, seen.has_changed())
            }
        });
        for value in 2..6 {
            sleep(10 * MS).await;
            sender.send_if_modified(|place| {
                *place = value;
                true
            });
        }
        // As elsewhere, the wait has seen that it has changed.
        assert_eq!(waiter.await.unwrap(), (4, false));
        let closed = tokio::spawn({
            let mut receiver = receiver.clone();
            receiver.mark_unchanged();
            async move { (receiver.changed().await.is_err(), receiver.is_closed()) }
        });
        let never = tokio::spawn({
            let mut receiver = receiver.clone();
            async move { receiver.wait_for(|value| *value > 9).await.is_err() }
        });
        sleep(Duration::from_secs(1)).await;
        drop(sender);
        assert_eq!(closed.await.unwrap(), (true, true));
        assert!(never.await.unwrap());
        // What was not seen is seen, though the sender has gone.
        receiver.changed().await.unwrap();
        assert!(receiver.changed().await.is_err());
    });
}

/// Whichever way a value is changed, who waits is woken at once.
#[test]
fn each_change_of_a_value_wakes() {
    simulate_in_time(|| async {
        let (sender, mut receiver) = watch::channel(0);
        let seen = tokio::spawn(async move {
            let mut seen = Vec::new();
            while timeout(15 * MS, receiver.changed()).await.unwrap().is_ok() {
                seen.push(*receiver.borrow_and_update());
            }
            seen
        });
        sleep(10 * MS).await;
        sender.send(1).unwrap();
        sleep(10 * MS).await;
        sender.send_modify(|value| *value = 2);
        sleep(10 * MS).await;
        assert_eq!(sender.send_replace(3), 2);
        sleep(10 * MS).await;
        assert!(!sender.send_if_modified(|_| false));
        assert!(sender.send_if_modified(|value| {
            *value = 4;
            true
        }));
        sleep(10 * MS).await;
        drop(sender);
        assert_eq!(seen.await.unwrap(), [1, 2, 3, 4]);
    });
}

#[test]
fn a_select_begins_at_each_branch() {
    let mut first = [0; 3];
    for seed in 0..60 {
        let branch = crate::run(seed, async {
            tokio::select! {
                () = std::future::ready(()) => 0,
                () = std::future::ready(()) => 1,
                () = std::future::ready(()) => 2,
            }
        });
        first[branch.unwrap()] += 1;
        let branch = crate::run(seed, async {
            tokio::select! {
                biased;
                () = std::future::ready(()) => 0,
                () = std::future::ready(()) => 1,
                else => 2,
            }
        });
        assert_eq!(branch.unwrap(), 0);
    }
    assert!(first.iter().all(|count| *count > 8), "{first:?}");
}
