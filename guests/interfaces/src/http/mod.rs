//! `wasi:http/types` and `outgoing-handler`. What belongs to `incoming-handler` has no place in
//! a command.

mod client;
mod fields;
mod messages;

pub use client::{Answer, request, wait};

use crate::checks::Checks;

const OK: Result<(), ()> = Ok(());

pub fn run(checks: &mut Checks) {
    fields::run(checks);
    messages::run(checks);
    client::run(checks);
}
