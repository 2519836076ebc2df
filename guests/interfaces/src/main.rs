//! Calls every function of WASI 0.2 that a command can, and provokes every error that the WIT
//! text names and a guest can provoke. The README says how it is called, and what it can't do.

#[cfg(target_arch = "wasm32")]
mod bindings {
    wit_bindgen::generate!({
        path: [
            "../wit/io",
            "../wit/clocks",
            "../wit/random",
            "../wit/filesystem",
            "../wit/sockets",
            "../wit/cli",
            "../wit/http",
            "wit",
        ],
        world: "agave:interfaces/interfaces",
        generate_all,
    });
}

#[cfg(target_arch = "wasm32")]
mod checks;
#[cfg(target_arch = "wasm32")]
mod cli;
#[cfg(target_arch = "wasm32")]
mod clocks;
#[cfg(target_arch = "wasm32")]
mod codes;
#[cfg(target_arch = "wasm32")]
mod escape;
#[cfg(target_arch = "wasm32")]
mod filesystem;
#[cfg(target_arch = "wasm32")]
mod http;
#[cfg(target_arch = "wasm32")]
mod io;
#[cfg(target_arch = "wasm32")]
mod nothing;
#[cfg(target_arch = "wasm32")]
mod random;
#[cfg(target_arch = "wasm32")]
mod sockets;
#[cfg(target_arch = "wasm32")]
mod traps;

#[cfg(target_arch = "wasm32")]
fn main() -> std::process::ExitCode {
    use bindings::wasi::cli::environment::get_arguments;

    let arguments = get_arguments();
    let argument = |index: usize| arguments.get(index).map_or("", String::as_str);
    let mut checks = checks::Checks::new();
    match argument(1) {
        "io" => io::run(&mut checks),
        "clocks" => clocks::run(&mut checks),
        "random" => random::run(&mut checks),
        "cli" => cli::run(&mut checks),
        "exit" => cli::exit_with(argument(2), argument(3)),
        "filesystem" => filesystem::run(&mut checks),
        "network" => sockets::network::run(&mut checks),
        "tcp" => sockets::tcp::run(&mut checks),
        "udp" => sockets::udp::run(&mut checks),
        "http" => http::run(&mut checks),
        "codes" => codes::run(&mut checks),
        "nothing" => nothing::run(&mut checks),
        "trap" => traps::run(argument(2)),
        "escape" => escape::run(&mut checks, argument(2)),
        other => eprintln!("interfaces: no part `{other}`"),
    }
    checks.end()
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    panic!("this is a program for wasm32-wasip2")
}
