#[executor::main(crate = "elsewhere")] //~ "elsewhere" => cannot find
async fn main() {}
