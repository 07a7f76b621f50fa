//! The code on these pages is compiled, and run where it ends by itself: `cargo test --doc` of this package. Blocks for crates that
//! are too large for that are marked `ignore`; the page says how they were checked.

#[cfg(doctest)]
#[doc = include_str!("../../../../docs/recipes.md")]
mod recipes_md {}

#[cfg(doctest)]
#[doc = include_str!("../../../../docs/from-tokio.md")]
mod from_tokio_md {}

#[cfg(doctest)]
#[doc = include_str!("../../../../docs/from-smol.md")]
mod from_smol_md {}
