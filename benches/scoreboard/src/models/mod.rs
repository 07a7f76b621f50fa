//! The six models of running tasks, side by side.

pub(crate) fn main(_args: &[&str]) {}
