//! The functions of the ABI, over the backends in memory, and over the machine's own where
//! that matters.

mod errnos;
mod files;
mod hostile;
mod kinds;
mod poll;
mod preview0;
mod readdir;
mod results;
mod rights;
mod sockets;
mod support;
mod vectored;
