//! What a runtime does, for Prometheus: how busy its workers are, how long polls take, how long tasks wait for a worker. The
//! figures are read when they are asked for, so they are never old and nobody needs a timer.
//!
//! `cargo run --release --manifest-path examples/libraries/Cargo.toml --bin prometheus` serves until Ctrl-C; try
//! `curl http://127.0.0.1:9000/metrics`. With `-- --check` it asks itself, on a free port, and ends.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::time::Duration;

use axum::{Router, routing::get};
use executor::net::TcpListener;
use executor::runtime::{Builder, RuntimeMetrics};
use executor::{task::JoinSet, time::sleep};
use libraries_examples::{check_or_serve, request};
use metrics_exporter_prometheus::PrometheusBuilder;

/// All that `publish` gives; each begins with `executor_`.
const NAMES: &str = "workers threads alive_tasks spawned_tasks_total global_queue_depth
    blocking_threads idle_blocking_threads blocking_queue_depth handoffs_total retakes_total netpoll_ready_total
    worker_queue_depth worker_busy_seconds_total worker_polls_total worker_steals_total worker_parks_total
    poll_seconds_bucket poll_seconds_sum poll_seconds_count
    schedule_latency_seconds_bucket schedule_latency_seconds_sum schedule_latency_seconds_count";

fn main() -> Result<(), Box<dyn Error>> {
    let (check, address) = check_or_serve(9000);
    let recorder = PrometheusBuilder::new().install_recorder()?;
    RuntimeMetrics::describe();
    let runtime = Builder::new().histograms(true).build()?;
    let handle = runtime.handle().clone();
    let metrics = async move || {
        handle.metrics().publish("main");
        recorder.render()
    };
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        println!("serving http://{address}/metrics; Ctrl-C stops");
        let app = Router::new().route("/metrics", get(metrics));
        let _server = executor::spawn(axum::serve(listener, app).into_future());
        let mut work: JoinSet<()> = (0..100).map(now_and_then).collect();
        if check {
            while work.join_next().await.is_some() {}
            let series = verify(&request(address, "GET /metrics").await?)?;
            println!("{series} series, with all names, each described");
            return Ok(());
        }
        Ok(tokio::signal::ctrl_c().await?)
    })
}

/// Something to be seen.
async fn now_and_then(task: u64) {
    for _ in 0..10 {
        sleep(Duration::from_millis(task)).await;
    }
}

/// Reads a text as Prometheus does, and gives how many series it has; an error when a name is missing or not described.
fn verify(text: &str) -> Result<usize, Box<dyn Error>> {
    let (mut described, mut series) = (BTreeSet::new(), BTreeMap::<_, usize>::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            described.insert(help.split_once(' ').ok_or(line)?.0);
        } else if !line.starts_with("# TYPE ") {
            let (key, value) = line.rsplit_once(' ').ok_or(line)?;
            let name = key.split_once("{runtime=\"main\"").ok_or(line)?.0;
            value.parse::<f64>()?;
            *series.entry(name).or_default() += 1;
        }
    }
    for name in NAMES.split_whitespace() {
        let name = &format!("executor_{name}")[..];
        if !described.contains(name) || !series.contains_key(name) {
            return Err(format!("{name} is not there, or not described, in:\n{text}").into());
        }
    }
    Ok(series.into_values().sum())
}
