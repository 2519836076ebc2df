//! The parts of the kernel that need no machine, and are tested without one.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]
extern crate alloc;

pub mod command;
pub mod date;
pub mod initrd;
pub mod pvh;
pub mod ring;
