//! The class of a task: its own, and the one that it is lifted to.
//!
//! Both are in three bits of the word `Meta::registration`, so that a task costs no memory for
//! them, and zero means [`Normal`](Priority::Normal), not lifted: nearly all tasks.

use super::{Meta, registration};
use crate::sync::atomic::Ordering;

/// How soon a task is polled, in comparison with the others of its runtime.
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

/// The class of a task, and the one that it has while others wait for it: never a lower one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Class {
    /// What it was given, and gives on to what it spawns.
    pub(crate) own: Priority,
    /// What it is polled by.
    pub(crate) effective: Priority,
}

/// By the number in [`registration::CLASS`].
const CLASSES: [Class; 8] = {
    const fn class(own: Priority, effective: Priority) -> Class {
        Class { own, effective }
    }
    let unused = class(Normal, Normal);
    [
        class(Normal, Normal),
        class(Normal, Interactive),
        class(Interactive, Interactive),
        unused,
        class(Background, Background),
        class(Background, Normal),
        class(Background, Interactive),
        unused,
    ]
};

impl Class {
    /// A task of this class that nobody waits for.
    pub(crate) const fn of(own: Priority) -> Class {
        Class {
            own,
            effective: own,
        }
    }

    /// The class in a [`Meta::registration`].
    #[inline]
    pub(crate) fn in_word(word: u32) -> Class {
        CLASSES[((word & registration::CLASS) >> registration::CLASS_SHIFT) as usize]
    }

    /// Its bits in a [`Meta::registration`]. An effective class below the own one is that one.
    #[inline]
    pub(crate) const fn bits(self) -> u32 {
        let number = match (self.own, self.effective) {
            (Normal, Background | Normal) => 0,
            (Normal, Interactive) => 1,
            (Interactive, _) => 2,
            (Background, Background) => 4,
            (Background, Normal) => 5,
            (Background, Interactive) => 6,
        };
        number << registration::CLASS_SHIFT
    }
}

impl Meta {
    /// The task's class at this moment. `Relaxed`: nothing but the word is read, and a class that
    /// is out of date only puts the task into another queue.
    #[inline]
    pub(crate) fn class(&self) -> Class {
        Class::in_word(self.registration.load(Ordering::Relaxed))
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

    /// Gives the task that is polled here another class.
    pub(crate) fn put_class_here(class: Class) {
        super::current::with_meta(|meta| meta.put_class(class));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_comes_back_from_its_bits() {
        let all = [Background, Normal, Interactive];
        for (own, effective) in all
            .into_iter()
            .flat_map(|own| all.map(|other| (own, other)))
        {
            let class = Class { own, effective };
            let kept = Class::in_word(!registration::CLASS | class.bits());
            assert_eq!(kept.own, own);
            assert_eq!(kept.effective, effective.max(own));
            assert_eq!(class.bits() & !registration::CLASS, 0);
        }
        assert_eq!(Class::default().bits(), 0, "an ordinary task costs nothing");
    }
}
