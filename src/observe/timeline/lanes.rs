//! From events to a picture: slices, marks, counters and arrows.
//!
//! # Which lane
//!
//! A poll is drawn in the lane of the processor that it holds, and when it has lost that, in the
//! lane of its thread. It is lost in two ways:
//!
//! * The thread gives it away (`Leave`); what it does then, it records in its own lane.
//! * The monitor takes it (`Retake`, in the monitor's lane). The thread learns nothing of that and
//!   goes on recording with the instance that it holds; so what comes after that moment, until it
//!   lays that instance down, is moved to the thread's lane here.
//!
//! # Slices
//!
//! `Begin`, or an earlier `End`, opens a slice and `End` or `Done` closes it. Where the beginning
//! was overwritten, or lies before the recording, the slice begins with the lane's first event. A
//! poll that goes on at the end is closed there.
//!
//! # Arrows
//!
//! From the last `Wake` or `Spawn` of a task before a poll of it begins, to that beginning.

use std::collections::HashMap;

use super::event::{Event, Kind, Queue, class_of, unpair};
use super::log::{Log, Place};
use crate::tasks::Priority;

/// Where it is drawn: processors first, then threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Row {
    Processor(usize),
    Monitor,
    Thread(u64),
}

/// A poll, or a part of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) row: Row,
    pub(super) task: u64,
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) ending: Ending,
    /// `Normal` also where it is not known: the beginning was overwritten, or lies in another lane.
    pub(super) class: Priority,
}

/// How a slice ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The poll has returned.
    Returned,
    /// And the task has ended.
    Finished,
    /// The poll goes on in another lane, its processor given away or taken.
    MovedOn,
    /// The poll goes on at the end of the recording.
    Unfinished,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Steal { from: usize, count: usize },
    Park,
    HandOff,
    Retake { processor: usize },
}

/// Something that takes no time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Instant {
    pub(super) row: Row,
    pub(super) at: u64,
    pub(super) mark: Mark,
}

/// A wake and the poll that followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) task: u64,
    pub(super) from: (Row, u64),
    pub(super) to: (Row, u64),
    /// The waker was not in a poll.
    pub(super) is_loose: bool,
    pub(super) is_spawn: bool,
}

/// How long a queue was.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Depth {
    pub(super) queue: Queue,
    pub(super) at: u64,
    pub(super) runnables: usize,
}

/// What there is to draw of one runtime.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) slices: Vec<Slice>,
    pub(super) instants: Vec<Instant>,
    pub(super) arrows: Vec<Arrow>,
    pub(super) depths: Vec<Depth>,
    pub(super) lost: u64,
}

/// A wake, until the poll that follows is found.
struct Wake {
    row: Row,
    at: u64,
    is_spawn: bool,
}

pub(super) fn draw(log: &Log) -> Picture {
    let retakes = retakes(log);
    let mut sheet = Sheet::default();
    for lane in &log.lanes {
        sheet.picture.lost += lane.lost;
        let taken = retakes.get(&lane.place).map_or(&[][..], Vec::as_slice);
        let mut pen = Pen::new(lane.place, taken);
        for event in &lane.events {
            pen.event(event, &mut sheet);
        }
        if let Some(task) = lane.polling {
            pen.close(task, log.end, Ending::Unfinished, &mut sheet);
        }
    }
    sheet.finish()
}

/// When which instances were taken from their threads.
fn retakes(log: &Log) -> HashMap<Place, Vec<u64>> {
    let mut retakes: HashMap<Place, Vec<u64>> = HashMap::new();
    let monitor = log.lanes.iter().filter(|lane| lane.place == Place::Monitor);
    for event in monitor.flat_map(|lane| &lane.events) {
        if event.kind == Kind::Retake {
            let (index, instance) = unpair(event.what);
            let place = Place::Processor { index, instance };
            retakes.entry(place).or_default().push(event.stamp);
        }
    }
    retakes
}

/// What has been drawn so far.
#[derive(Default)]
struct Sheet {
    picture: Picture,
    wakes: HashMap<u64, Vec<Wake>>,
    /// Beginnings of polls.
    begins: Vec<(u64, u64, Row)>,
}

impl Sheet {
    fn mark(&mut self, row: Row, at: u64, mark: Mark) {
        self.picture.instants.push(Instant { row, at, mark });
    }

    fn finish(mut self) -> Picture {
        let picture = &mut self.picture;
        picture.slices.sort_by_key(|slice| (slice.row, slice.begin));
        picture
            .instants
            .sort_by_key(|instant| (instant.row, instant.at));
        picture.depths.sort_by_key(|depth| depth.at);
        self.begins.sort_by_key(|(task, begin, _)| (*task, *begin));
        for wakes in self.wakes.values_mut() {
            wakes.sort_by_key(|wake| wake.at);
        }
        let mut earlier = None;
        for &(task, begin, row) in &self.begins {
            // A wake that came before the poll before led to that one.
            let since = earlier
                .replace((task, begin))
                .filter(|(other, _)| *other == task);
            let wakes = self.wakes.get(&task).map_or(&[][..], Vec::as_slice);
            let before = wakes.partition_point(|wake| wake.at <= begin);
            let Some(wake) = before.checked_sub(1).map(|last| &wakes[last]) else {
                continue;
            };
            if since.is_none_or(|(_, since)| wake.at >= since) {
                picture.arrows.push(Arrow {
                    task,
                    from: (wake.row, wake.at),
                    to: (row, begin),
                    is_loose: !is_covered(&picture.slices, wake.row, wake.at),
                    is_spawn: wake.is_spawn,
                });
            }
        }
        self.picture
    }
}

/// Whether a slice of this row is there at this moment. The slices are in order.
fn is_covered(slices: &[Slice], row: Row, at: u64) -> bool {
    let before = slices.partition_point(|slice| (slice.row, slice.begin) <= (row, at));
    before
        .checked_sub(1)
        .is_some_and(|last| slices[last].row == row && slices[last].end >= at)
}

/// Follows one lane.
struct Pen<'a> {
    home: Row,
    /// Moments at which this instance is taken, those to come.
    taken: &'a [u64],
    /// The thread that holds it, and since when it holds it without being entitled to.
    holder: u64,
    lost: Option<u64>,
    /// When a poll begins that does not say so: the end of the one before.
    since: Option<u64>,
    /// A poll that has said so.
    begun: Option<u64>,
    /// The class of the poll that has begun.
    class: Priority,
    /// The processor is being given away, not released for want of work.
    leaves: bool,
}

impl<'a> Pen<'a> {
    fn new(place: Place, taken: &'a [u64]) -> Pen<'a> {
        Pen {
            home: match place {
                Place::Processor { index, .. } => Row::Processor(index),
                Place::Thread(thread) => Row::Thread(thread),
                Place::Monitor => Row::Monitor,
            },
            taken,
            holder: 0,
            lost: None,
            since: None,
            begun: None,
            class: Priority::Normal,
            leaves: false,
        }
    }

    /// The row of what happens now.
    fn row(&self) -> Row {
        match self.lost {
            Some(_) => Row::Thread(self.holder),
            None => self.home,
        }
    }

    /// Takes note of retakes up to this moment.
    fn advance(&mut self, stamp: u64) {
        while let Some((&at, later)) = self.taken.split_first() {
            if at > stamp {
                return;
            }
            self.taken = later;
            self.lost = self.lost.or(Some(at));
        }
    }

    fn event(&mut self, event: &Event, sheet: &mut Sheet) {
        let Event { kind, stamp, what } = *event;
        self.advance(stamp);
        match kind {
            Kind::Begin => {
                self.begun = Some(stamp);
                sheet.begins.push((what, stamp, self.row()));
            }
            Kind::End => self.close(what, stamp, Ending::Returned, sheet),
            Kind::Done => self.close(what, stamp, Ending::Finished, sheet),
            Kind::Leave => {
                self.close(what, stamp, Ending::MovedOn, sheet);
                if self.home != self.row() || matches!(self.home, Row::Processor(_)) {
                    sheet.mark(self.row(), stamp, Mark::HandOff);
                }
                self.since = None;
                self.leaves = true;
            }
            Kind::Wake | Kind::Spawn => sheet.wakes.entry(what).or_default().push(Wake {
                row: self.row(),
                at: stamp,
                is_spawn: kind == Kind::Spawn,
            }),
            Kind::Steal => {
                let (from, count) = unpair(what);
                sheet.mark(self.row(), stamp, Mark::Steal { from, count });
            }
            Kind::Acquire | Kind::Release => {
                let parks = !std::mem::take(&mut self.leaves) && self.lost.is_none();
                if kind == Kind::Release && parks {
                    sheet.mark(self.home, stamp, Mark::Park);
                }
                self.holder = what;
                self.lost = None;
                self.since = None;
                self.begun = None;
                self.class = Priority::Normal;
            }
            Kind::Retake => {
                let (processor, _) = unpair(what);
                sheet.mark(self.row(), stamp, Mark::Retake { processor });
            }
            Kind::Class => self.class = class_of(what),
            Kind::Depth => {
                let (queue, runnables) = unpair(what);
                sheet.picture.depths.push(Depth {
                    queue: Queue::from_number(queue),
                    at: stamp,
                    runnables,
                });
            }
        }
    }

    /// A poll has ended. Where its beginning is not known any more, it is left out.
    fn close(&mut self, task: u64, end: u64, ending: Ending, sheet: &mut Sheet) {
        self.advance(end);
        let said = self.begun.take();
        let class = std::mem::take(&mut self.class);
        let Some(begin) = said.or(self.since.replace(end)) else {
            return;
        };
        self.since = Some(end);
        if said.is_none() {
            let row = match self.lost {
                Some(lost) if lost <= begin => self.row(),
                _ => self.home,
            };
            sheet.begins.push((task, begin, row));
        }
        let mut begin = begin;
        if let Some(lost) = self.lost.filter(|lost| *lost > begin) {
            sheet.picture.slices.push(Slice {
                row: self.home,
                task,
                begin,
                end: lost,
                ending: Ending::MovedOn,
                class,
            });
            begin = lost;
        }
        sheet.picture.slices.push(Slice {
            row: self.row(),
            task,
            begin,
            end,
            ending,
            class,
        });
    }
}
