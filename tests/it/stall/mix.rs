//! All ways to wait, mixed at random: trees of tasks whose nodes wait for their children in each way there is.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc;
use std::time::Duration;

use executor::runtime::Builder;
use executor::task::yield_now;
use executor::time::sleep;
use executor::{JoinHandle, block_in_place, block_on, spawn};

use crate::common::stuck::{Count, Stuck};
use crate::common::{assert_all_usable, wait_until, within_patience};

const CHILDREN: u64 = 3;
const DEPTH: u32 = 4;
/// 1 + 3 + 9 + 27 + 81.
const NODES: usize = 121;

/// SplitMix64.
fn random(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The number of nodes of a tree, unless one of them was cancelled.
type Nodes = Option<usize>;

/// All children are begun before the first is waited for.
fn tree(depth: u32, seed: u64, begun: Count) -> Pin<Box<dyn Future<Output = Nodes> + Send>> {
    Box::pin(async move {
        begun.add();
        if depth == 0 {
            return Some(1);
        }
        let mut nodes = 1;
        let children: Vec<_> = (0..CHILDREN)
            .map(|number| random(seed.wrapping_add(number)))
            .map(|seed| (seed, spawn(tree(depth - 1, seed, begun.clone()))))
            .collect();
        for (seed, child) in children {
            nodes += wait_for(child, random(seed) % 128).await?;
        }
        Some(nodes)
    })
}

/// Few of them spin: the tasks of this spawn site are held back for as long as one of them computes, 200 ms of CPU time and more if
/// others do (see `crowd`), and each of them may wait for the next.
async fn wait_for(child: JoinHandle<Nodes>, way: u64) -> Nodes {
    match way {
        0 => stuck_until(Stuck::Spinning, child),
        1..=31 => stuck_until(Stuck::Blocked, child),
        32..=47 => block_in_place(|| stuck_until(Stuck::Blocked, child)),
        48..=63 => block_on(child).ok()?,
        64..=79 => {
            sleep(Duration::from_micros(200)).await;
            stuck_until(Stuck::Blocked, child)
        }
        80..=95 => {
            while !child.is_finished() {
                yield_now().await;
            }
            child.await.ok()?
        }
        _ => child.await.ok()?,
    }
}

fn stuck_until(way: Stuck, child: JoinHandle<Nodes>) -> Nodes {
    let (bringer, wait) = mpsc::channel();
    drop(spawn(async move {
        let _ = bringer.send(child.await.ok()?);
        Some(())
    }));
    way.receive(&wait)?
}

#[test]
fn a_mixture_of_all_ways_to_wait_loses_nothing() {
    const TREES: usize = 4;
    within_patience(|| {
        for (round, count) in [1, 2, 4, 1, 2, 4].into_iter().enumerate() {
            let runtime = Builder::new()
                .worker_threads(count)
                .thread_keep_alive(Duration::from_millis(1))
                .build()
                .unwrap();
            let begun = Count::default();
            let trees: Vec<_> = (0..TREES)
                .map(|number| {
                    let seed = random((round * TREES + number) as u64);
                    runtime.spawn(tree(DEPTH, seed, begun.clone()))
                })
                .collect();
            for tree in trees {
                assert_eq!(runtime.block_on(tree).unwrap(), Some(NODES));
            }
            assert_eq!(begun.get(), TREES * NODES);
            wait_until("all have ended", || {
                runtime.metrics().num_alive_tasks() == 0
            });
            assert_all_usable(&runtime);
        }
    });
}

/// The same, ended at some moment.
#[test]
fn a_runtime_ends_in_the_middle_of_a_mixture() {
    within_patience(|| {
        for round in 0..20 {
            let runtime = Builder::new()
                .worker_threads(1 + round % 2)
                .build()
                .unwrap();
            let begun = Count::default();
            let tree = runtime.spawn(tree(DEPTH, round as u64, begun.clone()));
            begun.reaches(1 + round * 6).recv().unwrap();
            drop(runtime);
            assert!(tree.is_finished());
            // Nobody is left who could count.
            assert_eq!(begun.holders(), 1);
        }
    });
}
