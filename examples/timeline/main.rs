//! Records a timeline.
use std::time::Duration;

fn main() -> std::io::Result<()> {
    let runtime = executor::runtime::Builder::new()
        .worker_threads(2)
        .histograms(true)
        .trace_to("/tmp/t1.json")
        .build()?;
    runtime.block_on(async {
        let handle = executor::Handle::current();
        let mut all = Vec::new();
        for n in 0..4 {
            let task = executor::task::Builder::new().name(format!("ticker {n}"));
            all.push(task.spawn(async move {
                for _ in 0..20 {
                    executor::time::sleep(Duration::from_millis(2)).await;
                    let child =
                        executor::spawn(async { std::hint::black_box((0..20000u64).sum::<u64>()) });
                    child.await.unwrap();
                }
            }));
        }
        all.push(executor::task::Builder::new().name("blocker").spawn(async {
            executor::time::sleep(Duration::from_millis(5)).await;
            std::thread::sleep(Duration::from_millis(20));
            executor::block_in_place(|| std::thread::sleep(Duration::from_millis(5)));
            executor::spawn_blocking(|| std::thread::sleep(Duration::from_millis(3)))
                .await
                .unwrap();
        }));
        for task in all {
            task.await.unwrap();
        }
        println!("{}", handle.metrics());
    });
    Ok(())
}
