//! How a task keeps its class and the one that it is lifted to.
//!
//! Both are in three bits of the word `Meta::registration`, so that a task costs no memory for
//! them, and zero means [`Normal`], not lifted: nearly all tasks.

use super::{Meta, registration};
use crate::sync::atomic::Ordering;

/// How soon a task is polled, in comparison with the others of its runtime.
///
/// A task has the class of the task that spawned it, or the one that
/// [`Builder::priority`](crate::task::Builder::priority) or
/// [`Handle::with_priority`](crate::Handle::with_priority) gives, and
/// [`JoinHandle::set_priority`](crate::task::JoinHandle::set_priority) changes. While a task of a higher
/// class awaits it, it is *lifted* to that class.
///
/// Blocking jobs, and tasks of a `block_on` or of a [`TaskQueue`](crate::task::TaskQueue), have a class for
/// what they spawn and await. They are polled in an order of their own.
///
/// # Examples
///
/// ```
/// use executor::task::Priority;
///
/// assert!(Priority::Background < Priority::Normal && Priority::Normal < Priority::Interactive);
/// assert_eq!(Priority::default(), Priority::Normal);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// Work that nobody waits for: it is polled where there is nothing else to do, and a little
    /// beside the rest.
    Background,
    /// Everything else.
    #[default]
    Normal,
    /// Work that somebody waits for: it is polled before the rest.
    Interactive,
}

use Priority::{Background, Interactive, Normal};

/// As what a task is lifted to: nobody awaits it, or nobody who has a class. To be lifted to the
/// lowest class is the same.
pub(crate) const NO_LIFT: Priority = Background;

/// The class that a task was given, and the one that it is lifted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lift {
    pub(crate) own: Priority,
    pub(crate) to: Priority,
}

/// By the number in [`registration::CLASS`]. To be lifted from [`Normal`] to [`Normal`] is not kept:
/// see [`super::lift`].
const LIFTS: [Lift; 8] = {
    const fn lift(own: Priority, to: Priority) -> Lift {
        Lift { own, to }
    }
    [
        lift(Normal, NO_LIFT),
        lift(Normal, Interactive),
        lift(Interactive, NO_LIFT),
        lift(Interactive, Interactive),
        lift(Background, NO_LIFT),
        lift(Background, Normal),
        lift(Background, Interactive),
        lift(Interactive, Normal),
    ]
};

impl Lift {
    /// What a [`Meta::registration`] says.
    pub(crate) fn in_word(word: u32) -> Lift {
        LIFTS[number_in(word)]
    }

    /// Its bits in a [`Meta::registration`].
    pub(crate) fn bits(self) -> u32 {
        let number = LIFTS.iter().position(|&lift| lift == self);
        (number.unwrap_or(0) as u32) << registration::CLASS_SHIFT
    }
}

/// The class of a task, and the one that it has while others wait for it: never a lower one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Class {
    /// What it was given, and gives on to what it spawns.
    pub(crate) own: Priority,
    /// What it is polled by.
    pub(crate) effective: Priority,
}

/// What [`LIFTS`] come to.
const CLASSES: [Class; 8] = {
    let mut classes = [Class::of(Normal); 8];
    let mut number = 0;
    while number < classes.len() {
        classes[number] = Class::of_lift(LIFTS[number]);
        number += 1;
    }
    classes
};

impl Class {
    /// A task of this class that nobody waits for.
    pub(crate) const fn of(own: Priority) -> Class {
        Class {
            own,
            effective: own,
        }
    }

    const fn of_lift(Lift { own, to }: Lift) -> Class {
        let effective = if own as u8 > to as u8 { own } else { to };
        Class { own, effective }
    }

    /// The class in a [`Meta::registration`].
    #[inline]
    pub(crate) fn in_word(word: u32) -> Class {
        CLASSES[number_in(word)]
    }

    /// Its bits in a [`Meta::registration`]. An effective class below the own one is that one.
    #[inline]
    pub(crate) fn bits(self) -> u32 {
        let Class { own, effective } = self;
        let to = if effective > own { effective } else { NO_LIFT };
        Lift { own, to }.bits()
    }
}

fn number_in(word: u32) -> usize {
    ((word & registration::CLASS) >> registration::CLASS_SHIFT) as usize
}

impl Meta {
    /// The task's class at this moment. `Relaxed`: nothing but the word is read, and a class that
    /// is out of date only puts the task into another queue.
    #[inline]
    pub(crate) fn class(&self) -> Class {
        Class::in_word(self.registration.load(Ordering::Relaxed))
    }

    /// The class that it is queued and polled by. A background task that was aborted only has to end,
    /// so it does not wait for its turn, or for a permit.
    #[inline]
    pub(crate) fn polled_as(&self) -> Priority {
        let word = self.registration.load(Ordering::Relaxed);
        match Class::in_word(word).effective {
            Background if word & registration::ABORTED != 0 => Normal,
            class => class,
        }
    }
}

/// For tests of the scheduler.
#[cfg(test)]
impl Meta {
    /// Gives the task another class.
    pub(crate) fn put_class(&self, class: Class) {
        let change = |word: u32| Some(word & !registration::CLASS | class.bits());
        let _ = (self.registration).fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Priority; 3] = [Background, Normal, Interactive];

    fn pairs() -> impl Iterator<Item = (Priority, Priority)> {
        ALL.into_iter()
            .flat_map(|own| ALL.map(|other| (own, other)))
    }

    #[test]
    fn each_class_comes_back_from_its_bits() {
        for (own, effective) in pairs() {
            let class = Class { own, effective };
            let kept = Class::in_word(!registration::CLASS | class.bits());
            assert_eq!(kept.own, own);
            assert_eq!(kept.effective, effective.max(own));
            assert_eq!(class.bits() & !registration::CLASS, 0);
        }
        assert_eq!(Class::default().bits(), 0, "an ordinary task costs nothing");
    }

    #[test]
    fn each_lift_comes_back_from_its_bits() {
        for (own, to) in pairs() {
            let word = Lift { own, to }.bits();
            assert_eq!(word & !registration::CLASS, 0);
            let kept = Lift::in_word(!registration::CLASS | word);
            assert_eq!(kept.own, own);
            assert!(kept.to == to || (own, to, kept.to) == (Normal, Normal, NO_LIFT));
            let class = Class::in_word(word);
            assert_eq!((class.own, class.effective), (own, own.max(to)));
        }
    }
}
