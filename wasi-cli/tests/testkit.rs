//! What reads by blocking keeps what streams promise.
#![cfg(feature = "std")]

use std::io::Cursor;
use wasi_cli::os::Reader;
use wasi_io::testkit::{self, Threads};

#[test]
fn a_reader_keeps_every_guarantee() {
    testkit::input(&Threads, &|bytes| {
        Box::new(Reader::new(Cursor::new(bytes.to_vec())))
    })
    .assert_ok();
}
