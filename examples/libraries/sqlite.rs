//! SQLite with sqlx: four tasks insert at once, in transactions; what is not committed is rolled back.
//!
//! `cargo run --release --manifest-path examples/libraries/Cargo.toml --bin sqlite` works in a file that it removes again.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use executor::task::JoinSet;
use libraries_examples::no_arguments;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};

const TRANSACTIONS: u32 = 10;
const ROWS: u32 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    no_arguments();
    let folder = std::env::temp_dir().join(format!("sqlite-example-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let outcome = executor::block_on(run(&folder.join("weather.db")));
    std::fs::remove_dir_all(&folder)?;
    outcome
}

async fn run(file: &Path) -> Result<(), Box<dyn Error>> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(60)); // one writes at a time; how long the others wait
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .connect_with(options)
        .await?;
    let table = "CREATE TABLE weather (city TEXT NOT NULL, celsius INTEGER NOT NULL)";
    sqlx::query(table).execute(&pool).await?;

    let begin = Instant::now();
    let mut writers = JoinSet::new();
    for city in ["Lisbon", "Nairobi", "Oslo", "Quito"] {
        writers.spawn(observe(pool.clone(), city));
    }
    let mut rows = 0;
    while let Some(written) = writers.join_next().await {
        rows += written??;
    }
    println!("{rows} rows committed in {:.1?}", begin.elapsed());

    let summary = "SELECT city, count(*), min(celsius), max(celsius) FROM weather GROUP BY city";
    let cities: Vec<(String, u32, i32, i32)> = sqlx::query_as(summary).fetch_all(&pool).await?;
    assert_eq!(cities.iter().map(|city| city.1).sum::<u32>(), rows);
    for (city, rows, coldest, warmest) in cities {
        println!("{city:>8}: {rows} rows, {coldest} to {warmest} degrees");
    }
    pool.close().await;
    Ok(())
}

/// Commits all transactions but the last, which it drops. Gives the number of rows that stay.
async fn observe(pool: SqlitePool, city: &'static str) -> sqlx::Result<u32> {
    for nth in 0..=TRANSACTIONS {
        let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
        for row in 0..ROWS {
            sqlx::query("INSERT INTO weather VALUES (?, ?)")
                .bind(city)
                .bind(nth + row % 7)
                .execute(&mut *transaction)
                .await?;
        }
        if nth < TRANSACTIONS {
            transaction.commit().await?;
        }
    }
    Ok(TRANSACTIONS * ROWS)
}
