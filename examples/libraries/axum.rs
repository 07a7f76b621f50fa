//! A JSON API with axum: shared state, a path parameter, and a handler that blocks its thread. The others go on, since
//! every connection is a task here, and a task that blocks loses its processor to another thread.
//!
//! `cargo run --release --manifest-path examples/libraries/Cargo.toml --bin axum` serves until Ctrl-C; try
//! `curl -X POST http://127.0.0.1:8080/visits/ada`. With `-- --check` it asks itself, on a free port, and ends.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use executor::compat::serve;
use executor::net::TcpListener;
use futures::{FutureExt, channel::oneshot};
use libraries_examples::{check_or_serve, request};

type Visits = Arc<Mutex<BTreeMap<String, u64>>>;

async fn visit(State(visits): State<Visits>, Path(name): Path<String>) -> Json<u64> {
    let mut visits = visits.lock().unwrap();
    Json(*visits.entry(name).and_modify(|n| *n += 1).or_insert(1))
}

async fn list(State(visits): State<Visits>) -> Json<BTreeMap<String, u64>> {
    Json(visits.lock().unwrap().clone())
}

async fn block() -> &'static str {
    std::thread::sleep(Duration::from_secs(1)); // by mistake, or in a library that knows no better
    "that took a second\n"
}

#[executor::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (check, address) = check_or_serve(8080);
    let app = Router::new()
        .route("/visits", get(list))
        .route("/visits/{name}", post(visit))
        .route("/block", get(block))
        .with_state(Visits::default());
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("serving on http://{address}; Ctrl-C stops");
    let (stop, stopped) = oneshot::channel::<()>();
    let server = serve(listener, app).with_graceful_shutdown(stopped.map(drop));
    let server = executor::spawn(server.into_future());
    match check {
        true => ask(address).await?,
        false => tokio::signal::ctrl_c().await?,
    }
    drop(stop); // from here on connecting is refused; requests in flight are answered
    Ok(server.await??)
}

/// Lets four handlers block their threads, and counts the visits that are answered meanwhile.
async fn ask(server: SocketAddr) -> Result<(), Box<dyn Error>> {
    let blocked: [_; 4] = std::array::from_fn(|_| executor::spawn(request(server, "GET /block")));
    while !blocked.iter().any(|request| request.is_finished()) {
        request(server, "POST /visits/ada").await?;
    }
    let visits = request(server, "GET /visits").await?;
    println!("while four handlers blocked: {visits}");
    for answer in blocked {
        print!("{}", answer.await??);
    }
    Ok(())
}
