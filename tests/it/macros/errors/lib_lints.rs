#![warn(missing_docs, unreachable_pub)]
//! A library, where lints ask more.

#[executor::main]
pub async fn undocumented() {} //~ pub => missing documentation for a function

/// Documented.
#[executor::main]
pub async fn documented() {
    inner::hidden();
}

mod inner {
    #[executor::main]
    pub async fn hidden() {} //~ pub => unreachable `pub` item
}

#[executor::main]
async fn is_never_called() {} //~ is_never_called => function `is_never_called` is never used
