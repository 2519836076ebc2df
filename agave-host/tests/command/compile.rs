//! `agave compile`: programs for a machine without a compiler.

use crate::support::folder::{Folder, text};
use crate::support::server::{assert_one_line, guest, run};
use agave_host::{Compiled, LoadError, Target};
use std::fs;

#[test]
fn a_program_is_compiled_for_each_target_and_is_read_there_alone() {
    let folder = Folder::new("compile");
    for target in Target::ALL {
        let to = text(&folder.0.join(target.name()));
        let compile = [
            "compile",
            "--target",
            target.name(),
            "-o",
            &to,
            &guest("hello_tiny"),
        ];
        let output = run(&compile);
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
        let compiled = fs::read(&to).unwrap();
        assert!(matches!(
            Compiled::read(&compiled, target),
            Ok(Compiled::Component(_))
        ));
        let elsewhere = Target::ALL.into_iter().find(|it| *it != target).unwrap();
        let refused = Compiled::read(&compiled, elsewhere);
        assert!(
            matches!(refused, Err(LoadError::OtherTarget { .. })),
            "{target}"
        );
        // Here there is a compiler, and other settings.
        assert_one_line(&["run", &to], 1, &[&format!("`{target}`")]);
    }
}

#[test]
fn without_a_name_it_goes_beside_the_program() {
    let folder = Folder::new("compile-beside");
    let program = folder.file("program.wasm", fs::read(guest("hello_tiny")).unwrap());
    assert_eq!(
        run(&["compile", "--target", "kernel", &program]).code,
        Some(0)
    );
    let compiled = fs::read(folder.0.join("program.cwasm")).unwrap();
    assert!(Compiled::read(&compiled, Target::Kernel).is_ok());
}

#[test]
fn what_can_t_be_compiled_is_refused_in_a_line_and_nothing_is_written() {
    let folder = Folder::new("compile-refused");
    let text_file = folder.file("text.wasm", "no program");
    let invalid = folder.file("invalid.wasm", b"\0asm\x01\0\0\0\x01\x02\x03");
    for (arguments, code, told) in [
        (
            &["--target", "kernel", &*text_file][..],
            1,
            "not WebAssembly",
        ),
        (&["--target", "kernel", &invalid], 1, "not valid"),
        (&["--target", "kernel", "nothing.wasm"], 1, "nothing.wasm"),
        (&["--target", "toaster", &text_file], 2, "kernel-pulley"),
        (&[&*text_file], 2, "--target"),
    ] {
        assert_one_line(&[&["compile"], arguments].concat(), code, &[told]);
    }
    assert!(!folder.0.join("text.cwasm").exists());
    assert!(!folder.0.join("invalid.cwasm").exists());
}
