//! What the tasks share with the tests.

#![forbid(unsafe_code)]

pub mod client;
pub mod machine;
