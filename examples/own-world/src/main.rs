//! Worlds of one's own over Agave's bindings: `with:` maps the packages of WASI onto the crates
//! that implement them, so that their types are the same.

mod p2;
mod p3;

fn main() -> wasmtime::Result<()> {
    let (told, log) = p2::run(include_bytes!("plugin-p2.wat"), 42)?;
    let log = String::from_utf8_lossy(&log);
    println!("the plug-in of WASI 0.2 says {told}, and logged {log:?}");
    let (told, stamps) = p3::run(include_bytes!("plugin-p3.wat"), 42_000_000_007)?;
    println!("the plug-in of WASI 0.3 says {told}, and put down {stamps:?}");
    Ok(())
}
