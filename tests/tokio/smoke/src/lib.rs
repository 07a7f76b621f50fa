//! The tests are in tests/smoke, in one binary: to link is the most of it.
