//! What every thread of a runtime does first and last.

use crate::runtime::foreign::Foreign;
use crate::runtime::{Handle, context};
use crate::scheduler::{Hook, ThreadWrapper};
use crate::tasks::catch_panic;

/// Wraps each thread of the runtime: enters its contexts, and calls the user's hooks.
pub(super) fn wrap_thread(
    foreign: Foreign,
    start: Option<Hook>,
    stop: Option<Hook>,
) -> ThreadWrapper {
    fn call(hook: &Option<Hook>) {
        if let Some(hook) = hook {
            catch_panic(|| hook());
        }
    }
    Box::new(move |lease, body| {
        let _in_foreign = foreign.enter();
        let entered = context::enter(Handle::new(lease.clone(), foreign.clone()));
        call(&start);
        body();
        call(&stop);
        drop(entered);
    })
}
