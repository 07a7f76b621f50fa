//! Timelines: what a scheduler records of itself, and the file that shows it.
//!
//! ```text
//!   worker, monitor, pool thread ── event ──► ring ── copy ──► log ── lanes ──► chrome: JSON for Perfetto
//! ```
//!
//! Nothing here knows a scheduler. It tells ([`event`]) what happens in which **lane** (a
//! processor, a thread, the monitor) and when ([`stamp`]); the lane's [`ring`] keeps the last of
//! it. A [`Log`] is a copy of all lanes; [`lanes`] makes slices, marks and arrows of it, and
//! [`chrome`] writes them.

mod chrome;
mod event;
mod lanes;
mod log;
mod ring;
pub(crate) mod stamp;

pub(crate) use chrome::write;
pub(crate) use event::{Event, Kind, Queue, pair};
pub(crate) use log::{Lane, Log, Place, TaskLabel};
pub(crate) use ring::Ring;
