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

/// What yields in a runtime for one thread waits for the end of a turn; a runtime inside of it has other turns.
#[test]
fn who_yields_inside_a_turn_but_in_another_runtime_goes_on() {
    let many = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let one = || {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
    };
    let yields = || async {
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        1
    };
    let outer = one();
    let all = outer.block_on(async {
        let task = tokio::spawn(async move {
            let nested = many.block_on(yields()) + many.handle().block_on(yields());
            let inner = one();
            let nested = nested + inner.block_on(yields()) + inner.handle().block_on(yields());
            let in_place = tokio::task::block_in_place(|| many.block_on(yields()));
            drop((many, inner));
            nested + in_place
        });
        task.await.unwrap() + yields().await
    });
    assert_eq!(all, 6);
}
