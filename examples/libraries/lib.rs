//! What these tests share.
