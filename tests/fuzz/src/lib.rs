//! Fuzz targets for the runtime and for its data structures; `ci/fuzz.sh` builds and runs them, `README.md` says what each
//! of them sees. Here is what they share.

pub mod bytes;
pub mod operations;
