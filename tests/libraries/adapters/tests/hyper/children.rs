//! Clients that are not ours: `curl` and `wrk`, as child processes. A test is skipped, with a word, where there is none.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use libraries_adapters::{alive_tasks, pattern, test, until};

use crate::support::{BIG, BOTH, Server, Version, server};

/// Runs a program to its end, on a blocking thread. `None` if there is no such program.
async fn run<A: AsRef<OsStr>>(
    program: &'static str,
    args: impl IntoIterator<Item = A>,
) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    let output = executor::spawn_blocking(move || command.output())
        .await
        .unwrap();
    match output {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: there is no {program}");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

/// What `curl` prints. It ends by itself, if not otherwise.
async fn curl(version: Version, args: &[&str], url: &str) -> Option<Vec<u8>> {
    let version = match version {
        Version::Http1 => "--http1.1",
        Version::Http2 => "--http2-prior-knowledge",
    };
    let args = [
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--max-time",
        "50",
        version,
    ]
    .into_iter()
    .chain(args.iter().copied())
    .chain([url]);
    let output = run("curl", args).await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    Some(output.stdout)
}

fn url<A: std::fmt::Display>(server: &Server<A>, path: &str) -> String {
    format!("http://{}{path}", server.address)
}

#[test]
fn curl_gets_every_page_over_one_connection() {
    test(async {
        let server = server().await;
        let before = alive_tasks();
        let args = ["--write-out", "/%{http_version}/%{http_code}\\n"];
        let url = url(&server, "/number/[1-100]");
        let Some(got) = curl(Version::Http1, &args, &url).await else {
            return;
        };
        let expected: String = (1..=100).map(|n| format!("{n}/1.1/200\n")).collect();
        assert_eq!(String::from_utf8(got).unwrap(), expected);
        assert_eq!((server.site.requests(), server.site.accepted()), (100, 1));
        until(|| alive_tasks() == before).await;
    });
}

/// One page per connection: some versions of `curl` cannot use one twice without an upgrade.
#[test]
fn curl_gets_every_page_by_http2() {
    test(async {
        let server = server().await;
        let before = alive_tasks();
        for n in 1..=10 {
            let args = ["--write-out", "/%{http_version}/%{http_code}"];
            let url = url(&server, &format!("/number/{n}"));
            let Some(got) = curl(Version::Http2, &args, &url).await else {
                return;
            };
            assert_eq!(String::from_utf8(got).unwrap(), format!("{n}/2/200"));
        }
        assert_eq!((server.site.requests(), server.site.accepted()), (10, 10));
        until(|| alive_tasks() == before).await;
    });
}

#[test]
fn curl_gets_a_big_page_and_sends_a_body() {
    test(async {
        for version in BOTH {
            let server = server().await;
            let Some(got) = curl(version, &[], &url(&server, "/big")).await else {
                return;
            };
            assert!(got == pattern(BIG, 1));
            let body = "0123456789".repeat(6000);
            let args = ["--data-raw", body.as_str()];
            assert!(curl(version, &args, &url(&server, "/echo")).await.unwrap() == body.as_bytes());
            let args = ["--write-out", "%{http_code}"];
            let got = curl(version, &args, &url(&server, "/nowhere"))
                .await
                .unwrap();
            assert_eq!(String::from_utf8(got).unwrap(), "no such page404");
        }
    });
}

#[test]
fn wrk_sees_no_error_in_a_second_of_load() {
    test(async {
        let server = server().await;
        let before = alive_tasks();
        let url = url(&server, "/");
        let args = ["-t1", "-c16", "-d1s", "--timeout", "20s", &url];
        let Some(output) = run("wrk", args).await else {
            return;
        };
        let report = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{report}");
        assert!(
            !report.contains("Socket errors") && !report.contains("Non-2xx"),
            "{report}"
        );
        let mut words = report
            .lines()
            .find(|line| line.contains(" requests in "))
            .unwrap()
            .split(' ');
        let counted: usize = words
            .find(|word| !word.is_empty())
            .unwrap()
            .parse()
            .unwrap();
        // Each connection has one in flight when the time is up.
        assert!(
            (counted..=counted + 16).contains(&server.site.requests()),
            "{report}"
        );
        assert!(counted >= 16, "{report}");
        until(|| alive_tasks() == before).await;
    });
}
