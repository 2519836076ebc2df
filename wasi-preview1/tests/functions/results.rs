//! What functions that succeed write, and what only they do.

use crate::support::*;
use wasi_cli::WasiCliCtx;
use wasi_random::{Random, WasiRandomCtx};

#[test]
fn arguments_and_variables_are_strings_with_addresses() {
    for (sizes, get, strings) in [
        (
            "args_sizes_get",
            "args_get",
            &["prog\0", "-x\0", "héllo\0"][..],
        ),
        ("environ_sizes_get", "environ_get", &["A=1\0", "EMPTY=\0"]),
    ] {
        let mut guest = Guest::new();
        let (count, size) = (guest.room(4), guest.room(4));
        guest.ok(sizes, &[count, size]);
        let bytes = strings.concat();
        assert_eq!(guest.u32(count) as usize, strings.len());
        assert_eq!(guest.u32(size) as usize, bytes.len());
        let addresses = guest.put(&[0xaa; 20]);
        let buf = guest.put(&[0xaa; 30]) + 1;
        guest.ok(get, &[addresses, buf]);
        assert_eq!(guest.bytes(buf, bytes.len()), bytes.as_bytes());
        assert_eq!(guest.bytes(buf + bytes.len() as u64, 1), [0xaa]);
        let mut next = buf as u32;
        for (n, string) in (0..).zip(strings) {
            assert_eq!(guest.u32(addresses + 4 * n), next, "{get} {n}");
            next += string.len() as u32;
        }
        assert_eq!(guest.bytes(addresses + 4 * strings.len() as u64, 1), [0xaa]);
        // They are all there or the guest traps.
        let end = guest.memory.len() as u64;
        for (addresses, buf) in [(addresses, end - bytes.len() as u64 + 1), (end - 4, buf)] {
            let before = guest.memory.clone();
            let answer = guest.call(get, &[addresses, buf]);
            assert!(matches!(answer, Err(End::Trap(Trap::OutOfBounds { .. }))));
            assert_eq!(guest.memory, before);
        }
        guest.ok(get, &[addresses, end - bytes.len() as u64]);
    }
}

#[test]
fn a_guest_without_variables_has_none() {
    let mut guest = Guest::new();
    let clock = clock();
    guest.ctx = WasiPreview1Ctx::new(&WasiCliCtx::default(), clocks(&clock), random());
    let (count, size) = (guest.put(&[1; 4]), guest.put(&[1; 4]));
    guest.ok("environ_sizes_get", &[count, size]);
    assert_eq!((guest.u32(count), guest.u32(size)), (0, 0));
    // Nothing is dereferenced.
    guest.ok("environ_get", &[0xffff_fffc, u32::MAX.into()]);
    guest.ok("args_sizes_get", &[count, size]);
    assert_eq!((guest.u32(count), guest.u32(size)), (1, 5));
}

#[test]
fn clocks_tell_the_time_and_their_step() {
    let mut guest = Guest::new();
    let at = guest.room(8);
    guest.clock.advance(12_345_678_901);
    for (id, time) in [(0, WALL + 12_345_678_901), (1, 12_345_678_901)] {
        for precision in [0, u64::MAX] {
            guest.ok("clock_time_get", &[id, precision, at]);
            assert_eq!(guest.u64(at), time);
        }
        guest.ok("clock_res_get", &[id, at]);
        assert_eq!(guest.u64(at), 1);
    }
    guest.clock.set_wall(Datetime::new(u64::MAX, 0).unwrap());
    guest.ok("clock_time_get", &[0, 0, at]);
    assert_eq!(guest.u64(at), u64::MAX);
}

/// A source that says in what pieces it was asked, or fails.
struct Source {
    fails: bool,
}

impl Random for Source {
    fn fill(&self, buf: &mut [u8]) -> Result<(), wasi_io::Error> {
        buf.fill(0xbb);
        match self.fails {
            true => Err(wasi_io::Error::new(std::io::Error::other("broken"))),
            false => Ok(()),
        }
    }

    fn fill_insecure(&self, _: &mut [u8]) -> Result<(), wasi_io::Error> {
        panic!("the secure source is asked")
    }
}

#[test]
fn random_bytes_fill_the_buffer_and_nothing_else() {
    let mut guest = Guest::new();
    let with = |fails| {
        let random = WasiRandomCtx::new(Source { fails });
        WasiPreview1Ctx::new(&WasiCliCtx::default(), clocks(&clock()), random)
    };
    guest.ctx = with(false);
    let buf = guest.put(&[0xaa; 12]);
    guest.ok("random_get", &[buf + 1, 10]);
    assert_eq!(
        guest.bytes(buf, 12),
        [&[0xaa][..], &[0xbb; 10], &[0xaa]].concat()
    );
    guest.ok("random_get", &[u32::MAX.into(), 0]);
    // Nothing of what a source that failed left is there to be mistaken.
    guest.ctx = with(true);
    assert_eq!(guest.errno("random_get", &[buf + 1, 10]), Errno::Io);
    assert_eq!(
        guest.bytes(buf, 12),
        [&[0xaa][..], &[0; 10], &[0xaa]].concat()
    );
}

#[test]
fn an_exit_is_the_low_byte_and_a_failure_stays_one() {
    for (rval, code) in [
        (0, 0),
        (1, 1),
        (255, 255),
        (256, 255),
        (257, 1),
        (0x8000_0000, 255),
        (u64::from(u32::MAX), 255),
        // The upper half is not an argument.
        (1 << 32, 0),
    ] {
        let answer = Guest::new().call("proc_exit", &[rval]);
        let Err(End::Exit(exit)) = answer else {
            panic!("{rval}: {answer:?}");
        };
        assert_eq!(exit.code, code, "{rval}");
    }
}

#[test]
fn a_signal_ends_the_guest_unless_a_process_ignores_it() {
    let ignored = [0, 13, 16, 17, 22, 27];
    let mut guest = Guest::new();
    for sig in 0..=30 {
        match guest.call("proc_raise", &[sig]) {
            Ok(errno) => {
                assert_eq!(errno, Errno::Success, "{sig}");
                assert!(ignored.contains(&sig), "{sig}");
            }
            Err(End::Raised(signal)) => {
                assert_eq!(signal as u64, sig);
                assert!(!ignored.contains(&sig), "{sig}");
            }
            Err(end) => panic!("{sig}: {end}"),
        }
    }
    for sig in [31, 256, u64::from(u32::MAX)] {
        assert_eq!(guest.errno("proc_raise", &[sig]), Errno::Inval);
    }
}

#[test]
fn a_yield_lets_others_go_first_once() {
    let mut guest = Guest::new();
    let mut wait = guest.wait("sched_yield", &[]);
    let (woken, waker) = waker();
    assert!(guest.poll(&mut wait, &waker).is_pending());
    assert_eq!(woken.times(), 1);
    assert_eq!(
        guest.poll(&mut wait, &waker),
        Poll::Ready(Ok(Errno::Success))
    );
    assert_eq!(woken.times(), 1);
    // One who polls in a loop wakes nobody.
    let mut wait = guest.wait("sched_yield", &[]);
    assert!(guest.poll(&mut wait, Waker::noop()).is_pending());
    assert!(guest.poll(&mut wait, Waker::noop()).is_ready());
}

#[test]
fn the_methods_are_the_functions_of_the_table() {
    let mut guest = Guest::new();
    let at = guest.room(16) as u32;
    let (ctx, memory) = (&mut guest.ctx, &mut guest.memory);
    assert_eq!(ctx.clock_time_get(memory, 1, 0, at), Ok(Errno::Success));
    // A plain slice is a memory as well.
    let memory = &mut memory[..];
    assert_eq!(ctx.clock_time_get(memory, 2, 0, at), Ok(Errno::Inval));
    let seek = ctx.fd_seek(memory, FILE as u32, -1, 2, at);
    assert!(matches!(seek, Outcome::Done(Ok(Errno::Success))));
    assert_eq!(guest.u64(at.into()), CONTENTS.len() as u64 - 1);
}

#[test]
fn the_table_has_the_names_and_types_of_the_abi() {
    let functions: Vec<_> = wasi_preview1::functions(Version::Preview1).collect();
    assert_eq!(functions.len(), 46);
    let types = |name: &str| {
        let function = functions.iter().find(|function| function.name == name);
        let function = function.unwrap();
        let params = function.params.iter();
        let types: String = params
            .map(|p| if p.is_64_bits { 'I' } else { 'i' })
            .collect();
        (types, function.returns, function.waits)
    };
    for (name, expected, waits) in [
        ("fd_seek", "iIii", true),
        ("fd_pread", "iiiIi", true),
        ("fd_readdir", "iiiIi", true),
        ("path_open", "iiiiiIIii", true),
        ("path_filestat_set_times", "iiiiIIi", true),
        ("path_link", "iiiiiii", true),
        ("clock_time_get", "iIi", false),
        ("fd_fdstat_set_rights", "iII", false),
        ("fd_advise", "iIIi", true),
        ("poll_oneoff", "iiii", true),
        ("sched_yield", "", true),
    ] {
        assert_eq!(types(name), (expected.into(), true, waits), "{name}");
    }
    assert_eq!(types("proc_exit"), ("i".into(), false, false));
    let no_errno: Vec<_> = functions
        .iter()
        .filter(|f| !f.returns)
        .map(|f| f.name)
        .collect();
    assert_eq!(no_errno, ["proc_exit"]);
}

#[test]
fn what_never_waits_is_done_with_backends_that_always_do() {
    use crate::support::disk::Disk;
    let disk = Disk::new();
    disk.add("file", b"x");
    let mut guest = Guest::over(disk.clone());
    assert_eq!(guest.open(DIR, "file"), Ok(4));
    disk.set_later(true);
    let at = guest.room(64);
    for function in wasi_preview1::functions(Version::Preview1) {
        if function.waits || !function.returns {
            continue;
        }
        let args: Vec<_> = match function.name {
            name if name.starts_with("fd_fdstat_set") => vec![4, 0, 0],
            "fd_renumber" => vec![4, 4],
            name if name.starts_with("fd_") => vec![4, at, 1],
            _ => vec![at, at, at],
        };
        let outcome = function.call(&mut guest.ctx, &mut guest.memory, &args);
        assert!(matches!(outcome, Outcome::Done(_)), "{}", function.name);
    }
}

#[test]
fn traps_tell_the_pointer() {
    let mut guest = Guest::new();
    let size = guest.memory.len() as u64;
    for (at, trap) in [
        (4, Trap::Misaligned { at: 4, align: 8 }),
        (7, Trap::Misaligned { at: 7, align: 8 }),
        (
            size,
            Trap::OutOfBounds {
                at: size as u32,
                len: 8,
                size,
            },
        ),
        (
            0xffff_fff8,
            Trap::OutOfBounds {
                at: 0xffff_fff8,
                len: 8,
                size,
            },
        ),
    ] {
        assert_eq!(
            guest.call("clock_time_get", &[0, 0, at]),
            Err(End::Trap(trap))
        );
    }
    guest.ok("clock_time_get", &[0, 0, size - 8]);
    let told = Trap::OutOfBounds {
        at: 16,
        len: 8,
        size: 20,
    }
    .to_string();
    assert!(
        told.contains("0x10") && told.contains('8') && told.contains("20"),
        "{told}"
    );
}

#[test]
fn each_result_is_aligned_as_its_type() {
    // The argument that is a result, and its alignment.
    let results: [(&str, &[u64], usize, u32); 15] = [
        ("args_sizes_get", &[0, 0], 0, 4),
        ("args_sizes_get", &[0, 0], 1, 4),
        ("args_get", &[0, 64], 0, 4),
        ("clock_res_get", &[0, 0], 1, 8),
        ("fd_fdstat_get", &[FILE, 0], 1, 8),
        ("fd_filestat_get", &[FILE, 0], 1, 8),
        ("fd_prestat_get", &[DIR, 0], 1, 4),
        ("fd_tell", &[FILE, 0], 1, 8),
        ("fd_seek", &[FILE, 0, 0, 0], 3, 8),
        ("fd_read", &[FILE, 0, 0, 0], 1, 4),
        ("fd_read", &[FILE, 0, 0, 0], 3, 4),
        ("fd_readdir", &[DIR, 64, 8, 0, 0], 4, 4),
        ("poll_oneoff", &[0, 64, 1, 128], 0, 8),
        ("poll_oneoff", &[0, 64, 1, 128], 1, 8),
        ("poll_oneoff", &[0, 64, 1, 128], 3, 4),
    ];
    for (function, args, result, align) in results {
        let mut guest = Guest::new();
        guest.memory[..64].fill(0);
        guest.ok(function, args);
        for off in 1..align {
            let mut args = args.to_vec();
            args[result] += u64::from(off);
            let at = args[result] as u32;
            let trap = Trap::Misaligned { at, align };
            assert_eq!(
                guest.call(function, &args),
                Err(End::Trap(trap)),
                "{function} {off}"
            );
        }
    }
}
