#[executor::main]
async fn main() -> Result<(), std::fmt::Error> { //~ { => mismatched types: expected `Result<(), Error>`, found `()`
    let number: u8 = "x"; //~ "x" => mismatched types
    number.no_such_method(); //~ no_such_method => no method named `no_such_method` found
}
