//! Children of `async-process`, whose pipes and ends are waited for in our tasks.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::Duration;

use async_process::{Child, Command, Stdio};
use executor::{spawn, time};
use futures::future::join_all;
use futures::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, StreamExt, poll};
use libraries_unmodified::{bytes, everywhere};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// A child that lives until it is killed.
fn endless() -> Command {
    let mut command = Command::new("sleep");
    command.arg("1000000");
    command
}

/// Waits until the child has been taken from the kernel's table, where a dead one stays until somebody asks for its end.
async fn gone(id: u32) {
    let path = PathBuf::from(format!("/proc/{id}"));
    while path.exists() {
        time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn a_pipe_in_and_a_pipe_out_at_once_move_every_byte() {
    everywhere(async || {
        // More than both pipes hold: `cat` stops reading when nobody reads what it writes.
        let data = bytes(1024 * 1024 + 1, 7);
        let mut cat = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, mut output) = (cat.stdin.take().unwrap(), cat.stdout.take().unwrap());
        let sent = data.clone();
        let writing = spawn(async move {
            input.write_all(&sent).await.unwrap();
            input.close().await.unwrap();
        });
        let mut back = Vec::new();
        output.read_to_end(&mut back).await.unwrap();
        writing.await.unwrap();
        assert!(back == data, "the bytes differ");
        assert!(cat.status().await.unwrap().success());
    });
}

#[test]
fn children_at_once_end_each_with_its_own_status() {
    everywhere(async || {
        let tasks = (0..32).map(|n| {
            spawn(async move {
                let status = shell(&format!("exit {n}")).status().await.unwrap();
                status.code()
            })
        });
        let codes = join_all(tasks).await.into_iter().map(Result::unwrap);
        assert!(codes.eq((0..32).map(Some)));
    });
}

#[test]
fn what_a_child_says_is_kept_apart_by_stream_and_by_line() {
    everywhere(async || {
        let script = "for n in 1 2 3; do echo out $n; echo err $n >&2; done; exit 3";
        let output = shell(script).output().await.unwrap();
        assert_eq!(output.stdout, b"out 1\nout 2\nout 3\n");
        assert_eq!(output.stderr, b"err 1\nerr 2\nerr 3\n");
        assert_eq!(output.status.code(), Some(3));

        let mut child = shell("while read line; do echo got $line; done");
        let mut child = child
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut lines = futures::io::BufReader::new(child.stdout.take().unwrap()).lines();
        for n in 0..100 {
            let line = format!("{n}\n");
            input.write_all(line.as_bytes()).await.unwrap();
            assert_eq!(lines.next().await.unwrap().unwrap(), format!("got {n}"));
        }
        drop(input);
        assert!(lines.next().await.is_none());
        assert!(child.status().await.unwrap().success());
    });
}

#[test]
fn a_kill_ends_a_child_that_another_task_waits_for() {
    everywhere(async || {
        let mut child = endless().spawn().unwrap();
        assert_eq!(child.try_status().unwrap(), None);
        let mut status = Box::pin(child.status());
        assert!(poll!(&mut status).is_pending());
        let waiting = spawn(status);
        child.kill().unwrap();
        assert_eq!(waiting.await.unwrap().unwrap().signal(), Some(9));
    });
}

#[test]
fn children_that_nobody_waits_for_are_reaped() {
    everywhere(async || {
        let children: Vec<Child> = (0..16).map(|_| shell(":").spawn().unwrap()).collect();
        let killed = endless().kill_on_drop(true).spawn().unwrap();
        let ids: Vec<u32> = children.iter().chain([&killed]).map(Child::id).collect();
        drop((children, killed));
        for id in ids {
            gone(id).await;
        }
    });
}

#[test]
fn the_driver_runs_in_a_task_and_leaves_its_work_to_another_when_it_is_aborted() {
    everywhere(async || {
        let driver = spawn(async {
            let never = async_process::driver().await;
            match never {}
        });
        let before = endless().kill_on_drop(true).spawn().unwrap();
        let id = before.id();
        assert!(shell(":").status().await.unwrap().success());
        driver.abort();
        assert!(driver.await.unwrap_err().is_cancelled());
        drop(before);
        gone(id).await;
        assert!(shell(":").status().await.unwrap().success());
    });
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    everywhere(async || {
        let error = Command::new("/nowhere/nothing").spawn().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    });
}
