//! Where the kernel lies in memory.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=kernel.ld");
    let bare = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
    if let (true, Ok(dir)) = (bare, env::var("CARGO_MANIFEST_DIR")) {
        for arg in [
            &format!("-T{dir}/kernel.ld"),
            "--gc-sections",
            "-znostart-stop-gc",
            "-zmax-page-size=0x1000",
        ] {
            println!("cargo::rustc-link-arg-bins={arg}");
        }
    }
}
