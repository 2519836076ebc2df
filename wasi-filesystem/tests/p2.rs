//! The host functions of WASI 0.2 over files in memory: each code of the WIT text from the
//! function and the condition that it names.
#![cfg(feature = "p2")]

use pollster::block_on;
use std::sync::Arc;
use wasi_clocks::manual::ManualClock;
use wasi_filesystem::memory::{Limits, MemFs};
use wasi_filesystem::p2::bindings::wasi::filesystem::preopens::Host as _;
use wasi_filesystem::p2::bindings::wasi::filesystem::types::{
    Advice, DescriptorFlags, DescriptorType, ErrorCode, Host as _, HostDescriptor as _,
    HostDirectoryEntryStream as _, NewTimestamp, OpenFlags, PathFlags,
};
use wasi_filesystem::p2::{WasiFilesystemCtxView, WasiFilesystemView};
use wasi_filesystem::{Descriptor, PATH_MAX, WasiFilesystemCtx, vfs};
use wasi_io::p2::bindings::wasi::io::streams::{
    HostInputStream as _, HostOutputStream as _, StreamError,
};
use wasi_io::p2::{WasiIoCtxView, WasiIoView};
use wasmtime::component::{Linker, Resource, ResourceTable};

const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
const MUTATE: DescriptorFlags = DescriptorFlags::MUTATE_DIRECTORY;

struct State {
    filesystem: WasiFilesystemCtx,
    io: wasi_io::WasiIoCtx,
    table: ResourceTable,
}

impl WasiFilesystemView for State {
    fn filesystem(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView {
            ctx: &mut self.filesystem,
            table: &mut self.table,
        }
    }
}

impl WasiIoView for State {
    fn io(&mut self) -> WasiIoCtxView<'_> {
        WasiIoCtxView {
            ctx: &self.io,
            table: &mut self.table,
        }
    }
}

/// A guest with this tree under `/`, and its descriptor:
///
/// ```text
/// file        10 bytes
/// empty/
/// full/file
/// link        -> file
/// up          -> ..
/// absolute    -> /file
/// round       -> round
/// ```
fn guest() -> (State, Resource<Descriptor>) {
    let limits = Limits {
        bytes: 1 << 20,
        ..Limits::default()
    };
    let fs = MemFs::with_limits(Arc::new(ManualClock::default()), limits);
    let fs = Arc::new(fs);
    fs.create_dir_all("empty").unwrap();
    fs.create_dir_all("full").unwrap();
    fs.write_file("file", b"0123456789").unwrap();
    fs.write_file("full/file", b"").unwrap();
    for (target, path) in [
        ("file", "link"),
        ("..", "up"),
        ("/file", "absolute"),
        ("round", "round"),
    ] {
        fs.symlink(target, path).unwrap();
    }
    let mut state = State {
        filesystem: WasiFilesystemCtx::new().preopen(vfs::directory(fs), "/"),
        io: wasi_io::WasiIoCtx::new(),
        table: ResourceTable::new(),
    };
    let mut directories = state.filesystem().get_directories().unwrap();
    let (root, path) = directories.remove(0);
    assert_eq!(path, "/");
    (state, root)
}

/// The same handle once more, as a guest borrows it.
fn borrow<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

type Outcome = Result<(), ErrorCode>;

impl State {
    fn open(
        &mut self,
        dir: &Resource<Descriptor>,
        path: &str,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Resource<Descriptor>, ErrorCode> {
        self.open_with(dir, PathFlags::empty(), path, open_flags, flags)
    }

    fn open_with(
        &mut self,
        dir: &Resource<Descriptor>,
        path_flags: PathFlags,
        path: &str,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Resource<Descriptor>, ErrorCode> {
        let mut fs = self.filesystem();
        let opened = fs.open_at(borrow(dir), path_flags, path.into(), open_flags, flags);
        block_on(opened).unwrap()
    }
}

/// A function, the condition, what it has to give, and the call.
type Case = (
    &'static str,
    &'static str,
    Outcome,
    fn(&mut State, &Resource<Descriptor>) -> Outcome,
);

macro_rules! ask {
    ($state:ident, $method:ident($($argument:expr),*)) => {
        block_on($state.filesystem().$method($($argument),*)).unwrap()
    };
}

macro_rules! call {
    ($($call:tt)*) => {
        ask!($($call)*).map(drop)
    };
}

fn none() -> PathFlags {
    PathFlags::empty()
}

fn plain() -> OpenFlags {
    OpenFlags::empty()
}

const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;

const CASES: &[Case] = &[
    ("open-at", "a file", Ok(()), |s, d| {
        s.open(d, "file", plain(), READ).map(drop)
    }),
    ("open-at", "a directory", Ok(()), |s, d| {
        s.open(d, "full/", OpenFlags::DIRECTORY, READ).map(drop)
    }),
    (
        "open-at",
        "there is none",
        Err(ErrorCode::NoEntry),
        |s, d| s.open(d, "none", plain(), READ).map(drop),
    ),
    ("open-at", "empty", Err(ErrorCode::NoEntry), |s, d| {
        s.open(d, "", plain(), READ).map(drop)
    }),
    (
        "open-at",
        "absolute",
        Err(ErrorCode::NotPermitted),
        |s, d| s.open(d, "/file", plain(), READ).map(drop),
    ),
    ("open-at", "NUL", Err(ErrorCode::Invalid), |s, d| {
        s.open(d, "file\0", plain(), READ).map(drop)
    }),
    (
        "open-at",
        "too long",
        Err(ErrorCode::NameTooLong),
        |s, d| s.open(d, &"./".repeat(PATH_MAX), plain(), READ).map(drop),
    ),
    (
        "open-at",
        "outside",
        Err(ErrorCode::NotPermitted),
        |s, d| s.open(d, "full/../../file", plain(), READ).map(drop),
    ),
    (
        "open-at",
        "outside by a link on the way",
        Err(ErrorCode::NotPermitted),
        |s, d| s.open(d, "up/file", plain(), READ).map(drop),
    ),
    (
        "open-at",
        "outside by a link that is followed",
        Err(ErrorCode::NotPermitted),
        |s, d| s.open_with(d, FOLLOW, "up", plain(), READ).map(drop),
    ),
    (
        "open-at",
        "a link to an absolute path",
        Err(ErrorCode::NotPermitted),
        |s, d| s.open_with(d, FOLLOW, "absolute", plain(), READ).map(drop),
    ),
    ("open-at", "a link, followed", Ok(()), |s, d| {
        s.open_with(d, FOLLOW, "link", plain(), READ).map(drop)
    }),
    (
        "open-at",
        "a link, not followed",
        Err(ErrorCode::Loop),
        |s, d| s.open(d, "link", plain(), READ).map(drop),
    ),
    (
        "open-at",
        "a link to itself",
        Err(ErrorCode::Loop),
        |s, d| s.open_with(d, FOLLOW, "round", plain(), READ).map(drop),
    ),
    (
        "open-at",
        "a file on the way",
        Err(ErrorCode::NotDirectory),
        |s, d| s.open(d, "file/x", plain(), READ).map(drop),
    ),
    (
        "open-at",
        "directory, and it is none",
        Err(ErrorCode::NotDirectory),
        |s, d| s.open(d, "file", OpenFlags::DIRECTORY, READ).map(drop),
    ),
    (
        "open-at",
        "write, a directory",
        Err(ErrorCode::IsDirectory),
        |s, d| s.open(d, "full", plain(), WRITE).map(drop),
    ),
    (
        "open-at",
        "create, exclusive, it exists",
        Err(ErrorCode::Exist),
        |s, d| {
            let flags = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
            s.open(d, "file", flags, WRITE).map(drop)
        },
    ),
    (
        "open-at",
        "create, directory",
        Err(ErrorCode::Invalid),
        |s, d| {
            let flags = OpenFlags::CREATE | OpenFlags::DIRECTORY;
            s.open(d, "new", flags, READ).map(drop)
        },
    ),
    (
        "open-at",
        "from a file",
        Err(ErrorCode::NotDirectory),
        |s, d| {
            let file = s.open(d, "file", plain(), READ)?;
            s.open(&file, "x", plain(), READ).map(drop)
        },
    ),
    (
        "open-at",
        "write, without mutate-directory",
        Err(ErrorCode::ReadOnly),
        |s, d| {
            let dir = s.open(d, "full", plain(), READ)?;
            s.open(&dir, "file", plain(), WRITE).map(drop)
        },
    ),
    (
        "open-at",
        "mutate-directory, without mutate-directory",
        Err(ErrorCode::ReadOnly),
        |s, d| {
            let dir = s.open(d, ".", plain(), READ)?;
            s.open(&dir, "full", plain(), MUTATE).map(drop)
        },
    ),
    (
        "stat-at",
        "a link, not followed and followed",
        Ok(()),
        |s, d| {
            let link = ask!(s, stat_at(borrow(d), none(), "link".into()))?;
            assert_eq!(link.type_, DescriptorType::SymbolicLink);
            let file = ask!(s, stat_at(borrow(d), FOLLOW, "link".into()))?;
            assert_eq!(file.size, 10);
            Ok(())
        },
    ),
    (
        "stat-at",
        "there is none",
        Err(ErrorCode::NoEntry),
        |s, d| call!(s, stat_at(borrow(d), none(), "none".into())),
    ),
    (
        "metadata-hash-at",
        "absolute",
        Err(ErrorCode::NotPermitted),
        |s, d| call!(s, metadata_hash_at(borrow(d), none(), "/".into())),
    ),
    (
        "create-directory-at",
        "it exists",
        Err(ErrorCode::Exist),
        |s, d| call!(s, create_directory_at(borrow(d), ".".into())),
    ),
    (
        "create-directory-at",
        "without mutate-directory",
        Err(ErrorCode::ReadOnly),
        |s, d| {
            let dir = s.open(d, "empty", plain(), READ)?;
            call!(s, create_directory_at(dir, "new".into()))
        },
    ),
    (
        "create-directory-at",
        "with mutate-directory",
        Ok(()),
        |s, d| {
            let dir = s.open(d, "empty", plain(), MUTATE)?;
            call!(s, create_directory_at(dir, "new/".into()))
        },
    ),
    (
        "link-at",
        "the old path does not exist",
        Err(ErrorCode::NoEntry),
        |s, d| {
            call!(
                s,
                link_at(borrow(d), none(), "none".into(), borrow(d), "new".into())
            )
        },
    ),
    (
        "link-at",
        "the new path exists",
        Err(ErrorCode::Exist),
        |s, d| {
            call!(
                s,
                link_at(borrow(d), none(), "file".into(), borrow(d), "link".into())
            )
        },
    ),
    (
        "link-at",
        "the old path is a directory",
        Err(ErrorCode::NotPermitted),
        |s, d| {
            call!(
                s,
                link_at(borrow(d), none(), "full".into(), borrow(d), "new".into())
            )
        },
    ),
    (
        "readlink-at",
        "an absolute path",
        Err(ErrorCode::NotPermitted),
        |s, d| call!(s, readlink_at(borrow(d), "absolute".into())),
    ),
    ("readlink-at", "no link", Err(ErrorCode::Invalid), |s, d| {
        call!(s, readlink_at(borrow(d), "file".into()))
    }),
    ("readlink-at", "a link", Ok(()), |s, d| {
        assert_eq!(ask!(s, readlink_at(borrow(d), "up".into()))?, "..");
        Ok(())
    }),
    (
        "remove-directory-at",
        "not empty",
        Err(ErrorCode::NotEmpty),
        |s, d| call!(s, remove_directory_at(borrow(d), "full".into())),
    ),
    (
        "remove-directory-at",
        "a file",
        Err(ErrorCode::NotDirectory),
        |s, d| call!(s, remove_directory_at(borrow(d), "file".into())),
    ),
    (
        "remove-directory-at",
        "a link that leads outside",
        Err(ErrorCode::NotDirectory),
        |s, d| call!(s, remove_directory_at(borrow(d), "up".into())),
    ),
    (
        "remove-directory-at",
        "what a link to outside leads to",
        Err(ErrorCode::NotPermitted),
        |s, d| call!(s, remove_directory_at(borrow(d), "up/".into())),
    ),
    (
        "remove-directory-at",
        "what a link to a file leads to",
        Err(ErrorCode::NotDirectory),
        |s, d| call!(s, remove_directory_at(borrow(d), "link/".into())),
    ),
    ("rename-at", "over a file", Ok(()), |s, d| {
        call!(
            s,
            rename_at(borrow(d), "file".into(), borrow(d), "full/file".into())
        )
    }),
    (
        "rename-at",
        "a file over a directory",
        Err(ErrorCode::IsDirectory),
        |s, d| {
            call!(
                s,
                rename_at(borrow(d), "file".into(), borrow(d), "empty".into())
            )
        },
    ),
    (
        "rename-at",
        "a directory over a full one",
        Err(ErrorCode::NotEmpty),
        |s, d| {
            call!(
                s,
                rename_at(borrow(d), "empty".into(), borrow(d), "full".into())
            )
        },
    ),
    (
        "symlink-at",
        "an absolute target",
        Err(ErrorCode::NotPermitted),
        |s, d| call!(s, symlink_at(borrow(d), "/etc/passwd".into(), "new".into())),
    ),
    ("symlink-at", "it exists", Err(ErrorCode::Exist), |s, d| {
        call!(s, symlink_at(borrow(d), "x".into(), "link".into()))
    }),
    (
        "unlink-file-at",
        "a directory",
        Err(ErrorCode::IsDirectory),
        |s, d| call!(s, unlink_file_at(borrow(d), "empty".into())),
    ),
    ("unlink-file-at", "a link", Ok(()), |s, d| {
        call!(s, unlink_file_at(borrow(d), "absolute".into()))
    }),
    (
        "set-times-at",
        "a time with too many nanoseconds",
        Err(ErrorCode::Invalid),
        |s, d| {
            let time = NewTimestamp::Timestamp(
                wasi_clocks::p2::bindings::wasi::clocks::wall_clock::Datetime {
                    seconds: 1,
                    nanoseconds: 1_000_000_000,
                },
            );
            call!(
                s,
                set_times_at(
                    borrow(d),
                    none(),
                    "file".into(),
                    NewTimestamp::NoChange,
                    time
                )
            )
        },
    ),
    ("set-times", "a file that is only read", Ok(()), |s, d| {
        let file = s.open(d, "file", plain(), READ)?;
        call!(
            s,
            set_times(file, NewTimestamp::Now, NewTimestamp::NoChange)
        )
    }),
    (
        "set-size",
        "not open for writing",
        Err(ErrorCode::BadDescriptor),
        |s, d| {
            let file = s.open(d, "file", plain(), READ)?;
            call!(s, set_size(file, 0))
        },
    ),
    (
        "set-size",
        "more than a file can have",
        Err(ErrorCode::FileTooLarge),
        |s, d| {
            let file = s.open(d, "file", plain(), WRITE)?;
            call!(s, set_size(file, u64::MAX))
        },
    ),
    (
        "advise",
        "a directory",
        Err(ErrorCode::BadDescriptor),
        |s, d| call!(s, advise(borrow(d), 0, 0, Advice::WillNeed)),
    ),
    (
        "read",
        "a directory",
        Err(ErrorCode::IsDirectory),
        |s, d| call!(s, read(borrow(d), 1, 0)),
    ),
    (
        "read",
        "an offset that no file has",
        Err(ErrorCode::Invalid),
        |s, d| {
            let file = s.open(d, "file", plain(), READ)?;
            call!(s, read(file, 1, u64::MAX))
        },
    ),
    (
        "write",
        "not open for writing",
        Err(ErrorCode::BadDescriptor),
        |s, d| {
            let file = s.open(d, "file", plain(), READ)?;
            call!(s, write(file, vec![1], 0))
        },
    ),
    (
        "write",
        "no room",
        Err(ErrorCode::InsufficientSpace),
        |s, d| {
            let file = s.open(d, "file", plain(), WRITE)?;
            call!(s, write(borrow(&file), vec![1; 1 << 20], 0))?;
            call!(s, write(file, vec![1], 1 << 21))
        },
    ),
    (
        "read-directory",
        "a file",
        Err(ErrorCode::NotDirectory),
        |s, d| {
            let file = s.open(d, "file", plain(), READ)?;
            call!(s, read_directory(file))
        },
    ),
];

#[test]
fn every_function_has_the_code_that_the_text_names_for_the_condition() {
    for (function, condition, expected, case) in CASES {
        let (mut state, root) = guest();
        assert_eq!(
            case(&mut state, &root),
            *expected,
            "{function}: {condition}"
        );
    }
}

#[test]
fn all_interfaces_are_linked_once() {
    let engine = wasmtime::Engine::default();
    let mut linker = Linker::<State>::new(&engine);
    wasi_filesystem::p2::add_to_linker(&mut linker).unwrap();
    assert!(wasi_filesystem::p2::add_to_linker(&mut linker).is_err());
}

#[test]
fn without_a_grant_there_is_no_directory() {
    let (mut state, _) = guest();
    state.filesystem = WasiFilesystemCtx::new();
    let directories = state.filesystem().get_directories().unwrap();
    assert!(directories.is_empty());
}

#[test]
fn a_made_up_handle_is_a_trap_even_where_a_resource_has_its_number() {
    let (mut state, root) = guest();
    let error = wasi_io::Error::new(wasi_filesystem::ErrorCode::Io);
    let error = state.table.push(error).unwrap();
    for rep in [error.rep(), 77, u32::MAX] {
        let mut fs = state.filesystem();
        let fd = || Resource::<Descriptor>::new_borrow(rep);
        assert!(block_on(fs.stat(fd())).is_err());
        assert!(block_on(fs.read(fd(), u64::MAX, u64::MAX)).is_err());
        assert!(block_on(fs.is_same_object(borrow(&root), fd())).is_err());
        let renamed = fs.rename_at(borrow(&root), "file".into(), fd(), "new".into());
        assert!(block_on(renamed).is_err());
        let entries = Resource::new_borrow(rep);
        assert!(block_on(fs.read_directory_entry(entries)).is_err());
    }
    assert!(
        state.table.get(&error).is_ok(),
        "and nothing else is touched"
    );
    assert!(state.table.get(&root).is_ok());
}

#[test]
fn a_file_is_written_read_and_listed() {
    let (mut state, root) = guest();
    let both = READ | WRITE;
    let file = state.open(&root, "new", OpenFlags::CREATE, both).unwrap();
    let mut fs = state.filesystem();
    assert_eq!(fs.get_flags(borrow(&file)).unwrap(), Ok(both));
    assert_eq!(
        fs.get_type(borrow(&file)).unwrap(),
        Ok(DescriptorType::RegularFile)
    );
    let written = fs.write(borrow(&file), b"hello".to_vec(), 3);
    assert_eq!(block_on(written).unwrap(), Ok(5));
    let read = block_on(fs.read(borrow(&file), u64::MAX, 1)).unwrap();
    assert_eq!(read, Ok((b"\0\0hello".to_vec(), true)));
    assert_eq!(block_on(fs.sync(borrow(&file))).unwrap(), Ok(()));

    let entries = block_on(fs.read_directory(borrow(&root))).unwrap().unwrap();
    let mut names = Vec::new();
    while let Some(entry) = block_on(fs.read_directory_entry(borrow(&entries)))
        .unwrap()
        .unwrap()
    {
        names.push(entry.name);
    }
    names.sort();
    let all = [
        "absolute", "empty", "file", "full", "link", "new", "round", "up",
    ];
    assert_eq!(names, all);
}

#[test]
fn streams_read_what_streams_wrote_and_fail_with_the_file_s_code() {
    let (mut state, root) = guest();
    let file = state.open(&root, "file", plain(), READ | WRITE).unwrap();
    let mut fs = state.filesystem();
    let writes = fs.write_via_stream(borrow(&file), 8).unwrap().unwrap();
    let appends = fs.append_via_stream(borrow(&file)).unwrap().unwrap();
    let reads = fs.read_via_stream(borrow(&file), 6).unwrap().unwrap();
    let beyond = fs.read_via_stream(file, u64::MAX).unwrap().unwrap();
    let mut io = state.io();
    for (stream, bytes) in [(&writes, b"ab"), (&appends, b"cd")] {
        let written = io.blocking_write_and_flush(borrow(stream), bytes.to_vec());
        block_on(written).unwrap().unwrap();
    }
    let read = block_on(io.blocking_read(borrow(&reads), 100)).unwrap();
    assert_eq!(read.unwrap(), b"67abcd");
    assert!(matches!(
        block_on(io.blocking_read(borrow(&reads), 100)).unwrap(),
        Err(StreamError::Closed)
    ));

    let Err(StreamError::LastOperationFailed(error)) = io.read(borrow(&beyond), 1).unwrap() else {
        panic!("no file has that offset");
    };
    let code = state.filesystem().filesystem_error_code(error).unwrap();
    assert_eq!(code, Some(ErrorCode::Invalid));
}

#[test]
fn an_error_that_is_no_file_s_has_no_code() {
    let (mut state, _) = guest();
    for (error, code) in [
        (wasi_io::Error::new(core::fmt::Error), None),
        (
            wasi_io::Error::new(std::io::Error::from(std::io::ErrorKind::StorageFull)),
            Some(ErrorCode::InsufficientSpace),
        ),
    ] {
        let error = state.table.push(error).unwrap();
        let found = state.filesystem().filesystem_error_code(error).unwrap();
        assert_eq!(found, code);
    }
}
