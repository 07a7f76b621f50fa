//! What a simulated thread knows of tasks, while another thread runs.

use super::registry::thread_number;
use super::{budget, capture, current, member, reject};

pub(crate) struct Kept {
    budget: budget::Kept,
    capture: capture::Kept,
    current: current::kept::Kept,
    member: member::Kept,
    thread_number: thread_number::Kept,
    reject: reject::Kept,
}

impl Kept {
    /// Of the thread with this number, from 1.
    pub(crate) fn new(number: u64) -> Kept {
        Kept {
            budget: budget::Kept::new(),
            capture: capture::Kept::new(),
            current: current::kept::Kept::new(),
            member: member::Kept::default(),
            thread_number: thread_number::Kept::new(number),
            reject: reject::Kept::default(),
        }
    }

    pub(crate) fn exchange(&mut self) {
        self.budget.exchange();
        self.capture.exchange();
        self.current.exchange();
        self.member.exchange();
        self.thread_number.exchange();
        self.reject.exchange();
    }
}
