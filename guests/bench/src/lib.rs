//! What drives the benchmarks of files and sockets: calls of the host in loops. The README
//! lists them.

#![cfg(target_arch = "wasm32")]

mod files;
mod sockets;

mod bindings {
    wit_bindgen::generate!({
        path: [
            "../wit/io",
            "../wit/clocks",
            "../wit/random",
            "../wit/filesystem",
            "../wit/sockets",
            "wit",
        ],
        world: "agave:bench/bench",
        generate_all,
    });
    export!(Bench);

    use super::Bench;
}

use bindings::wasi::io::streams::OutputStream;

struct Bench;

/// Writes all of `bytes`, as a guest does that takes what `check-write` permits.
fn write_all(stream: &OutputStream, mut bytes: &[u8]) {
    let mut pollable = None;
    while !bytes.is_empty() {
        let permit = stream.check_write().expect("check-write");
        if permit == 0 {
            pollable.get_or_insert_with(|| stream.subscribe()).block();
            continue;
        }
        let (now, later) = bytes.split_at(bytes.len().min(permit as usize));
        stream.write(now).expect("write");
        bytes = later;
    }
}
