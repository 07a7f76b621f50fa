//! Signals of `async-signal`, awaited in our tasks. This process and no other test raises them.

use std::env;

use async_process::{Command, Stdio};
use async_signal::{Signal, Signals};
use executor::spawn;
use futures::{AsyncBufReadExt, StreamExt};
use libraries_unmodified::everywhere;
use rustix::process::{Pid, Signal as Raw, getpid, kill_process};

#[test]
fn each_of_many_signals_wakes_every_task_that_waits_for_it() {
    everywhere(async || {
        const COUNT: usize = 200;
        let (told, mut telling) = futures::channel::mpsc::unbounded();
        for kind in [Signal::Usr1, Signal::Usr2] {
            for _ in 0..2 {
                let mut signals = Signals::new([kind]).unwrap();
                let told = told.clone();
                spawn(async move {
                    for _ in 0..COUNT {
                        assert_eq!(signals.next().await.unwrap().unwrap(), kind);
                        told.unbounded_send(kind).unwrap();
                    }
                });
            }
        }
        drop(told);
        for _ in 0..COUNT {
            // The next one comes when this has been seen: signals of one kind that wait are one signal.
            for raw in [Raw::USR1, Raw::USR2] {
                kill_process(getpid(), raw).unwrap();
            }
            let seen: Vec<_> = telling.by_ref().take(4).collect().await;
            let first = seen.iter().filter(|&&kind| kind == Signal::Usr1).count();
            assert_eq!((first, seen.len()), (2, 4));
        }
        assert_eq!(telling.next().await, None);
    });
}

const CHILD: &str = "LIBRARIES_TEST_SIGNAL_CHILD";

/// Says that it listens, counts two hang-ups, and ends well when it is told to terminate.
async fn child() -> i32 {
    let mut signals = Signals::new([Signal::Term, Signal::Hup]).unwrap();
    println!("listening");
    let mut hang_ups = 0;
    while let Some(signal) = signals.next().await {
        match signal.unwrap() {
            Signal::Term => return hang_ups,
            _ => hang_ups += 1,
        }
        println!("hang-up {hang_ups}");
    }
    unreachable!("signals do not end")
}

#[test]
fn a_program_that_is_told_to_terminate_ends_by_its_own_choice() {
    if env::var_os(CHILD).is_some() {
        let code = executor::block_on(async { spawn(child()).await.unwrap() });
        std::process::exit(40 + code);
    }
    everywhere(async || {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("a_program_that_is_told_to_terminate_ends_by_its_own_choice")
            .env(CHILD, "1")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let id = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        let mut lines = futures::io::BufReader::new(child.stdout.take().unwrap()).lines();
        for (said, answer) in [
            ("listening", Raw::HUP),
            ("hang-up 1", Raw::HUP),
            ("hang-up 2", Raw::TERM),
        ] {
            // The test harness has its say before, and on the same line.
            while !lines.next().await.unwrap().unwrap().ends_with(said) {}
            kill_process(id, answer).unwrap();
        }
        assert_eq!(child.status().await.unwrap().code(), Some(42));
    });
}
