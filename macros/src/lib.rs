//! The attributes `#[executor::main]` and `#[executor::test]`, which `gosched` exports. Their
//! documentation is there.
//!
//! # What they make
//!
//! ```text
//! #[executor::test(timeout = "5s")]      #[::core::prelude::v1::test]
//! #[ignore]                              #[ignore]
//! async fn name() -> Result<(), E> {     fn name() -> ::executor::__macros::ExitCode {
//!     body                                   async fn name() -> Result<(), E> { body }
//! }                                          ::executor::__macros::Test::new()
//!                                                .timeout(5u64, 0u32)
//!                                                .run(name)
//!                                        }
//! ```
//!
//! - The function stays as it was written, inside one of its name. So the compiler says of its
//!   body, its return type and its lints what it would say of any `async fn`, at the same places,
//!   and an editor finds in it what it would find there. An `async` block of the body would not
//!   know the return type. (`Self` of an `impl` around it does not reach into it.)
//! - All that happens is in the library: this package only passes the options on. It belongs to the
//!   one version of `gosched` that names it, as they share the hidden module `__macros`.
//! - Attributes go to the outer function. A name in the body still means what it means outside.
//!
//! # Errors
//!
//! All are found, not the first alone, and each points to the tokens that it is about. What can be
//! expanded is expanded beside them, so that no others follow from them, and editors go on.
//!
//! # Why no `syn`
//!
//! `gosched` is to stay at some 15 packages in its smallest useful form, and this one is on by
//! default. `syn`, `quote`, `proc-macro2` and `unicode-ident` would be four more. What is parsed
//! here is small: the head of a function, whose types and body are passed on unread, and a list of
//! literals.

use proc_macro::TokenStream;

mod errors;
mod expand;
mod function;
mod options;
mod tokens;

use options::Attribute;

/// Runs an async function on a runtime of its own: see
/// [`executor::main`](https://docs.rs/gosched/latest/executor/attr.main.html).
#[proc_macro_attribute]
pub fn main(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::expand(Attribute::Main, options, function)
}

/// Makes an async function a test: see
/// [`executor::test`](https://docs.rs/gosched/latest/executor/attr.test.html).
#[proc_macro_attribute]
pub fn test(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::expand(Attribute::Test, options, function)
}
