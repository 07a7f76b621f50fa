use std::time::Duration;
use tokio::sync::mpsc;

#[tokio::main]
async fn multi() {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let t = tokio::spawn(async move {
        let mut n = 0u32;
        while let Some(x) = rx.recv().await {
            n += x;
        }
        n
    });
    for i in 0..1000 {
        tx.send(i).unwrap();
    }
    drop(tx);
    assert_eq!(t.await.unwrap(), 499500);
}

#[test]
fn smoke() {
    multi();
}

#[tokio::test]
async fn current() {
    let here = std::thread::current().id();
    let t = tokio::spawn(async move {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        std::thread::current().id()
    });
    assert_eq!(t.await.unwrap(), here);
    let b = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(5)));
    b.await.unwrap();
}

#[tokio::test]
async fn cooperative() {
    // A ready channel ends no poll by itself; the budget does.
    let (tx, mut rx) = mpsc::unbounded_channel();
    for i in 0..1000 {
        tx.send(i).unwrap();
    }
    let mut polls = 0;
    let mut fut = std::pin::pin!(async { while rx.recv().await != Some(999) {} });
    std::future::poll_fn(|cx| {
        polls += 1;
        fut.as_mut().poll(cx)
    })
    .await;
    assert_eq!(polls, 8);
}

#[tokio::test]
async fn local() {
    let set = tokio::task::LocalSet::new();
    let n = set
        .run_until(async {
            let rc = std::rc::Rc::new(5);
            let rc2 = rc.clone();
            let h = tokio::task::spawn_local(async move {
                tokio::task::yield_now().await;
                *rc2 + 1
            });
            h.await.unwrap() + *rc
        })
        .await;
    assert_eq!(n, 11);
    let mut js = tokio::task::JoinSet::new();
    for i in 0..100 {
        js.spawn(async move { i });
    }
    let mut v = js.join_all().await;
    v.sort();
    assert_eq!(v.len(), 100);
}
