//! sqlx over SQLite: pool, transactions and timeouts through a tokio context; each connection has a thread of sqlx's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures::FutureExt;
use libraries_tokio_context::{bounded, everywhere, output, processors};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Error, SqlitePool};
use tempfile::TempDir;

/// Far beyond what any of these tests waits.
const LONG: Duration = Duration::from_secs(50);

/// A pool over a file. The folder goes with the guard.
async fn pool_of(count: u32) -> (TempDir, SqlitePool) {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("test.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Off)
        .busy_timeout(LONG);
    let pool = SqlitePoolOptions::new()
        .max_connections(count)
        .acquire_timeout(LONG)
        .connect_with(options)
        .await
        .unwrap();
    sqlx::query("CREATE TABLE counter (n INTEGER NOT NULL)")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("INSERT INTO counter VALUES (0)")
        .execute(&pool)
        .await
        .unwrap();
    (folder, pool)
}

const INCREMENT: &str = "UPDATE counter SET n = n + 1";

async fn read(pool: &SqlitePool) -> i64 {
    sqlx::query_scalar("SELECT n FROM counter")
        .fetch_one(pool)
        .await
        .unwrap()
}

#[test]
fn a_transaction_counts_only_when_committed() {
    everywhere(|| async {
        let (_folder, pool) = pool_of(2).await;
        let mut kept = pool.begin().await.unwrap();
        sqlx::query(INCREMENT).execute(&mut *kept).await.unwrap();
        kept.commit().await.unwrap();
        assert_eq!(read(&pool).await, 1);

        let mut undone = pool.begin().await.unwrap();
        sqlx::query(INCREMENT).execute(&mut *undone).await.unwrap();
        undone.rollback().await.unwrap();
        assert_eq!(read(&pool).await, 1);

        let mut dropped = pool.begin().await.unwrap();
        sqlx::query(INCREMENT).execute(&mut *dropped).await.unwrap();
        drop(dropped);
        assert_eq!(read(&pool).await, 1);
        // The next writer would wait for one that was not rolled back.
        sqlx::query(INCREMENT).execute(&pool).await.unwrap();
        assert_eq!(read(&pool).await, 2);
        pool.close().await;
    });
}

#[test]
fn a_task_that_panics_or_is_aborted_rolls_back() {
    everywhere(|| async {
        let (_folder, pool) = pool_of(2).await;
        let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
        let unfinished = |panics: bool| {
            let (pool, begun) = (pool.clone(), begun.clone());
            executor::spawn(async move {
                let mut transaction = pool.begin().await.unwrap();
                let update = sqlx::query(INCREMENT).execute(&mut *transaction);
                update.await.unwrap();
                begun.send(()).unwrap();
                if panics {
                    std::panic::resume_unwind(Box::new("on purpose"));
                }
                std::future::pending::<()>().await;
            })
        };
        assert!(unfinished(true).await.unwrap_err().is_panic());
        has_begun.recv().await.unwrap();
        let aborted = unfinished(false);
        has_begun.recv().await.unwrap();
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_cancelled());
        sqlx::query(INCREMENT).execute(&pool).await.unwrap();
        assert_eq!(read(&pool).await, 1);
        pool.close().await;
    });
}

#[test]
fn fifty_tasks_over_five_connections_lose_no_update() {
    everywhere(|| async {
        let (_folder, pool) = pool_of(5).await;
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (pool, inside, most) = (pool.clone(), inside.clone(), most.clone());
                executor::spawn(async move {
                    for _ in 0..4 {
                        let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
                        most.fetch_max(inside.fetch_add(1, Relaxed) + 1, Relaxed);
                        let n: i64 = sqlx::query_scalar("SELECT n FROM counter")
                            .fetch_one(&mut *transaction)
                            .await
                            .unwrap();
                        sqlx::query("UPDATE counter SET n = ?")
                            .bind(n + 1)
                            .execute(&mut *transaction)
                            .await
                            .unwrap();
                        inside.fetch_sub(1, Relaxed);
                        transaction.commit().await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            output(task).await;
        }
        assert_eq!(read(&pool).await, 200);
        assert_eq!(most.load(Relaxed), 1, "writers at a time");
        assert!(pool.size() <= 5);
        pool.close().await;
        assert_eq!(pool.size(), 0);
    });
}

#[test]
fn readers_share_the_pool_and_each_gets_its_row() {
    everywhere(|| async {
        let (_folder, pool) = pool_of(5).await;
        let tasks: Vec<_> = (0..50i64)
            .map(|n| {
                let pool = pool.clone();
                executor::spawn(async move {
                    let query = sqlx::query_scalar::<_, i64>("SELECT n + ? FROM counter");
                    query.bind(n).fetch_one(&pool).await.unwrap()
                })
            })
            .collect();
        for (n, task) in (0..).zip(tasks) {
            assert_eq!(output(task).await, n);
        }
        pool.close().await;
    });
}

#[test]
fn a_pool_with_none_free_times_out_and_recovers() {
    everywhere(|| async {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_millis(300));
        let pool = pool.connect_lazy("sqlite::memory:").unwrap();
        let acquired = async || {
            // On a slow machine it may take longer than that to connect.
            loop {
                match pool.acquire().await {
                    Err(Error::PoolTimedOut) => {}
                    other => return other.unwrap(),
                }
            }
        };
        let held = acquired().await;
        let waiter = pool.clone();
        let waiter = executor::spawn(async move { waiter.acquire().await.map(drop) });
        assert!(matches!(output(waiter).await, Err(Error::PoolTimedOut)));
        drop(held);
        drop(acquired().await);
        pool.close().await;
    });
}

#[test]
fn closing_ends_those_who_wait_and_waits_for_those_who_hold() {
    everywhere(|| async {
        let (_folder, pool) = pool_of(1).await;
        let held = pool.acquire().await.unwrap();
        // They wait when the pool closes: it may miss one that is just about to (it looks whether the pool is closed, then
        // starts to listen for that).
        let waiters: Vec<_> = (0..10)
            .map(|_| {
                let mut acquire = Box::pin(pool.acquire());
                assert!((&mut acquire).now_or_never().is_none());
                executor::spawn(async move { acquire.await.map(drop) })
            })
            .collect();
        let closer = pool.clone();
        let closer = executor::spawn(async move { closer.close().await });
        for waiter in waiters {
            assert!(matches!(output(waiter).await, Err(Error::PoolClosed)));
        }
        assert!(!closer.is_finished(), "one is still held");
        drop(held);
        output(closer).await;
        assert!(pool.is_closed());
        assert!(matches!(pool.acquire().await, Err(Error::PoolClosed)));
    });
}

#[test]
fn those_who_give_up_waiting_take_no_connection_away() {
    everywhere(|| async {
        let (_folder, pool) = pool_of(3).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(pool.acquire().await.unwrap());
        }
        let waiters: Vec<_> = (0..30)
            .map(|_| {
                let pool = pool.clone();
                executor::spawn(async move { pool.acquire().await.map(drop) })
            })
            .collect();
        for waiter in &waiters {
            waiter.abort();
        }
        drop(held);
        for waiter in waiters {
            match waiter.await {
                // It was given a connection before it was aborted, and gave it back.
                Ok(acquired) => acquired.unwrap(),
                Err(error) => assert!(error.is_cancelled()),
            }
        }
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(pool.acquire().await.unwrap());
        }
        assert_eq!(pool.size(), 3);
        drop(held);
        pool.close().await;
    });
}

/// Each connection to memory is a database of its own.
#[test]
fn a_database_in_memory_is_as_durable_as_its_connection() {
    everywhere(|| async {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(LONG);
        let pool = pool.connect("sqlite::memory:").await.unwrap();
        let create = sqlx::query("CREATE TABLE names (name TEXT)");
        create.execute(&pool).await.unwrap();
        for n in 0..20 {
            let insert = sqlx::query("INSERT INTO names VALUES (?)").bind(n.to_string());
            insert.execute(&pool).await.unwrap();
        }
        let names: Vec<String> = sqlx::query_scalar("SELECT name FROM names ORDER BY rowid")
            .fetch_all(&pool)
            .await
            .unwrap();
        assert_eq!(names, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
        pool.close().await;
    });
}

#[test]
fn a_pool_outlives_the_runtime_it_was_made_in() {
    bounded(|| {
        let first = processors(1);
        let (_folder, pool) = first.block_on(pool_of(2));
        for _ in 0..10 {
            let pool = pool.clone();
            first.block_on(output(first.spawn(async move {
                sqlx::query(INCREMENT).execute(&pool).await.unwrap();
            })));
        }
        drop(first);
        let second = processors(2);
        let reader = pool.clone();
        let task = second.spawn(async move { read(&reader).await });
        assert_eq!(second.block_on(output(task)), 10);
        executor::block_on(pool.close());
    });
}
