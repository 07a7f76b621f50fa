//! Polls of other tasks in the middle of one.

use std::ptr;

use super::{CURRENT, Purpose, set_class};

/// Calls what polls tasks, in the middle of another one's poll perhaps: keeps what that one knows.
pub(crate) fn keeping_current<R>(call: impl FnOnce() -> R) -> R {
    let (outer, before, meta, purpose) = CURRENT.with(|current| {
        let outer = (current.class.get(), current.class_of.get());
        let (meta, purpose) = (&current.meta, &current.purpose);
        (
            outer,
            current.entered.take(),
            meta.replace(ptr::null()),
            purpose.replace(Purpose::Run),
        )
    });
    set_class((0, 0));
    let result = call();
    CURRENT.with(|current| {
        current.meta.set(meta);
        current.purpose.set(purpose);
        current.entered.set(before);
    });
    set_class(outer);
    result
}
