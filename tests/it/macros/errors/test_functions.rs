#[executor::test]
/// Documented.
fn blocks() {} //~ fn => `#[executor::test]` needs an `async fn`: here is no `async`

#[executor::test]
#[cfg(all())]
async fn with(argument: u8) -> u8 { //~ argument: u8 => `#[executor::test]` calls the function, which cannot take arguments
    argument
}

#[executor::test]
#[test] //~ test => `#[executor::test]` makes it a test by itself
async fn twice() {}
