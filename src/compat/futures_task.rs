//! The traits `Spawn` and `LocalSpawn` of `futures`, for [`Handle`] (feature `futures-task`).
//!
//! [`Handle`] implements `Spawn`, and `LocalSpawn` for the innermost `block_on` of the calling
//! thread.
//!
//! ```
//! use futures::task::{LocalSpawnExt, SpawnExt};
//!
//! executor::block_on(async {
//!     let handle = executor::Handle::current();
//!     let far = handle.spawn_with_handle(async { 20 }).unwrap();
//!     let near = handle.spawn_local_with_handle(async { 22 }).unwrap();
//!     assert_eq!(far.await + near.await, 42);
//! });
//! ```
//!
//! If both are in scope, `handle.spawn(..)` is the method of `Handle`; the trait's is
//! `SpawnExt::spawn(&handle, ..)`.

use futures_task::{FutureObj, LocalFutureObj, LocalSpawn, Spawn, SpawnError};

use crate::runtime::Handle;

/// Spawns onto the runtime, detached. An error if the runtime has shut down.
impl Spawn for Handle {
    #[track_caller]
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        self.status()?;
        drop(self.spawn(future));
        Ok(())
    }

    fn status(&self) -> Result<(), SpawnError> {
        match self.is_shut_down() {
            true => Err(SpawnError::shutdown()),
            false => Ok(()),
        }
    }
}

/// Spawns onto the innermost `block_on` of the calling thread, whichever runtime that belongs to.
/// An error outside `block_on`, where [`spawn_local`](crate::spawn_local) would panic.
impl LocalSpawn for Handle {
    #[track_caller]
    fn spawn_local_obj(&self, future: LocalFutureObj<'static, ()>) -> Result<(), SpawnError> {
        let bytes = size_of_val(&future);
        match crate::runtime::try_spawn_local(future, bytes) {
            Ok(task) => {
                drop(task);
                Ok(())
            }
            Err(_) => Err(SpawnError::shutdown()),
        }
    }

    fn status_local(&self) -> Result<(), SpawnError> {
        match crate::runtime::in_block_on() {
            true => Ok(()),
            false => Err(SpawnError::shutdown()),
        }
    }
}
