//! There is no tokio context here, so that what the other files test works without one.

use executor::Builder;
use libraries_adapters::{assert_no_tokio_context, test};

#[test]
fn no_thread_of_ours_has_a_tokio_context() {
    test(async {
        assert_no_tokio_context();
        executor::spawn_local(async { assert_no_tokio_context() })
            .await
            .unwrap();
        executor::spawn(async { assert_no_tokio_context() })
            .await
            .unwrap();
        executor::spawn(async { executor::block_in_place(assert_no_tokio_context) })
            .await
            .unwrap();
        executor::spawn_blocking(assert_no_tokio_context)
            .await
            .unwrap();
        executor::spawn_blocking(|| executor::block_on(async { assert_no_tokio_context() }))
            .await
            .unwrap();
    });
}

#[test]
fn neither_do_a_thread_s_hooks() {
    let runtime = Builder::new()
        .worker_threads(2)
        .on_thread_start(assert_no_tokio_context)
        .on_thread_stop(assert_no_tokio_context)
        .build()
        .unwrap();
    runtime.block_on(runtime.spawn(async {})).unwrap();
    runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
}
