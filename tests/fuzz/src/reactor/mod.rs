//! The reactor's files under test and what stands around them.

#![allow(dead_code)]

#[path = "../../../../src/reactor/event.rs"]
#[rustfmt::skip]
mod event;
#[path = "../../../../src/reactor/registry.rs"]
#[rustfmt::skip]
mod registry;
#[path = "../../../../src/reactor/state.rs"]
#[rustfmt::skip]
mod state;
#[path = "../../../../src/reactor/waiters.rs"]
#[rustfmt::skip]
mod waiters;

mod both;
mod list;
mod poller;

use std::io;

pub(crate) use both::Both;

fn closed() -> io::Error {
    io::Error::other("closed")
}

fn failed() -> io::Error {
    io::Error::other("failed")
}

fn inherited() -> io::Error {
    unreachable!("no child is forked here")
}
