//! What an observer keeps beside an instance of a processor.

use std::any::Any;

use crate::sync::OnceLock;

/// Of one type, which is the observer's. Made when it is wanted first, then kept as long as the
/// instance.
#[derive(Debug, Default)]
pub(crate) struct Records(OnceLock<Box<dyn Any + Send + Sync>>);

impl Records {
    /// What there is.
    pub(crate) fn get<T: Any>(&self) -> Option<&T> {
        self.0.get()?.downcast_ref()
    }

    #[inline]
    pub(crate) fn get_or_default<T: Any + Default + Send + Sync>(&self) -> &T {
        let kept = self.0.get_or_init(|| Box::<T>::default());
        kept.downcast_ref()
            .expect("an observer keeps one type of records")
    }
}
