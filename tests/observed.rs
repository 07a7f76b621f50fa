//! What subscribers of `tracing` and recorders of `metrics` are told.

#[cfg(feature = "metrics")]
#[path = "observed/figures.rs"]
mod figures;
#[cfg(feature = "tracing")]
#[path = "observed/spans.rs"]
mod spans;
