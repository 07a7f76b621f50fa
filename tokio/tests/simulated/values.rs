//! `watch`: channels whose waits are ours in a simulation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, sleep};

use crate::{MS, run, simulate, simulate_in_time};

/// The order in which 20 receivers of the channel are woken.
async fn order(sender: &watch::Sender<u32>) -> Vec<u32> {
    let (log, mut order) = mpsc::unbounded_channel();
    let local = tokio::task::LocalSet::new();
    for number in 0..20 {
        let (mut receiver, log) = (sender.subscribe(), log.clone());
        local.spawn_local(async move {
            match number % 2 {
                0 => receiver.changed().await.unwrap(),
                _ => drop(receiver.wait_for(|value| *value > 0).await.unwrap()),
            }
            log.send(number).unwrap();
        });
    }
    drop(log);
    let told = async {
        sleep(Duration::from_secs(1)).await;
        sender.send(1).unwrap();
    };
    local.run_until(told).await;
    local.await;
    let mut all = Vec::new();
    while let Some(number) = order.recv().await {
        all.push(number);
    }
    all
}

#[test]
fn receivers_are_woken_in_order_wherever_the_channel_was_made() {
    let in_order: Vec<u32> = (0..20).collect();
    simulate(|| async {
        assert_eq!(order(&watch::Sender::new(0)).await, in_order);
    });
    // Made before the simulation, and used by several.
    let sender = watch::Sender::new(0);
    for seed in 0..5 {
        sender.send_replace(0);
        assert_eq!(run(seed, order(&sender)).unwrap(), in_order);
    }
}

/// A channel of a simulation is used by threads of the system afterwards.
#[test]
fn a_value_that_was_waited_for_is_the_one_returned() {
    let (sender, mut receiver) = run(1, async {
        let (sender, mut receiver) = watch::channel(0);
        let waiter = tokio::spawn(async move {
            receiver.wait_for(|value| *value == 1).await.unwrap();
            receiver
        });
        sleep(MS).await;
        sender.send(1).unwrap();
        (sender, waiter.await.unwrap())
    })
    .unwrap();
    let is_looking = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_looking.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            // Waits for the closure.
            sender.send(2).unwrap();
        });
        let look = |value: &u32| {
            is_looking.store(true, Ordering::Relaxed);
            std::thread::sleep(20 * MS);
            *value == 1
        };
        let runtime = Runtime::new().unwrap();
        let seen = runtime.block_on(async { *receiver.wait_for(look).await.unwrap() });
        assert_eq!(seen, 1);
    });
}

/// The closure of `wait_for` is called for each value once, in a simulation as elsewhere.
#[test]
fn who_waits_looks_at_each_value_once() {
    let program = || async {
        let (sender, mut receiver) = watch::channel(0);
        let looks = Arc::new(AtomicUsize::new(0));
        let waiter = tokio::spawn({
            let looks = looks.clone();
            async move {
                let is_it = |wanted: u32| {
                    let looks = looks.clone();
                    move |value: &u32| {
                        looks.fetch_add(1, Ordering::Relaxed);
                        *value == wanted
                    }
                };
                receiver.mark_changed();
                let at_once = receiver.wait_for(is_it(0)).await.unwrap().has_changed();
                let waited = receiver.wait_for(is_it(2)).await.unwrap().has_changed();
                let never = receiver.wait_for(is_it(9)).await.is_err();
                (at_once, waited, never)
            }
        });
        let look = |expected: usize| {
            let looks = looks.clone();
            async move {
                sleep(10 * MS).await;
                assert_eq!(looks.load(Ordering::Relaxed), expected);
            }
        };
        look(2).await;
        for _ in 0..3 {
            drop(sender.clone());
            look(2).await;
        }
        sender.send(1).unwrap();
        look(3).await;
        assert!(!sender.send_if_modified(|_| false));
        look(3).await;
        sender.send(2).unwrap();
        look(5).await;
        drop(sender);
        assert_eq!(waiter.await.unwrap(), (true, false, true));
        assert_eq!(looks.load(Ordering::Relaxed), 5);
    };
    let mut elsewhere = Builder::new_current_thread();
    let elsewhere = elsewhere.enable_all().start_paused(true).build().unwrap();
    elsewhere.block_on(program());
    simulate_in_time(program);
}
