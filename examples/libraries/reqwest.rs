//! Fetches pages side by side with reqwest, which finds the tokio context it needs in our tasks.
//!
//! `cargo run --release --manifest-path examples/libraries/Cargo.toml --bin reqwest [-- URL...]`; without a URL it asks
//! a server of its own, one of whose pages takes too long.

use std::error::Error;
use std::iter::successors;
use std::time::{Duration, Instant};

use axum::{Router, extract::Path, routing::get};
use executor::{net::TcpListener, task::JoinSet, time::sleep};
use reqwest::{Client, Url};

const TIMEOUT: Duration = Duration::from_secs(2);

#[executor::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // For https. ring compiles much faster than the default, aws-lc; nobody has installed another one before.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut urls: Vec<String> = std::env::args().skip(1).collect();
    let mut client = Client::builder().timeout(TIMEOUT);
    if urls.is_empty() {
        urls = serve().await?;
        client = client.no_proxy();
    }
    let (client, begin) = (client.build()?, Instant::now());
    let mut pages = JoinSet::new();
    for url in urls {
        let url = Url::parse(&url).map_err(|error| format!("{url}: {error}"))?;
        pages.spawn(fetch(client.clone(), url));
    }
    let mut failed = 0;
    while let Some(page) = pages.join_next().await {
        failed += u32::from(!page?);
    }
    println!("all together: {:.1?}", begin.elapsed());
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} failed").into()),
    }
}

/// Prints a line; gives whether there was an answer, in time or not.
async fn fetch(client: Client, url: Url) -> bool {
    let begin = Instant::now();
    let page = async {
        let answer = client.get(url.clone()).send().await?;
        reqwest::Result::Ok((answer.status().as_u16(), answer.bytes().await?.len()))
    };
    let (answered, outcome) = match page.await {
        Ok((status, bytes)) => (true, format!("{status} {bytes:>8} bytes")),
        Err(error) if error.is_timeout() => (true, "timed out".to_owned()),
        Err(error) => {
            let cause = successors(error.source(), |&cause| cause.source()).last();
            (
                false,
                cause.map_or(String::new(), |cause| cause.to_string()),
            )
        }
    };
    println!("{outcome:18} {:>8.1?}  {url}", begin.elapsed());
    answered
}

/// A page for each number: so many kilobytes, after so many milliseconds.
async fn page(Path(n): Path<u32>) -> Vec<u8> {
    sleep(Duration::from_millis(n.into())).await;
    vec![b'.'; n as usize * 1000]
}

async fn serve() -> std::io::Result<Vec<String>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let home = format!("http://{}", listener.local_addr()?);
    let pages = Router::new().route("/{n}", get(page));
    drop(executor::spawn(axum::serve(listener, pages).into_future()));
    let paths = ["0", "1", "10", "100", "300", "1000", "5000", "no/such/page"];
    Ok(paths.map(|path| format!("{home}/{path}")).to_vec())
}
