#[executor::test(seeds = 0)] //~ 0 => `seeds` takes an integer from 1 on, as in `seeds = 100`
async fn none() {}

#[executor::test(seed = "5eed")] //~ "5eed" => `seed` takes an integer of 64 bits, as in `seed = 0x5eed`
async fn text() {}

#[executor::test(seed = 0x1_0000_0000_0000_0000)] //~ 0x1_0000_0000_0000_0000 => `seed` takes an integer of 64 bits
async fn too_many_bits() {}

#[executor::test(seed = 1, seeds = 2, worker_threads = 3)]
async fn both() -> Result<(), String> {
    Ok(())
}
