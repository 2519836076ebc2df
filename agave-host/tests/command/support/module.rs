//! Core modules of WASI 0.1 as text, and the engines that run them.

use super::folder::Folder;
use std::fmt::Write as _;

/// What `--engine` takes: each test of modules is for all of them.
pub(crate) const ENGINES: [&str; 2] = ["wasmtime", "wasmi"];

/// The functions that the texts may call, and their types.
const FUNCTIONS: [(&str, &str); 12] = [
    ("args_get", "(param i32 i32) (result i32)"),
    ("args_sizes_get", "(param i32 i32) (result i32)"),
    ("environ_get", "(param i32 i32) (result i32)"),
    ("environ_sizes_get", "(param i32 i32) (result i32)"),
    ("fd_prestat_get", "(param i32 i32) (result i32)"),
    ("fd_read", "(param i32 i32 i32 i32) (result i32)"),
    ("fd_write", "(param i32 i32 i32 i32) (result i32)"),
    ("poll_oneoff", "(param i32 i32 i32 i32) (result i32)"),
    ("proc_exit", "(param i32)"),
    ("proc_raise", "(param i32) (result i32)"),
    ("random_get", "(param i32 i32) (result i32)"),
    ("sock_accept", "(param i32 i32 i32) (result i32)"),
];

/// A module of `fields` that imports from `from` the functions which they call by name.
pub(crate) fn module_from(from: &str, fields: &str) -> Vec<u8> {
    let mut text = String::from("(module $m\n");
    for (name, ty) in FUNCTIONS {
        if fields.contains(&format!("call ${name} ")) {
            writeln!(text, r#"(import "{from}" "{name}" (func ${name} {ty}))"#).unwrap();
        }
    }
    text.push_str(fields);
    text.push(')');
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A module with a page of memory whose `_start` does `body`; `data` is at 1024.
pub(crate) fn starting(data: &str, body: &str) -> Vec<u8> {
    let fields = format!(
        r#"(memory (export "memory") 1)
        (data (i32.const 1024) "{data}")
        (func (export "_start") (local $n i32) {body})"#
    );
    module_from("wasi_snapshot_preview1", &fields)
}

/// As [`starting`], in a file of `folder`, whose path it gives.
pub(crate) fn file(folder: &Folder, name: &str, body: &str) -> String {
    folder.file(name, starting("", body))
}
