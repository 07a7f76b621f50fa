//! hyper 1 and hyper-util, server and client, directly over our streams.

mod bodies;
mod children;
mod connections;
mod frames;
mod requests;
mod support;
