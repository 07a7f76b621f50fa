//! What these tests share.

mod recipes;
