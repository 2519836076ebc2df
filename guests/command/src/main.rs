//! What `agave run` is tested against: a command of many small programs. The README lists them.

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
            "wit",
        ],
        world: "agave:command/command",
        generate_all,
    });
}

use std::env;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("command: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout());
    match argument(1)?.as_str() {
        "args" => env::args().for_each(|argument| println!("arg {argument}")),
        "env" => env::vars().for_each(|(key, value)| println!("env {key}={value}")),
        "terminals" => {
            println!("stdin {}", io::stdin().is_terminal());
            println!("stdout {}", io::stdout().is_terminal());
            println!("stderr {}", io::stderr().is_terminal());
        }
        "cat" => drop(io::copy(&mut stdin, &mut stdout)?),
        "count" => println!("{} bytes", io::copy(&mut stdin, &mut io::sink())?),
        "head" => drop(io::copy(&mut stdin.take(number(2)?), &mut stdout)?),
        "print" => (1..=number(2)?).try_for_each(|line| writeln!(stdout, "{line}"))?,
        "fill" => {
            let mib = vec![b'x'; 1 << 20];
            (0..number(2)?).try_for_each(|_| stdout.write_all(&mib))?;
            stdout.flush()?;
            eprintln!("filled");
        }
        "yes" => loop {
            println!("y");
        },
        "both" => {
            print!("out");
            eprint!("err");
        }
        "fail" => return Err(io::Error::other("asked to fail")),
        "exit" => exit(number(2)? as u8),
        "trap" => {
            println!("on stdout");
            eprintln!("on stderr");
            trap();
        }
        "panic" => panic!("asked to panic"),
        "spin" => spin(),
        "sleep" => {
            thread::sleep(Duration::from_millis(number(2)?));
            println!("slept");
        }
        "grow" => {
            let mut memory = Vec::<u8>::new();
            match memory.try_reserve_exact((number(2)? as usize) << 20) {
                Ok(()) => println!("grew"),
                Err(_) => println!("refused"),
            }
        }
        "read" => stdout.write_all(&fs::read(argument(2)?)?)?,
        "write" => fs::write(argument(2)?, argument(3)?)?,
        "list" => {
            let names = fs::read_dir(argument(2)?)?.map(|entry| Ok(entry?.file_name()));
            let mut names = names.collect::<io::Result<Vec<_>>>()?;
            names.sort();
            names
                .iter()
                .for_each(|name| println!("{}", name.to_string_lossy()));
        }
        "connect" => drop(io::copy(
            &mut TcpStream::connect(argument(2)?)?,
            &mut stdout,
        )?),
        other => return Err(io::Error::other(format!("no program `{other}`"))),
    }
    stdout.flush()
}

fn argument(index: usize) -> io::Result<String> {
    let missing = || io::Error::other(format!("argument {index} is missing"));
    env::args().nth(index).ok_or_else(missing)
}

fn number(index: usize) -> io::Result<u64> {
    argument(index)?.parse().map_err(io::Error::other)
}

fn spin() -> ! {
    println!("spinning");
    let mut turns = 0u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

#[cfg(target_arch = "wasm32")]
fn exit(code: u8) {
    bindings::wasi::cli::exit::exit_with_code(code);
}

#[cfg(target_arch = "wasm32")]
fn trap() {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn exit(_: u8) {
    trap();
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() {
    panic!("this is a program for wasm32-wasip2")
}
