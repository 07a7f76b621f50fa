//! What a task leaves for its handle.

use super::{JoinError, drop_catching};

/// A task's output. Its destructor catches panics of the output's destructor: if the handle is
/// dropped, the destructor may run on a worker.
pub(crate) struct Outcome<T>(Option<Result<T, JoinError>>);

impl<T> Outcome<T> {
    pub(super) fn new(result: Result<T, JoinError>) -> Outcome<T> {
        Outcome(Some(result))
    }

    #[inline]
    pub(crate) fn into_result(mut self) -> Result<T, JoinError> {
        self.0.take().expect("an outcome is taken once")
    }
}

impl<T> Drop for Outcome<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(result) = self.0.take() {
            if std::mem::needs_drop::<T>() || result.is_err() {
                drop_catching(result);
            }
        }
    }
}
