//! Where tasks wait that use reqwest, sqlx and tonic. The servers take connections, and never answer.

#[path = "../../shown.rs"]
mod shown;

use std::net::TcpListener;

use executor::Handle;
use libraries_tokio_context::{bounded, output, processors};
use shown::assert_shown;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const GETS: u32 = line!() + 2;
async fn gets(url: String) {
    let _ = reqwest::get(url).await;
}

const ACQUIRES: u32 = line!() + 2;
async fn acquires(pool: SqlitePool) {
    let _ = pool.acquire().await;
}

/// Through sqlx's own futures.
const FETCHES: u32 = line!() + 3;
async fn fetches(pool: SqlitePool) {
    let one = sqlx::query("SELECT 1");
    let _ = one.fetch_one(&pool).await;
}

const CHECKS: u32 = line!() + 4;
async fn checks(url: String) {
    let channel = Endpoint::from_shared(url).unwrap().connect_lazy();
    let request = HealthCheckRequest::default();
    let _ = HealthClient::new(channel).check(request).await;
}

#[test]
fn who_waits_for_a_server_or_a_connection_shows_its_await_and_the_library() {
    bounded(|| {
        let runtime = processors(2);
        let handle = runtime.block_on(output(runtime.spawn(async { Handle::current() })));
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());

        let gets = runtime.spawn(gets(url.clone()));
        assert_shown(&handle, &[GETS], "reqwest");
        gets.abort();

        let pool = runtime.block_on(output(runtime.spawn(async {
            let options = SqlitePoolOptions::new().max_connections(1);
            options.connect("sqlite::memory:").await.unwrap()
        })));
        let acquired = pool.clone();
        let taken = runtime.spawn(async move { acquired.acquire().await.unwrap() });
        let taken = runtime.block_on(output(taken));
        let acquires = runtime.spawn(acquires(pool.clone()));
        assert_shown(&handle, &[ACQUIRES], "sqlx_core");
        acquires.abort();
        let fetches = runtime.spawn(fetches(pool));
        assert_shown(&handle, &[FETCHES], "sqlx_core");
        fetches.abort();

        let checks = runtime.spawn(checks(url));
        assert_shown(&handle, &[CHECKS], "tonic");
        checks.abort();
        runtime.block_on(async { drop(taken) });
    });
}
