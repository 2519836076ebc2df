//! What drives the benchmark of WASI 0.3's streams: pieces that are read and written in loops.
//! The README lists the functions.

#![cfg(target_arch = "wasm32")]

mod files;
mod piece;
mod sockets;

mod bindings {
    wit_bindgen::generate!({
        path: [
            "../wit/p3/clocks",
            "../wit/p3/filesystem",
            "../wit/p3/sockets",
            "wit",
        ],
        world: "agave:bench-p3/bench",
        generate_all,
    });
    export!(Bench);

    use super::Bench;
}

use bindings::exports::agave::bench_p3::streams::Guest;

struct Bench;

impl Guest for Bench {
    async fn read_stream(piece: u64, times: u64) -> u64 {
        files::read(piece, times).await
    }

    async fn write_stream(piece: u64, times: u64) -> u64 {
        files::write(piece, times).await
    }

    async fn echo(port: u64, piece: u64, times: u64) -> u64 {
        sockets::echo(port, piece, times).await
    }

    async fn send(port: u64, piece: u64, times: u64) -> u64 {
        sockets::send(port, piece, times).await
    }

    async fn receive(port: u64, piece: u64, times: u64) -> u64 {
        sockets::receive(port, piece, times).await
    }
}
