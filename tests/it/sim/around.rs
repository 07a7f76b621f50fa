//! A package around the library that is simulated with it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use executor::{sim, simulating};

std::thread_local! {
    /// What the package keeps.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

fn around(wait: &mut dyn FnMut()) {
    struct PutBack(u64);

    impl Drop for PutBack {
        fn drop(&mut self) {
            NUMBER.set(self.0);
        }
    }

    let _number = PutBack(NUMBER.take());
    wait();
}

#[test]
fn each_thread_has_its_own() {
    simulating::keep_around_waits(around);
    for seed in 0..20 {
        NUMBER.set(99);
        let sim = sim::Builder::new().seed(seed).processors(3).build();
        let run = sim.run(async {
            assert_eq!(NUMBER.get(), 99);
            let jobs: Vec<_> = (1..10)
                .map(|number| {
                    executor::spawn_blocking(move || {
                        // A thread that has run a job already has that one's, if the package leaves it.
                        NUMBER.set(number);
                        for _ in 0..3 {
                            sim::block(Duration::from_millis(number));
                            assert_eq!(NUMBER.get(), number);
                        }
                    })
                })
                .collect();
            let task = executor::spawn(async {
                assert_eq!(NUMBER.get(), 0);
                sim::interleave();
                assert_eq!(NUMBER.get(), 0);
            });
            task.await.unwrap();
            for job in jobs {
                job.await.unwrap();
            }
            assert_eq!(NUMBER.get(), 99);
            // The run ends with a wait that unwinds.
            executor::block_on(std::future::pending::<()>());
        });
        assert_eq!(run.unwrap_err().kind(), sim::FailureKind::Deadlock);
        assert_eq!(NUMBER.take(), 99);
    }
}

#[test]
fn one_value_of_a_type_is_kept_until_the_end() {
    let value = Rc::new(());
    let kept = || simulating::kept(|| Cell::new(Some(value.clone())));
    assert!(kept().is_none());
    assert_eq!(
        (simulating::is_here(), simulating::choose(5)),
        (false, None)
    );
    for _ in 0..2 {
        let run = sim::Builder::new().build().run(async {
            assert!(simulating::is_here());
            assert!(simulating::choose(5).is_some_and(|choice| choice < 5));
            let (first, second) = (kept().unwrap(), kept().unwrap());
            assert!(Rc::ptr_eq(&first, &second));
            assert!(simulating::kept(|| 7_u8).is_some_and(|other| *other == 7));
            assert_eq!(Rc::strong_count(&value), 2);
        });
        run.unwrap();
        assert_eq!(Rc::strong_count(&value), 1);
    }
}
