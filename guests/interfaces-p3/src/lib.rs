//! Calls the functions of WASI 0.3 that a command can, and checks what they give. The README
//! says how it is called.

#![cfg(target_arch = "wasm32")]

mod bindings {
    wit_bindgen::generate!({
        path: [
            "../wit/p3/clocks",
            "../wit/p3/random",
            "../wit/p3/filesystem",
            "../wit/p3/sockets",
            "../wit/p3/cli",
            "wit",
        ],
        world: "agave:interfaces-p3/interfaces",
        generate_all,
    });
    export!(Interfaces);

    use super::Interfaces;
}

#[path = "../../interfaces/src/checks.rs"]
mod checks;
mod cli;
mod clocks;
mod filesystem;
mod names;
mod random;
mod streams;
mod tcp;
mod udp;

use bindings::exports::wasi::cli::run::Guest;
use bindings::wasi::cli::environment::get_arguments;
use std::process::ExitCode;

struct Interfaces;

impl Guest for Interfaces {
    async fn run() -> Result<(), ()> {
        let arguments = get_arguments();
        let argument = |index: usize| arguments.get(index).map_or("", String::as_str);
        let mut checks = checks::Checks::new();
        match argument(1) {
            "clocks" => clocks::run(&mut checks).await,
            "random" => random::run(&mut checks),
            "cli" => cli::run(&mut checks).await,
            "exit" => cli::exit_with(argument(2), argument(3)),
            "filesystem" => filesystem::run(&mut checks).await,
            "streams" => streams::run(&mut checks).await,
            "names" => names::run(&mut checks).await,
            "tcp" => tcp::run(&mut checks).await,
            "udp" => udp::run(&mut checks).await,
            other => eprintln!("interfaces: no part `{other}`"),
        }
        match checks.end() == ExitCode::SUCCESS {
            true => Ok(()),
            false => Err(()),
        }
    }
}

/// The next bytes of a stream, at most `most`; none at the end.
async fn next(stream: &mut wit_bindgen::StreamReader<u8>, most: usize) -> Vec<u8> {
    let mut buffer = Vec::new();
    buffer.reserve_exact(most);
    loop {
        let (result, read) = stream.read(buffer).await;
        buffer = read;
        // A read may come back empty before the end.
        if !buffer.is_empty() || !matches!(result, wit_bindgen::StreamResult::Complete(_)) {
            return buffer;
        }
    }
}
