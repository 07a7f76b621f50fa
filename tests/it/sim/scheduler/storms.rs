//! Many tasks, wakes and ends at once.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use executor::task::{JoinSet, Priority, yield_now};
use executor::time::{sleep, timeout};
use executor::{block_on, sim, spawn, spawn_blocking, task};

use super::{Counted, Tokens, check, dawdle, millis};

/// A task with so many generations of children below it.
fn tree(depth: u32, ended: Arc<AtomicUsize>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let counted = Counted(ended.clone());
        if depth > 0 {
            let children: Vec<_> = (0..3)
                .map(|_| spawn(tree(depth - 1, ended.clone())))
                .collect();
            dawdle().await;
            for child in children {
                child.await.unwrap();
            }
        }
        drop(counted);
    })
}

#[test]
fn a_storm_of_spawns_ends_to_the_last() {
    check(40, || async {
        let ended = Arc::new(AtomicUsize::new(0));
        spawn(tree(4, ended.clone())).await.unwrap();
        assert_eq!(ended.load(Ordering::SeqCst), (243 - 1) / 2);
    });
}

#[test]
fn each_token_of_another_thread_comes() {
    check(100, || async {
        let tokens = Tokens::new();
        let taker = {
            let tokens = tokens.clone();
            spawn(async move {
                for count in 1..=12 {
                    tokens.have_come(count).await;
                    if sim::choose(4) == 0 {
                        dawdle().await;
                    }
                }
            })
        };
        let givers: Vec<_> = (0..3)
            .map(|_| {
                let tokens = tokens.clone();
                spawn_blocking(move || {
                    for _ in 0..4 {
                        match sim::choose(3) {
                            0 => sim::block(millis(sim::choose(25))),
                            1 => sim::interleave(),
                            _ => block_on(yield_now()),
                        }
                        tokens.give();
                    }
                })
            })
            .collect();
        taker.await.unwrap();
        for giver in givers {
            giver.await.unwrap();
        }
    });
}

#[test]
fn two_runtimes_hand_tokens_on() {
    check(60, || async {
        let other = executor::Builder::new().worker_threads(2).build().unwrap();
        let (there, here) = (Tokens::new(), Tokens::new());
        let task = {
            let (there, here) = (there.clone(), here.clone());
            other.spawn(async move {
                for count in 1..=10 {
                    there.have_come(count).await;
                    here.give();
                }
            })
        };
        let own = spawn(async move {
            for count in 1..=10 {
                there.give();
                here.have_come(count).await;
                dawdle().await;
            }
        });
        own.await.unwrap();
        task.await.unwrap();
        drop(other);
    });
}

#[test]
fn pairs_that_wake_each_other_go_on_beside_each_other() {
    check(60, || async {
        let pairs: Vec<_> = (0..4)
            .map(|_| {
                let (to, from) = (Tokens::new(), Tokens::new());
                let (there, back) = (to.clone(), from.clone());
                let echo = spawn(async move {
                    for count in 1..=8 {
                        there.have_come(count).await;
                        back.give();
                    }
                });
                let caller = spawn(async move {
                    for count in 1..=8 {
                        to.give();
                        from.have_come(count).await;
                    }
                    dawdle().await;
                });
                [echo, caller]
            })
            .collect();
        for task in pairs.into_iter().flatten() {
            task.await.unwrap();
        }
    });
}

#[test]
fn an_aborted_task_ends_once() {
    check(80, || async {
        let ended = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..12)
            .map(|_| {
                let counted = Counted(ended.clone());
                spawn(async move {
                    let _counted = counted;
                    for _ in 0..4 {
                        dawdle().await;
                    }
                })
            })
            .collect();
        dawdle().await;
        let mut aborted = 0;
        for task in tasks {
            if sim::choose(2) == 0 {
                task.abort();
                dawdle().await;
            }
            match task.await {
                Ok(()) => {}
                Err(error) => {
                    assert!(error.is_cancelled());
                    aborted += 1;
                }
            }
        }
        assert!(aborted <= 12);
        assert_eq!(ended.load(Ordering::SeqCst), 12);
    });
}

#[test]
fn a_set_gives_each_of_its_tasks_back() {
    check(60, || async {
        let mut set = JoinSet::new();
        for number in 0..16 {
            match number % 4 {
                0 => set.spawn_blocking(move || {
                    sim::block(millis(sim::choose(20)));
                    number
                }),
                _ => set.spawn(async move {
                    dawdle().await;
                    number
                }),
            };
        }
        let mut sum = 0;
        while set.len() > 4 {
            sum += set.join_next().await.unwrap().unwrap();
        }
        assert!(sum <= 120);
        set.abort_all();
        while let Some(result) = set.join_next().await {
            assert!(result.is_ok() || result.unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn timers_of_all_kinds_come() {
    check(60, || async {
        let tasks: Vec<_> = (0..12)
            .map(|number| {
                spawn(async move {
                    match number % 4 {
                        0 => {
                            for _ in 0..3 {
                                sleep(millis(1 + sim::choose(40))).await;
                            }
                        }
                        // Armed by a thread that has no processor.
                        1 => spawn_blocking(|| block_on(sleep(millis(1 + sim::choose(40)))))
                            .await
                            .unwrap(),
                        // By one that gives its processor away, and by one that loses it.
                        2 => block_on(sleep(millis(1 + sim::choose(40)))),
                        _ => {
                            let time = millis(1 + sim::choose(40));
                            let late = timeout(time, dawdle());
                            let _ = late.await;
                            dawdle().await;
                            sleep(time).await;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn every_class_comes_to_its_end() {
    check(40, || async {
        let tasks: Vec<_> = (0..18)
            .map(|number| {
                let class = [
                    Priority::Background,
                    Priority::Normal,
                    Priority::Interactive,
                ][number % 3];
                let builder = task::Builder::new().priority(class);
                builder.spawn(async move {
                    for _ in 0..3 {
                        dawdle().await;
                        if sim::choose(8) == 0 {
                            spawn(dawdle()).await.unwrap();
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}
