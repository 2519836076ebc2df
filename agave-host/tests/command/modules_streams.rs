//! `agave run` with core modules: the standard streams.

use crate::support::folder::Folder;
use crate::support::module::{ENGINES, file, starting};
use crate::support::program::Program;
use crate::support::server::{Output, computed, forget_peak, peak, run, wait};
use crate::support::wait_until;
use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

/// Writes what the buffer at 0 names to its end, or exits with 41.
const WRITE_ALL: &str = "
    (loop $rest
        (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
            (then (call $proc_exit (i32.const 41))))
        (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 8))))
        (i32.store (i32.const 4) (i32.sub (i32.load (i32.const 4)) (i32.load (i32.const 8))))
        (br_if $rest (i32.load (i32.const 4))))";

/// Writes its input to its output.
fn cat(folder: &Folder) -> String {
    let body = format!(
        "(loop $next
            (i32.store (i32.const 0) (i32.const 4096))
            (i32.store (i32.const 4) (i32.const 60000))
            (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))
                (then (call $proc_exit (i32.const 40))))
            (if (i32.load (i32.const 8)) (then
                (i32.store (i32.const 4) (i32.load (i32.const 8)))
                {WRITE_ALL}
                (br $next))))"
    );
    file(folder, "cat.wasm", &body)
}

/// Writes so many times 32 KiB of NULs, and exits with 7.
fn fill(folder: &Folder, times: usize) -> String {
    let body = format!(
        "(local.set $n (i32.const {times}))
        (loop $next
            (i32.store (i32.const 0) (i32.const 4096))
            (i32.store (i32.const 4) (i32.const 32768))
            {WRITE_ALL}
            (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (call $proc_exit (i32.const 7))"
    );
    file(folder, "fill.wasm", &body)
}

/// Writes `y` and a line feed for ever.
fn yes(folder: &Folder) -> String {
    let body = format!(
        "(loop $next
            (i32.store (i32.const 0) (i32.const 1024))
            (i32.store (i32.const 4) (i32.const 2))
            {WRITE_ALL}
            (br $next))"
    );
    folder.file("yes.wasm", starting("y\\n", &body))
}

#[test]
fn input_is_given_to_a_module_as_it_comes_and_to_the_last_byte() {
    let folder = Folder::new("module-cat");
    let path = cat(&folder);
    for engine in ENGINES {
        let mut program = Program::run(&["--engine", engine, &path]);
        for line in ["a\n", "bc\n", "def\n"] {
            program.write(line.as_bytes());
            assert_eq!(program.read(line.len()), line, "{engine}");
        }
        // Both directions are full again and again.
        const MIB: usize = 32;
        let mut stdin = program.stdin();
        let writer = thread::spawn(move || {
            for n in 0..MIB {
                let block = vec![b'a' + (n % 26) as u8; 1 << 20];
                std::io::Write::write_all(&mut stdin, &block).unwrap();
            }
        });
        let mut stdout = program.stdout();
        let mut block = vec![0; 1 << 20];
        for n in 0..MIB {
            stdout.read_exact(&mut block).unwrap();
            let same = block.iter().all(|byte| *byte == b'a' + (n % 26) as u8);
            assert!(same, "{engine}: MiB {n}");
        }
        writer.join().unwrap();
        assert_eq!(stdout.read(&mut block).unwrap(), 0);
        assert_eq!(program.ended().code, Some(0), "{engine}");
        // What is empty is at its end.
        let Output { code, stdout, .. } = run(&["run", "--engine", engine, &path]);
        assert_eq!((code, stdout.as_str()), (Some(0), ""), "{engine}");
    }
}

#[test]
fn an_input_that_nobody_takes_holds_up_who_writes_it() {
    let folder = Folder::new("module-input");
    // 3 bytes, then nothing for ever.
    let body = "(i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 3))
        (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 80) (i32.const 1))
        (i64.store (i32.const 88) (i64.const 1000000000000))
        (drop (call $poll_oneoff (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 8)))";
    let path = file(&folder, "sips.wasm", body);
    for engine in ENGINES {
        let mut program = Program::run(&["--engine", engine, &path]);
        program.write(b"abc");
        assert_eq!(program.read(3), "abc");
        forget_peak(program.child());
        let before = peak(program.child());
        let mut stdin = program.stdin();
        let (sent, count) = std::sync::mpsc::channel();
        let writer = thread::spawn(move || {
            let block = [b'x'; 1 << 16];
            while let Ok(n) = std::io::Write::write(&mut stdin, &block) {
                let _ = sent.send(n);
            }
        });
        let mut taken = 0;
        while let Ok(n) = count.recv_timeout(Duration::from_millis(500)) {
            taken += n;
            assert!(taken < 4 << 20, "{engine}: {taken} bytes were taken");
        }
        assert!(peak(program.child()) - before <= 4, "{engine}");
        drop(program);
        writer.join().unwrap();
    }
}

#[test]
fn a_reader_that_leaves_ends_a_module_quietly_with_141() {
    let folder = Folder::new("module-pipe");
    let path = yes(&folder);
    for engine in ENGINES {
        let mut program = Program::run(&["--engine", engine, &path]);
        assert_eq!(program.read(4), "y\ny\n");
        drop(program.stdout());
        let output = program.ended();
        assert_eq!(
            (output.code, output.stderr.as_str()),
            (Some(141), ""),
            "{engine}"
        );
    }
}

#[test]
fn an_output_that_nobody_reads_holds_a_module_up_and_nothing_piles_up() {
    let folder = Folder::new("module-fill");
    const TIMES: usize = 64 << 5;
    let path = fill(&folder, TIMES);
    for engine in ENGINES {
        let mut program = Program::run(&["--engine", engine, &path]);
        assert_eq!(program.read(3), "\0\0\0");
        forget_peak(program.child());
        let before = peak(program.child());
        let mut last = u64::MAX;
        wait_until("it computes no more", || {
            thread::sleep(Duration::from_millis(300));
            let now = computed(program.child());
            now == std::mem::replace(&mut last, now)
        });
        let grown = peak(program.child()) - before;
        assert!(grown <= 4, "{engine}: {grown} MiB");
        assert!(program.child().try_wait().unwrap().is_none(), "{engine}");
        // It goes on when somebody does, and its end waits for the last byte.
        let mut stdout = program.stdout();
        let copied = std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
        assert_eq!(copied + 3, (TIMES as u64) << 15, "{engine}");
        let output = program.ended();
        assert_eq!(
            (output.code, output.stderr.as_str()),
            (Some(7), ""),
            "{engine}"
        );
    }
}

#[test]
fn a_timeout_of_a_module_is_not_held_up_by_an_output_that_nobody_reads() {
    let folder = Folder::new("module-yes");
    let path = yes(&folder);
    for engine in ENGINES {
        let mut program = Program::run(&["--engine", engine, "--timeout", "300ms", &path]);
        let begun = Instant::now();
        let status = wait(program.child());
        assert!(begun.elapsed() < Duration::from_secs(20), "{engine}");
        assert_eq!(status.code(), Some(134), "{engine}");
        assert!(
            program.ended().stderr.contains("ran out of time"),
            "{engine}"
        );
    }
}
