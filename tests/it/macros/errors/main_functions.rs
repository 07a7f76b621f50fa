#[executor::main]
fn main() {} //~ fn => `#[executor::main]` needs an `async fn`: here is no `async`

#[executor::main]
pub(crate) unsafe fn neither() {} //~ fn => `#[executor::main]` needs an `async fn`: here is no `async`

#[executor::main]
async unsafe fn dangerous() {} //~ unsafe => `#[executor::main]` calls the function, which cannot be `unsafe`

#[executor::main]
async extern "C" fn foreign() {} //~ extern => `#[executor::main]` calls the function, which cannot be `extern`

#[executor::main]
async fn generic<'a, T: Fn(u8) -> Vec<u8>>(
    //~^ <'a, T: Fn(u8) -> Vec<u8>> => `#[executor::main]` calls the function, which cannot be generic
    x: u8, //~ x: u8 => `#[executor::main]` calls the function, which cannot take arguments
    y: &'a T,
) {
    let _ = (x, y);
}

#[executor::main]
struct NoFunction; //~ struct NoFunction; => `#[executor::main]` needs an `async fn`
