//! Takes the modules out of `docs/porting.md`: each block that begins with `// NAME.rs` is a file
//! of that name, so that the chapter's parts are known to fit together.

use std::path::Path;
use std::{env, fs};

fn main() {
    let chapter = "../../docs/porting.md";
    println!("cargo::rerun-if-changed={chapter}");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let text = fs::read_to_string(chapter).expect("the chapter is there");
    for block in text.split("```rust\n").skip(1) {
        let code = block.split("```").next().unwrap_or_default();
        let name = code
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("// "));
        if let Some(name) = name.filter(|name| name.ends_with(".rs") && !name.contains(' ')) {
            fs::write(Path::new(&out).join(name), code).expect("OUT_DIR can be written to");
        }
    }
}
