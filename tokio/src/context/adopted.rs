//! Handles of runtimes that were not built here: those of a simulation.
//!
//! A thread of the simulation that asks for its runtime gets a handle that is made then. The
//! simulation keeps the handle, so that all threads get the same one. When another one is made,
//! those of runtimes that have shut down are dropped: a simulation may start many.

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
        // What a handle is the last owner of is dropped outside the borrow.
        let (kept, _ended) = adopted.0.take().into_iter().partition(is_running);
        *adopted.0.borrow_mut() = kept;
        adopted.0.borrow_mut().push(new.clone());
        new
    }))
}

fn is_running(handle: &Rc<Handle>) -> bool {
    !simulating::has_shut_down(handle.shared().executor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use executor::sim;
    use std::time::Duration;

    #[test]
    fn handles_of_runtimes_that_have_shut_down_are_dropped() {
        let program = async {
            let outer = Handle::current().id();
            for _ in 0..5 {
                let runtime = executor::Builder::new().build().unwrap();
                runtime.block_on(async {
                    let inner = Handle::current().id();
                    assert_ne!(inner, outer);
                    let task = Handle::current().spawn(async { Handle::current().id() });
                    assert_eq!(task.await.unwrap(), inner);
                });
                runtime.shutdown_timeout(Duration::from_secs(1));
            }
            assert_eq!(Handle::current().id(), outer);
            simulating::kept(Adopted::default).unwrap().0.borrow().len()
        };
        let sim = sim::Builder::new().seed(1).build();
        // Of the last runtime until another one is adopted, and of the simulation.
        assert_eq!(sim.run(program).unwrap(), 2);
    }
}
