//! What is always counted.

use crate::sync::counter::Counter;

/// Written by whoever holds the processor.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(in crate::scheduler) spawned: Counter,
    pub(in crate::scheduler) finished: Counter,
    pub(in crate::scheduler) steals: Counter,
    pub(in crate::scheduler) parks: Counter,
    /// Polls begun of tasks of this class; those of the third are the rest.
    pub(in crate::scheduler) interactive: Counter,
    pub(in crate::scheduler) background: Counter,
}

impl Counters {
    pub(super) fn reset(&self) {
        let Counters {
            spawned,
            finished,
            steals,
            parks,
            interactive,
            background,
        } = self;
        let all = [spawned, finished, steals, parks, interactive, background];
        all.into_iter().for_each(Counter::reset);
    }
}
