//! Handles of runtimes that were not built here: those of a simulation.
//!
//! Who asks for the current runtime on a thread of one gets a handle that is made then. The
//! simulation keeps it, so that all ask for the same.

use std::cell::RefCell;
use std::rc::Rc;

use executor::simulating;

use crate::runtime::shared::Handle;
use crate::simulated;

/// The handles of one simulation.
#[derive(Default)]
struct Adopted(RefCell<Vec<Rc<Handle>>>);

/// `None`: the thread is in no simulation, or in no runtime.
#[cold]
pub(super) fn handle() -> Option<Rc<Handle>> {
    if !simulated::is_here() {
        return None;
    }
    let current = executor::Handle::try_current().ok()?;
    let adopted = simulating::kept(Adopted::default)?;
    let is_it =
        |handle: &&Rc<Handle>| simulating::are_of_one_runtime(handle.shared().executor(), &current);
    let found = adopted.0.borrow().iter().find(is_it).cloned();
    Some(found.unwrap_or_else(|| {
        let new = Rc::new(Handle::adopt(current));
        adopted.0.borrow_mut().push(new.clone());
        new
    }))
}
