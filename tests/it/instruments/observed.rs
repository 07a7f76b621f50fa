//! What subscribers of `tracing` and recorders of `metrics` are told.

#[cfg(feature = "metrics")]
mod figures;
#[cfg(feature = "tracing")]
mod spans;
