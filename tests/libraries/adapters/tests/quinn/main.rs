//! quinn with `QuinnRuntime`: QUIC endpoints, client and server, without tokio.

mod ends;
mod streams;
mod support;
mod writers;
