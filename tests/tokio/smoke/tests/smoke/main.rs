//! Libraries that are bound to tokio, unmodified: what each of them is for, done once over real sockets.

mod actix_rt;
mod async_stream;
mod axum;
mod hyper_util;
mod quinn;
mod redis;
mod tokio_stream;
mod tokio_util;
mod tower_http;
mod warp;
