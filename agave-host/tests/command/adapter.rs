//! Modules of WASI 0.1 that the usual adapter makes components of: they do as components what
//! they do as modules.

use crate::support::folder::{Folder, text};
use crate::support::module::starting;
use crate::support::program::Program;
use crate::support::server::{Output, guest, run};
use std::fs;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::ComponentEncoder;

/// The code of each failure that goes through the adapter, which knows no other.
const FAILURE: i32 = 1;

/// The component that `module` is made with the adapter for commands.
fn component(module: &[u8]) -> Vec<u8> {
    ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| {
            let adapter = WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER;
            encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter)
        })
        .and_then(|mut encoder| encoder.encode())
        .expect("a component")
}

/// Runs the program at `path` to its end, under the name `program` in every case.
fn run_as(path: &str, flags: &[&str], arguments: &[&str], input: &[u8]) -> Output {
    let argv0 = ["--argv0", "program"];
    let mut program = Program::run(&[&argv0, flags, &[path], arguments].concat());
    // It may end before it has read all.
    let _ = std::io::Write::write_all(&mut program.stdin(), input);
    program.ended()
}

#[test]
fn a_module_does_the_same_as_a_component() {
    let folder = Folder::new("adapter-small");
    let hello = "(i32.store (i32.const 0) (i32.const 1024))
        (i32.store (i32.const 4) (i32.const 6))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 0) (i32.const 1025))
        (i32.store (i32.const 4) (i32.const 5))
        (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))";
    for (name, end, code) in [
        ("returns", "", 0),
        ("exits", "(call $proc_exit (i32.const 1))", 1),
        ("exits-42", "(call $proc_exit (i32.const 42))", 42),
    ] {
        let module = starting("hello\\n", &format!("{hello} {end}"));
        let adapted = component(&module);
        for (path, code) in [
            (folder.file(&format!("{name}.wasm"), &module), code),
            (
                folder.file(&format!("{name}.adapted.wasm"), adapted),
                code.min(FAILURE),
            ),
        ] {
            let output = run(&["run", &path]);
            assert_eq!(
                (output.code, output.stdout.as_str(), output.stderr.as_str()),
                (Some(code), "hello\n", "ello\n"),
                "{path}"
            );
        }
    }
}

#[test]
fn a_store_is_the_same_for_a_module_and_its_component() {
    let folder = Folder::new("adapter-kv");
    let module = guest("kv");
    let adapted = folder.file("kv.wasm", component(&fs::read(&module).unwrap()));
    let told = run(&["inspect", &adapted]).stdout;
    assert!(told.contains(": a component for `agave run`\n"), "{told}");
    let dirs = ["one", "two"].map(|name| folder.0.join(name));
    let lines: String = (0..300).map(|n| format!("n{n}=value {n}\n")).collect();
    for dir in &dirs {
        fs::create_dir(dir).unwrap();
    }
    for (command, input) in [
        (&["set", "a", "1"][..], ""),
        (&["get", "a"], ""),
        (&["get", "ä"], ""),
        (&["set", "big", "-"], &lines),
        (&["import"], &lines),
        (&["import"], "b=2\nbad\nc=3\n"),
        (&["list", "n1"], ""),
        (&["delete", "n100"], ""),
        (&["delete", "n100"], ""),
        (&["backup", "copy"], ""),
        (&["compact"], ""),
        (&["list"], ""),
        (&["get", "big"], ""),
        (&["repair"], ""),
        (&["frob"], ""),
        (&["help"], ""),
    ] {
        let outputs = [(&module, &dirs[0]), (&adapted, &dirs[1])].map(|(path, dir)| {
            let dir = text(dir) + "::/";
            let flags = ["--env", "KV_SEGMENT=1000", "--dir", &dir];
            let output = run_as(path, &flags, command, input.as_bytes());
            let code = output.code.map(|code| code.min(FAILURE));
            (code, output.stdout, output.stderr)
        });
        assert_eq!(outputs[0], outputs[1], "{command:?}");
    }
    // Each goes on with what the other has written.
    for (path, dir) in [(&module, &dirs[1]), (&adapted, &dirs[0])] {
        let dir = text(dir) + "::/";
        let output = run_as(path, &["--dir", &dir], &["get", "n299"], b"");
        assert_eq!(output.stdout, "value 299\n", "{output:?}");
        let output = run_as(path, &["--dir", &dir], &["set", "last", "word"], b"");
        assert_eq!(output.code, Some(0), "{output:?}");
    }
    // Whatever they are, they have no more than they were given.
    for path in [&module, &adapted] {
        let output = run_as(path, &[], &["set", "a", "1"], b"");
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.starts_with("kv: kv: "), "{output:?}");
    }
}
