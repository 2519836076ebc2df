//! The guest `kv`, a core module that Rust's std is compiled into: a store on files, from one
//! run to the next.

use crate::support::at_once;
use crate::support::folder::{Folder, text};
use crate::support::module::ENGINES;
use crate::support::program::Program;
use crate::support::server::{Output, guest, run};
use std::fs;
use std::path::Path;

/// Runs `kv` with `flags` for agave, and `input` to its end.
fn kv_with(engine: &str, flags: &[&str], command: &[&str], input: &[u8]) -> Output {
    let kv = guest("kv");
    let arguments = [&["--engine", engine], flags, &[&kv], command].concat();
    let mut program = Program::run(&arguments);
    // It may end before it has read all.
    let _ = std::io::Write::write_all(&mut program.stdin(), input);
    program.ended()
}

/// A store in a folder of the host.
struct Kv<'a> {
    engine: &'a str,
    dir: String,
}

impl<'a> Kv<'a> {
    fn new(engine: &'a str, folder: &Path) -> Self {
        let dir = text(folder) + "::/";
        Self { engine, dir }
    }

    fn run(&self, command: &[&str]) -> Output {
        self.feed(&[], command, b"")
    }

    fn feed(&self, flags: &[&str], command: &[&str], input: &[u8]) -> Output {
        let flags = [&["--dir", &self.dir], flags].concat();
        kv_with(self.engine, &flags, command, input)
    }

    /// What it prints where it does as asked and says no more.
    #[track_caller]
    fn prints(&self, command: &[&str]) -> String {
        self.fed(&[], command, b"")
    }

    #[track_caller]
    fn fed(&self, flags: &[&str], command: &[&str], input: &[u8]) -> String {
        let output = self.feed(flags, command, input);
        let engine = self.engine;
        assert_eq!(
            (output.code, output.stderr.as_str()),
            (Some(0), ""),
            "{engine} {command:?}"
        );
        output.stdout
    }

    /// Fails with `code` and one line with `told` in it.
    #[track_caller]
    fn fails(&self, flags: &[&str], command: &[&str], code: i32, told: &str) {
        let output = self.feed(flags, command, b"");
        assert_failed(self.engine, &output, code, told);
    }

    /// The number of a line of `kv stats`.
    #[track_caller]
    fn stat(&self, name: &str) -> u64 {
        let stats = self.prints(&["stats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        number.and_then(|it| it.parse().ok()).expect("a number")
    }
}

#[track_caller]
fn assert_failed(engine: &str, output: &Output, code: i32, told: &str) {
    assert_eq!(output.code, Some(code), "{engine}: {output:?}");
    assert_eq!(output.stdout, "", "{engine}: {output:?}");
    assert!(
        output.stderr.starts_with("kv: ")
            && output.stderr.lines().count() == 1
            && output.stderr.contains(told),
        "{engine}: no {told:?}: {output:?}"
    );
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries
        .map(name)
        .map(|it| it.into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_one_run_stores_the_next_finds() {
    for engine in ENGINES {
        let folder = Folder::new(&format!("kv-life-{engine}"));
        let kv = Kv::new(engine, &folder.0);
        assert_eq!(kv.prints(&["list"]), "");
        assert_eq!(kv.prints(&["set", "a", "1"]), "");
        assert_eq!(kv.prints(&["set", "b/ä", "hello world"]), "");
        assert_eq!(kv.prints(&["set", "a", "2"]), "");
        assert_eq!(kv.prints(&["get", "a"]), "2\n");
        assert_eq!(kv.prints(&["get", "b/ä"]), "hello world\n");
        assert_eq!(kv.prints(&["list"]), "a\nb/ä\n");
        assert_eq!(kv.prints(&["list", "b"]), "b/ä\n");
        assert_eq!(kv.prints(&["delete", "b/ä"]), "");
        kv.fails(&[], &["delete", "b/ä"], 1, "no key `b/ä`");
        kv.fails(&[], &["get", "b/ä"], 1, "no key `b/ä`");
        assert_eq!(kv.prints(&["list"]), "a\n");
        // A value from stdin, of any bytes.
        let value: String = (0..200_000).map(|n| char::from(n as u8 & 0x7f)).collect();
        assert_eq!(kv.fed(&[], &["set", "big", "-"], value.as_bytes()), "");
        assert!(kv.prints(&["get", "big"]) == value + "\n", "{engine}");
        // The time of the last change is the host's, up to now.
        assert!(kv.stat("age ") < 60, "{engine}");
        assert_eq!(kv.stat("keys "), 2);
        assert_eq!(names(&folder.0.join("kv")), ["000001", "current"]);
        let target = fs::read_link(folder.0.join("kv/current")).unwrap();
        assert_eq!(target, Path::new("000001"));
    }
}

#[test]
fn what_is_wrong_is_told_in_a_line_with_the_code_of_its_kind() {
    for engine in ENGINES {
        let folder = Folder::new(&format!("kv-wrong-{engine}"));
        let kv = Kv::new(engine, &folder.0);
        kv.fails(&[], &[], 2, "no command");
        kv.fails(&[], &["frob", "x"], 2, "frob");
        kv.fails(&[], &["set", "a=b", "1"], 2, "");
        kv.fails(&["--env", "KV_WAIT=soon"], &["list"], 2, "KV_WAIT");
        kv.prints(&["set", "a", "1"]);
        // Another one holds it.
        folder.file("kv/lock", "");
        kv.fails(&["--env", "KV_WAIT=20"], &["set", "a", "2"], 1, "kv/lock");
        kv.prints(&["repair"]);
        kv.prints(&["set", "a", "3"]);
        // Damage within the log.
        let log = folder.0.join("kv/000001/000001.log");
        let mut bytes = fs::read(&log).unwrap();
        bytes[1] ^= 0x55;
        fs::write(&log, bytes).unwrap();
        kv.fails(&[], &["get", "a"], 3, "000001.log");
        assert!(kv.prints(&["help"]).starts_with("usage: kv COMMAND\n"));
    }
}

#[test]
fn a_directory_that_is_read_only_can_be_read_and_nothing_else() {
    for engine in ENGINES {
        let folder = Folder::new(&format!("kv-read-only-{engine}"));
        Kv::new(engine, &folder.0).prints(&["set", "a", "1"]);
        for fs in ["host", "memory"] {
            let dir = text(&folder.0) + "::/:ro";
            let flags = ["--dir", &dir, "--fs", fs];
            let output = kv_with(engine, &flags, &["get", "a"], b"");
            assert_eq!(output.stdout, "1\n", "{engine} {fs}: {output:?}");
            for command in [
                &["set", "a", "2"][..],
                &["delete", "a"],
                &["import"],
                &["compact"],
                &["backup", "copy"],
            ] {
                let output = kv_with(engine, &flags, command, b"b=2\n");
                assert_failed(engine, &output, 1, "Read-only file system");
            }
        }
        let kv = Kv::new(engine, &folder.0);
        assert_eq!(kv.prints(&["list"]), "a\n");
        assert_eq!(names(&folder.0), ["kv"]);
    }
}

#[test]
fn a_store_in_memory_is_as_on_the_disk_and_leaves_nothing_there() {
    for engine in ENGINES {
        let folder = Folder::new(&format!("kv-memory-{engine}"));
        Kv::new(engine, &folder.0).prints(&["set", "a", "1"]);
        let dir = text(&folder.0) + "::/";
        let copied = ["--fs", "memory", "--dir", &dir];
        let run = |flags: &[&str], command: &[&str], input: &str| {
            let output = kv_with(engine, flags, command, input.as_bytes());
            assert_eq!(
                (output.code, output.stderr.as_str()),
                (Some(0), ""),
                "{engine} {command:?}"
            );
            output.stdout
        };
        assert_eq!(run(&copied, &["get", "a"], ""), "1\n");
        // A run in which much happens: 300 files, each with its record.
        let lines: String = (0..300).map(|n| format!("k{n}={n}\n")).collect();
        for flags in [&copied[..], &["--fs", "memory"]] {
            let flags = [flags, &["--env", "KV_SEGMENT=1"]].concat();
            assert_eq!(run(&flags, &["import"], &lines), "300 stored\n");
        }
        let compacted = run(&copied, &["compact"], "");
        assert!(compacted.ends_with('\n'), "{compacted}");
        assert_eq!(
            run(&copied, &["backup", "copy"], ""),
            "0 files linked, 1 copied\n"
        );
        assert_eq!(run(&["--fs", "memory"], &["list"], ""), "");
        // None of it came to the host's folder.
        let kv = Kv::new(engine, &folder.0);
        assert_eq!(kv.prints(&["list"]), "a\n");
        assert_eq!(names(&folder.0), ["kv"]);
    }
}

#[test]
fn without_a_directory_there_is_no_file() {
    for engine in ENGINES {
        assert_eq!(kv_with(engine, &[], &["list"], b"").code, Some(0));
        let output = kv_with(engine, &[], &["set", "a", "1"], b"");
        assert_failed(engine, &output, 1, "kv: kv: ");
        // Neither is there where the directory has another name.
        let folder = Folder::new(&format!("kv-elsewhere-{engine}"));
        let dir = text(&folder.0) + "::/elsewhere";
        let output = kv_with(engine, &["--dir", &dir], &["set", "a", "1"], b"");
        assert_failed(engine, &output, 1, "kv: kv: ");
        let flags = ["--dir", &dir, "--env", "KV_DIR=/elsewhere/kv"];
        assert_eq!(
            kv_with(engine, &flags, &["set", "a", "1"], b"").code,
            Some(0)
        );
        assert_eq!(names(&folder.0), ["kv"]);
        // No way leads out of it.
        let flags = ["--dir", &dir, "--env", "KV_DIR=/elsewhere/../kv"];
        let output = kv_with(engine, &flags, &["set", "a", "1"], b"");
        assert_eq!(output.code, Some(1), "{engine}: {output:?}");
        assert!(!folder.0.with_file_name("kv").exists());
    }
}

#[test]
fn an_import_stores_the_lines_up_to_a_bad_one() {
    for engine in ENGINES {
        let folder = Folder::new(&format!("kv-import-{engine}"));
        let kv = Kv::new(engine, &folder.0);
        let output = kv.feed(&[], &["import"], b"a=1\nb=x=y\nno equals sign\nc=3\n");
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(1), "2 stored\n"),
            "{engine}: {output:?}"
        );
        assert!(output.stderr.starts_with("kv: line 3: "), "{output:?}");
        assert_eq!(kv.prints(&["list"]), "a\nb\n");
        assert_eq!(kv.prints(&["get", "b"]), "x=y\n");
        // More than any buffer on the way, many keys again and again.
        let lines: String = (0..20_000)
            .map(|n| format!("key{}={n} and more\n", n % 500))
            .collect();
        let flags = ["--env", "KV_SEGMENT=65536"];
        assert_eq!(
            kv.fed(&flags, &["import"], lines.as_bytes()),
            "20000 stored\n"
        );
        assert_eq!(kv.stat("keys "), 502);
        assert!(kv.stat("segments ") > 5);
        assert_eq!(kv.prints(&["get", "key499"]), "19999 and more\n");
    }
}

#[test]
fn a_compaction_puts_a_new_log_in_the_old_ones_place() {
    for engine in ENGINES {
        let folder = Folder::new(&format!("kv-compact-{engine}"));
        let kv = Kv::new(engine, &folder.0);
        let lines: String = (0..5000).map(|n| format!("key{}={n}\n", n % 10)).collect();
        kv.fed(&["--env", "KV_SEGMENT=4096"], &["import"], lines.as_bytes());
        let (listed, before) = (kv.prints(&["list"]), kv.stat("log "));
        for generation in 2..=3 {
            let told = kv.prints(&["compact"]);
            let after = kv.stat("log ");
            assert!(after < before / 100, "{engine}: {told}");
            if generation == 2 {
                assert_eq!(told, format!("{before} bytes are now {after}\n"));
            }
            assert_eq!(kv.stat("generation "), generation);
            assert_eq!(kv.stat("segments "), 1);
            assert_eq!(kv.prints(&["list"]), listed);
            assert_eq!(kv.prints(&["get", "key7"]), "4997\n");
            let name = format!("{generation:06}");
            assert_eq!(names(&folder.0.join("kv")), [&name, "current"]);
            let target = fs::read_link(folder.0.join("kv/current")).unwrap();
            assert_eq!(target, Path::new(&name));
        }
        // A backup shares what never changes again.
        kv.fed(&["--env", "KV_SEGMENT=1"], &["import"], b"x=1\ny=2\n");
        let told = kv.prints(&["backup", "copy"]);
        assert_eq!(told, "2 files linked, 1 copied\n", "{engine}");
        let copy = ["--env", "KV_DIR=copy"];
        assert_eq!(kv.fed(&copy, &["list"], b""), listed + "x\ny\n");
    }
}

#[test]
fn a_store_may_have_1500_files() {
    for engine in ENGINES {
        let folder = Folder::new(&format!("kv-files-{engine}"));
        let kv = Kv::new(engine, &folder.0);
        let lines: String = (1..=1500).map(|n| format!("n{n:04}=value {n}\n")).collect();
        let told = kv.fed(&["--env", "KV_SEGMENT=1"], &["import"], lines.as_bytes());
        assert_eq!(told, "1500 stored\n");
        assert_eq!(names(&folder.0.join("kv/000001")).len(), 1500);
        assert_eq!(kv.stat("segments "), 1500);
        assert_eq!(kv.prints(&["list"]).lines().count(), 1500);
        assert_eq!(kv.prints(&["get", "n0777"]), "value 777\n");
        kv.prints(&["compact"]);
        assert_eq!(names(&folder.0.join("kv/000002")), ["000001.log"]);
        assert_eq!(names(&folder.0.join("kv")), ["000002", "current"]);
        assert_eq!(kv.prints(&["get", "n1499"]), "value 1499\n");
    }
}

#[test]
fn six_that_write_at_once_take_turns_and_nothing_is_lost() {
    for engine in ENGINES {
        let folder = Folder::new(&format!("kv-six-{engine}"));
        let flags = ["--env", "KV_WAIT=30000", "--env", "KV_SEGMENT=2000"];
        at_once(6, |writer| {
            let kv = Kv::new(engine, &folder.0);
            for round in 0..4 {
                let lines: String = (0..50)
                    .map(|n| format!("w{writer}-{round}-{n}={writer}\n"))
                    .collect();
                let told = kv.fed(&flags, &["import"], lines.as_bytes());
                assert_eq!(told, "50 stored\n");
                if writer == 0 {
                    kv.fed(&flags, &["compact"], b"");
                }
            }
        });
        let kv = Kv::new(engine, &folder.0);
        assert_eq!(kv.stat("keys "), 6 * 4 * 50, "{engine}");
        assert_eq!(kv.prints(&["get", "w5-3-49"]), "5\n");
        assert!(!folder.0.join("kv/lock").exists(), "{engine}");
    }
}

#[test]
fn one_that_is_killed_in_the_middle_loses_no_more_than_what_it_was_about_to_store() {
    for engine in ENGINES {
        let folder = Folder::new(&format!("kv-killed-{engine}"));
        let kv = Kv::new(engine, &folder.0);
        kv.prints(&["set", "before", "1"]);
        let dir = text(&folder.0) + "::/";
        let mut program =
            Program::run(&["--engine", engine, "--dir", &dir, &guest("kv"), "import"]);
        let lines: String = (0..2000).map(|n| format!("k{n}=v{n}\n")).collect();
        program.write(lines.as_bytes());
        // Its input stays open; the lines are on the disk before it ends.
        let log = folder.0.join("kv/000001/000001.log");
        crate::support::wait_until("some of the lines are stored", || {
            fs::metadata(&log).is_ok_and(|it| it.len() > 1000)
        });
        drop(program);
        kv.fails(&["--env", "KV_WAIT=10"], &["set", "a", "1"], 1, "kv/lock");
        let repaired = kv.run(&["repair"]);
        assert_eq!(repaired.code, Some(0), "{engine}: {repaired:?}");
        assert_eq!(kv.prints(&["get", "before"]), "1\n");
        kv.prints(&["set", "after", "2"]);
        // What is there are the first of the lines, with their values.
        let keys = kv.prints(&["list", "k"]);
        let count = keys.lines().count();
        assert!((1..=2000).contains(&count), "{engine}: {count}");
        for n in [0, count - 1] {
            assert_eq!(kv.prints(&["get", &format!("k{n}")]), format!("v{n}\n"));
        }
        assert!(kv.run(&["get", &format!("k{count}")]).code == Some(1));
    }
}

#[test]
fn a_directory_is_found_behind_a_socket() {
    for engine in ENGINES {
        for fs in ["host", "memory"] {
            let folder = Folder::new(&format!("kv-socket-{engine}-{fs}"));
            Kv::new(engine, &folder.0).prints(&["set", "a", "1"]);
            let dir = text(&folder.0) + "::/";
            let arguments = [
                "run",
                "--engine",
                engine,
                "--fs",
                fs,
                "--tcplisten",
                "127.0.0.1:0",
                "--tcplisten",
                "127.0.0.1:0",
                "--dir",
                &dir,
                &guest("kv"),
                "get",
                "a",
            ];
            let output = run(&arguments);
            assert_eq!(
                (output.code, output.stdout.as_str()),
                (Some(0), "1\n"),
                "{engine} {fs}: {output:?}"
            );
            let listening = output.stderr.matches("Listening on 127.0.0.1:").count();
            assert_eq!(listening, 2, "{output:?}");
        }
    }
}
