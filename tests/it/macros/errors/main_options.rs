#[executor::main(worker = 3)] //~ worker => unknown option; `#[executor::main]` takes `worker_threads` and `crate`
async fn unknown() {}

#[executor::main(flavor = "multi_thread", worker_threads = 2)] //~ flavor => there is one kind of runtime, without a `flavor`; `#[executor::main]` takes `worker_threads` and `crate`
async fn of_another_runtime() {}

#[executor::main(
    worker_threads = 2,
    timeout = "5s", //~ timeout => `timeout` is for tests; `#[executor::main]` takes `worker_threads` and `crate`
    start_paused = true, //~ start_paused => unknown option; `#[executor::main]` takes `worker_threads` and `crate`
    worker_threads = 2, //~ worker_threads => `worker_threads` is there already
)]
async fn three_errors() {}

#[executor::main(worker_threads = "4")] //~ "4" => `worker_threads` takes an integer from 1 on, as in `worker_threads = 4`
async fn of_a_wrong_type() {}

#[executor::main(worker_threads = 0)] //~ 0 => `worker_threads` takes an integer from 1 on
async fn zero() {}

#[executor::main(worker_threads = 1.5)] //~ 1.5 => `worker_threads` takes an integer from 1 on
async fn fraction() {}

#[executor::main(worker_threads = -1)] //~ -1 => `worker_threads` takes an integer from 1 on
async fn negative() {}

#[executor::main(worker_threads)] //~ worker_threads => `worker_threads` takes an integer from 1 on
async fn without_a_value() {}

#[executor::main(worker_threads = )] //~ = => `worker_threads` takes an integer from 1 on
async fn with_half_a_value() {}

#[executor::main(worker_threads(4))] //~ (4) => `worker_threads` takes an integer from 1 on
async fn with_parentheses() {}

#[executor::main(worker_threads = 1 + 1)] //~ 1 + 1 => `worker_threads` takes an integer from 1 on
async fn sum() {}

#[executor::main(crate = executor)] //~ executor) => `crate` takes a path in quotes, as in `crate = "renamed"`
async fn unquoted() {}

#[executor::main(crate = "no path")] //~ "no path" => `crate` takes a path in quotes
async fn no_path() {}

#[executor::main("multi_thread")] //~ "multi_thread" => unknown option
async fn a_literal() {}

#[executor::main(executor::worker_threads = 4)] //~ executor::worker_threads => unknown option
async fn a_path() {}

fn main() {
    unknown();
    let answer: () = three_errors();
    answer
}
