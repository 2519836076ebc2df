//! `wasi:http@0.3.0` through the generated traits, with a store that is driven by hand.
#![cfg(feature = "p3")]
#![allow(missing_docs)]

mod consume;
mod messages;
mod respond;
mod send;
mod support;
