#[executor::main]
async fn main() {
    unknown().await; //~ unknown => cannot find function `unknown`
}

#[executor::main]
async fn other() -> Unknown {} //~ Unknown => cannot find type `Unknown`
