//! Processors that change their threads: handed over, retaken, come and gone; and the pool for what blocks.

use std::time::Duration;

use executor::task::{Priority, yield_now};
use executor::{Handle, block_in_place, block_on, sim, spawn, spawn_blocking, task};

use super::{Tokens, check, dawdle, millis};

#[test]
fn what_a_stuck_poll_has_spawned_goes_on_elsewhere() {
    check(80, || async {
        let stuck: Vec<_> = (0..3)
            .map(|_| {
                spawn(async {
                    // One in the next slot, others in the queue; then one more while it is stuck.
                    let mut children: Vec<_> =
                        (0..1 + sim::choose(3)).map(|_| spawn(dawdle())).collect();
                    for _ in 0..1 + sim::choose(3) {
                        match sim::choose(2) {
                            0 => sim::block(millis(15 + sim::choose(30))),
                            _ => sim::compute(millis(15 + sim::choose(30))),
                        }
                        children.push(spawn(dawdle()));
                    }
                    for child in children {
                        child.await.unwrap();
                    }
                })
            })
            .collect();
        for task in stuck {
            task.await.unwrap();
        }
    });
}

/// A poll that waits for what only others can bring, in as many polls around it.
fn nested(depth: u32) {
    let child = spawn(async move {
        dawdle().await;
        if depth > 0 {
            nested(depth - 1);
        }
    });
    block_on(async {
        if sim::choose(2) == 0 {
            yield_now().await;
        }
        child.await.unwrap();
    });
}

#[test]
fn a_poll_that_waits_inside_gives_its_processor_to_what_it_waits_for() {
    check(60, || async {
        let tasks: Vec<_> = (0..3).map(|_| spawn(async { nested(3) })).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn jobs_wait_for_each_other_in_either_order() {
    check(60, || async {
        let tokens: Vec<_> = (0..8).map(|_| Tokens::new()).collect();
        let jobs: Vec<_> = (0..8)
            .map(|number| {
                let tokens = tokens.clone();
                spawn_blocking(move || {
                    if sim::choose(2) == 0 {
                        sim::block(millis(sim::choose(3)));
                    }
                    tokens[number].give();
                    // Half of them wait for one that came later.
                    let other = if number % 2 == 0 {
                        number + 1
                    } else {
                        number - 1
                    };
                    block_on(tokens[other].have_come(1));
                })
            })
            .collect();
        for job in jobs {
            job.await.unwrap();
        }
    });
}

#[test]
fn processors_come_and_go_under_load() {
    check(60, || async {
        let load: Vec<_> = (0..10)
            .map(|number| {
                let class = match number % 5 {
                    0 => Priority::Background,
                    _ => Priority::Normal,
                };
                let builder = task::Builder::new().priority(class);
                builder.spawn(async move {
                    for _ in 0..4 {
                        dawdle().await;
                        if sim::choose(4) == 0 {
                            block_in_place(|| sim::block(millis(sim::choose(10))));
                        }
                        spawn(dawdle()).await.unwrap();
                    }
                })
            })
            .collect();
        let handle = Handle::current();
        let most = handle.worker_threads();
        for _ in 0..6 {
            handle
                .set_worker_threads(1 + sim::choose(most as u32) as usize)
                .unwrap();
            dawdle().await;
        }
        for task in load {
            task.await.unwrap();
        }
    });
}

#[test]
fn threads_that_have_ended_are_started_again() {
    check(30, || async {
        for _ in 0..4 {
            let jobs: Vec<_> = (0..3)
                .map(|_| spawn_blocking(|| sim::block(millis(sim::choose(20)))))
                .collect();
            let tasks: Vec<_> = (0..3).map(|_| spawn(async { nested(1) })).collect();
            for job in jobs.into_iter().chain(tasks) {
                job.await.unwrap();
            }
            // Around the time for which a thread stays without work.
            let near = Duration::from_millis(9_990) + millis(sim::choose(20));
            executor::time::sleep(near).await;
        }
    });
}
