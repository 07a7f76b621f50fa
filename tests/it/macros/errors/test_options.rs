#[executor::test(start_paused = true)] //~ start_paused => time is simulated with `seed` or `seeds`; `#[executor::test]` takes `worker_threads`, `timeout`, `seeds`, `seed` and `crate`
async fn of_another_runtime() {}

#[executor::test(timeout = 5)] //~ 5 => `timeout` takes a time in quotes, as in `timeout = "5s"`, in `us`, `ms`, `s`, `m` or `h`
async fn number() {}

#[executor::test(timeout = "5")] //~ "5" => `timeout` takes a time in quotes
async fn without_a_unit() {}

#[executor::test(timeout = "5 s")] //~ "5 s" => `timeout` takes a time in quotes
async fn with_a_space() {}

#[executor::test(timeout = "5d")] //~ "5d" => `timeout` takes a time in quotes
async fn days() {}

#[executor::test(timeout = "1.s")] //~ "1.s" => `timeout` takes a time in quotes
async fn half_a_fraction() {}

#[executor::test(timeout = "0.0ms")] //~ "0.0ms" => `timeout` takes a time in quotes
async fn nothing() {}

#[executor::test(timeout = "9999999999s")] //~ "9999999999s" => `timeout` takes a time in quotes
async fn longer_than_anything() {}

#[executor::test(timeout = "-1s", worker_threads = 99999999999999999999)]
//~^ "-1s" => `timeout` takes a time in quotes
//~^^ 99999999999999999999 => `worker_threads` takes an integer from 1 on
async fn two_errors() {}

#[executor::test(seeds = 100)] //~ seeds => `seeds` runs the test in a simulation, which needs the feature `sim` of the package `gosched`
async fn without_the_feature() {}

#[executor::test(timeout = "5s", seed = 1)] //~ seed => `seed` runs the test in a simulation, which needs the feature `sim` of the package `gosched`
async fn without_the_feature_too() {}
