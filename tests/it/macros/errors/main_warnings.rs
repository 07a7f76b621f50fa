#![deny(missing_docs)]
//! Lints see what they would see without the attribute.

#[executor::main]
async fn main() {
    let unused = 1; //~ unused => unused variable: `unused`
    #[allow(unused_variables)]
    let allowed = 1;
}

#[executor::main]
async fn is_never_called() {} //~ is_never_called => function `is_never_called` is never used

#[allow(dead_code)]
#[executor::main]
async fn is_allowed() {}

#[executor::main]
#[allow(unused_variables)]
async fn within() {
    let unused = 1;
}

#[expect(unused_variables)]
#[executor::main]
async fn main_of_a_library() {
    let unused = 1;
}

#[executor::main]
#[must_use]
async fn answer() -> u8 {
    7
}

#[allow(dead_code)]
fn all() {
    within();
    main_of_a_library();
    answer(); //~ answer => unused return value of `answer` that must be used
}
