//! Time: see tokio's documentation of the module of this name.
