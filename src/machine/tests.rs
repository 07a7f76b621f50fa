//! Against trees of files as kernels show them, against the machine itself, and against nonsense.

mod affinity;
mod arbitrary;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod cgroup;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod real;
mod topology;

use std::fs;
use std::path::PathBuf;

use super::*;

/// A folder with files of `/proc` and `/sys`, which is removed when dropped.
pub(crate) struct Tree(PathBuf);

impl Tree {
    /// The name is that of the test: no two may have the same.
    pub(crate) fn new(test: &str) -> Tree {
        let name = format!("executor-machine-{}-{test}", std::process::id());
        let tree = Tree(std::env::temp_dir().join(name));
        fs::create_dir(&tree.0).unwrap();
        tree
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, path: &str, text: &str) -> &Tree {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn remove(&self, path: &str) -> &Tree {
        let path = self.0.join(path);
        match path.is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
        self
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
