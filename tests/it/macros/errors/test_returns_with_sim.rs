#[executor::test(seeds = 3)]
async fn a_number() -> u8 { //~ u8 => a test in a simulation cannot return `u8`
    3
}

#[executor::test(seed = 7)]
async fn fails() -> Result<(), String> {
    Err(7)? //~ ? => `?` couldn't convert
}
