//! The walk over paths, on a [`MemFs`].

use super::{Vfs, directory};
use crate::backend::{Directory, DirectoryEntries, Object, Result};
use crate::memory::MemFs;
use crate::{
    DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, OpenFlags, PATH_MAX, PathFlags,
};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use bytes::Bytes;
use wasi_clocks::manual::ManualClock;
use wasi_io::Op;

const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
const NO_FOLLOW: PathFlags = PathFlags::empty();

fn done<T: 'static>(op: Op<Result<T>>) -> Result<T> {
    pollster::block_on(op.finish())
}

fn mem_fs() -> (Arc<MemFs>, Arc<dyn Directory>) {
    let fs = Arc::new(MemFs::new(Arc::new(ManualClock::default())));
    let root = directory(fs.clone());
    (fs, root)
}

/// `a/b/file`, and links of all kinds.
fn tree() -> Arc<dyn Directory> {
    let (fs, root) = mem_fs();
    fs.create_dir_all("a/b").unwrap();
    fs.write_file("a/b/file", b"12345").unwrap();
    for (target, path) in [
        ("b/file", "a/to-file"),
        ("b", "a/to-dir"),
        ("b/", "a/to-dir-slash"),
        ("b/file/", "a/to-file-slash"),
        ("../b", "a/b/up-and-back"),
        ("..", "a/up"),
        ("../..", "a/b/up-twice"),
        ("../../..", "a/b/out"),
        ("nothing", "dangling"),
        ("circle", "circle"),
        ("b/missing/x", "a/deep-dangling"),
    ] {
        fs.symlink(target, path).unwrap();
    }
    root
}

fn open_dir(dir: &Arc<dyn Directory>, path: &str) -> Arc<dyn Directory> {
    let (open, flags) = (OpenFlags::DIRECTORY, DescriptorFlags::READ);
    match done(dir.open_at(FOLLOW, path, open, flags)).unwrap() {
        Object::Directory(dir) => dir,
        Object::File(_) => unreachable!(),
    }
}

#[test]
fn paths_lead_where_posix_says_and_never_out() {
    use DescriptorType::{Directory as Dir, RegularFile, SymbolicLink};
    use ErrorCode::*;
    let root = tree();
    for (path, followed, itself) in [
        (".", Ok(Dir), Ok(Dir)),
        ("./", Ok(Dir), Ok(Dir)),
        ("a/b/file", Ok(RegularFile), Ok(RegularFile)),
        ("a//b///file", Ok(RegularFile), Ok(RegularFile)),
        ("a/./b/../b/file", Ok(RegularFile), Ok(RegularFile)),
        ("a/b/..", Ok(Dir), Ok(Dir)),
        ("a/b/../..", Ok(Dir), Ok(Dir)),
        ("a/b/file/", Err(NotDirectory), Err(NotDirectory)),
        ("a/b/file/.", Err(NotDirectory), Err(NotDirectory)),
        ("a/b/file/..", Err(NotDirectory), Err(NotDirectory)),
        ("a/missing/..", Err(NoEntry), Err(NoEntry)),
        ("a/b/", Ok(Dir), Ok(Dir)),
        ("a/to-file", Ok(RegularFile), Ok(SymbolicLink)),
        ("a/to-file/", Err(NotDirectory), Err(NotDirectory)),
        ("a/to-dir", Ok(Dir), Ok(SymbolicLink)),
        ("a/to-dir/", Ok(Dir), Ok(Dir)),
        ("a/to-dir/.", Ok(Dir), Ok(Dir)),
        ("a/to-dir/file", Ok(RegularFile), Ok(RegularFile)),
        ("a/to-dir-slash", Ok(Dir), Ok(SymbolicLink)),
        ("a/to-file-slash", Err(NotDirectory), Ok(SymbolicLink)),
        (
            "a/b/up-and-back/up-and-back/file",
            Ok(RegularFile),
            Ok(RegularFile),
        ),
        ("a/up", Ok(Dir), Ok(SymbolicLink)),
        ("a/up/a/b", Ok(Dir), Ok(Dir)),
        ("a/up/..", Err(NotPermitted), Err(NotPermitted)),
        ("a/b/up-twice", Ok(Dir), Ok(SymbolicLink)),
        ("a/b/out", Err(NotPermitted), Ok(SymbolicLink)),
        ("a/b/out/a", Err(NotPermitted), Err(NotPermitted)),
        ("..", Err(NotPermitted), Err(NotPermitted)),
        ("../a", Err(NotPermitted), Err(NotPermitted)),
        ("a/../..", Err(NotPermitted), Err(NotPermitted)),
        ("a/../../a", Err(NotPermitted), Err(NotPermitted)),
        ("dangling", Err(NoEntry), Ok(SymbolicLink)),
        ("dangling/", Err(NoEntry), Err(NoEntry)),
        ("circle", Err(Loop), Ok(SymbolicLink)),
        ("circle/x", Err(Loop), Err(Loop)),
        ("", Err(NoEntry), Err(NoEntry)),
        ("/", Err(NotPermitted), Err(NotPermitted)),
        ("/a", Err(NotPermitted), Err(NotPermitted)),
    ] {
        for (flags, expected) in [(FOLLOW, followed), (NO_FOLLOW, itself)] {
            let kind = done(root.stat_at(flags, path)).map(|stat| stat.descriptor_type);
            assert_eq!(kind, expected, "{path:?} {flags:?}");
        }
    }
}

#[test]
fn a_directory_below_is_a_border_of_its_own() {
    let root = tree();
    let a = open_dir(&root, "a");
    assert!(done(a.stat_at(FOLLOW, "b/up-and-back")).is_ok());
    for path in ["..", "../a", "up", "up/a", "b/up-twice", "b/../../a"] {
        let result = done(a.stat_at(FOLLOW, path));
        assert_eq!(result, Err(ErrorCode::NotPermitted), "{path}");
    }
}

#[test]
fn an_absolute_target_is_not_permitted() {
    let (fs, root) = mem_fs();
    // A guest can't make one, but a host can.
    fs.symlink("/etc/passwd", "link").unwrap();
    for path in ["link", "link/x"] {
        let result = done(root.stat_at(FOLLOW, path));
        assert_eq!(result, Err(ErrorCode::NotPermitted));
    }
    assert_eq!(done(root.readlink_at("link")).unwrap(), "/etc/passwd");
}

#[test]
fn forty_links_are_walked_and_one_more_is_a_loop() {
    let (fs, root) = mem_fs();
    fs.write_file("0", b"").unwrap();
    for n in 1..=41 {
        fs.symlink(&format!("{}", n - 1), &format!("{n}")).unwrap();
    }
    assert!(done(root.stat_at(FOLLOW, "40")).is_ok());
    assert_eq!(done(root.stat_at(FOLLOW, "41")), Err(ErrorCode::Loop));
    // Itself, it is not on the way.
    assert!(done(root.stat_at(NO_FOLLOW, "41")).is_ok());
    // Wherever on the way they are.
    fs.symlink(".", "here").unwrap();
    for (times, expected) in [(40, Ok(())), (41, Err(ErrorCode::Loop))] {
        let path: String = ["here/"].repeat(times).concat();
        let result = done(root.stat_at(FOLLOW, &path)).map(drop);
        assert_eq!(result, expected);
    }
}

#[test]
fn long_links_to_long_links_come_to_an_end() {
    let (fs, root) = mem_fs();
    fs.create_dir_all("d").unwrap();
    let last = "/link";
    let long = "./".repeat((PATH_MAX - last.len()) / 2) + "." + last;
    fs.symlink(&long[..long.len().min(PATH_MAX)], "link")
        .unwrap();
    assert_eq!(done(root.stat_at(FOLLOW, "link")), Err(ErrorCode::Loop));
    fs.symlink(&"x/".repeat(PATH_MAX), "too-long").unwrap();
    let result = done(root.stat_at(FOLLOW, "too-long"));
    assert_eq!(result, Err(ErrorCode::NameTooLong));
}

#[test]
fn each_operation_treats_the_last_step_as_posix_does() {
    use ErrorCode::*;
    type Case = (&'static str, Result<()>);
    type Operation<'a> = &'a dyn Fn(&dyn Directory, &str) -> Op<Result<()>>;
    let check = |what: &str, cases: &[Case], f: Operation<'_>| {
        for (path, expected) in cases {
            let root = tree();
            assert_eq!(done(f(&*root, path)), *expected, "{what} {path:?}");
        }
    };
    check(
        "mkdir",
        &[
            ("new", Ok(())),
            ("new/", Ok(())),
            ("a/up/new", Ok(())),
            (".", Err(Exist)),
            ("a/..", Err(Exist)),
            ("..", Err(NotPermitted)),
            ("a", Err(Exist)),
            ("dangling", Err(Exist)),
            ("dangling/", Err(Exist)),
            ("missing/new", Err(NoEntry)),
            ("a/b/file/new", Err(NotDirectory)),
            ("a/b/out/new", Err(NotPermitted)),
        ],
        &|root, path| root.create_directory_at(path),
    );
    check(
        "symlink",
        &[
            ("new", Ok(())),
            ("new/", Err(NoEntry)),
            ("a/", Err(Exist)),
            ("dangling", Err(Exist)),
            ("a/.", Err(Exist)),
            ("a/b/out/new", Err(NotPermitted)),
        ],
        &|root, path| root.symlink_at("x", path),
    );
    check(
        "link to",
        &[
            ("new", Ok(())),
            ("new/", Err(NoEntry)),
            ("a", Err(Exist)),
            ("a/", Err(Exist)),
            (".", Err(Exist)),
            ("dangling", Err(Exist)),
            ("a/b/out/new", Err(NotPermitted)),
        ],
        &|root, path| root.link_at(NO_FOLLOW, "a/b/file", root, path),
    );
    check(
        "link of",
        &[
            ("a/b/file", Ok(())),
            ("a/to-file", Ok(())),
            ("dangling", Ok(())),
            ("a/b/file/", Err(NotDirectory)),
            ("a", Err(NotPermitted)),
            (".", Err(NotPermitted)),
            ("a/to-dir", Ok(())),
            ("a/to-dir/", Err(NotPermitted)),
            ("missing", Err(NoEntry)),
        ],
        &|root, path| root.link_at(NO_FOLLOW, path, root, "new"),
    );
    check(
        "rename of",
        &[
            ("a/b/file", Ok(())),
            ("a/b/file/", Err(NotDirectory)),
            ("a/b", Ok(())),
            ("a/b/", Ok(())),
            ("dangling", Ok(())),
            ("a/to-dir/", Err(NotDirectory)),
            (".", Err(Busy)),
            ("a/..", Err(Busy)),
            ("..", Err(NotPermitted)),
            ("missing", Err(NoEntry)),
            ("missing/", Err(NoEntry)),
            ("a/b/out/new", Err(NotPermitted)),
        ],
        &|root, path| root.rename_at(path, root, "new"),
    );
    check(
        "rename of a file to",
        &[
            ("new", Ok(())),
            ("new/", Err(NotDirectory)),
            ("a", Err(IsDirectory)),
            ("a/.", Err(Busy)),
            ("a/b/file", Ok(())),
            ("dangling", Ok(())),
            ("a/b/file/x", Err(NotDirectory)),
            ("missing/x", Err(NoEntry)),
        ],
        &|root, path| root.rename_at("a/b/file", root, path),
    );
    check(
        "rename of a directory to",
        &[
            ("new", Ok(())),
            ("new/", Ok(())),
            ("a/b/x", Err(Invalid)),
            ("a/b", Ok(())),
            ("a", Err(NotEmpty)),
            ("dangling", Err(NotDirectory)),
        ],
        &|root, path| root.rename_at("a/b", root, path),
    );
    check(
        "unlink",
        &[
            ("a/b/file", Ok(())),
            ("a/b/file/", Err(NotDirectory)),
            ("dangling", Ok(())),
            ("a/to-dir", Ok(())),
            ("a/to-dir/", Err(NotDirectory)),
            ("a", Err(IsDirectory)),
            ("a/", Err(IsDirectory)),
            (".", Err(IsDirectory)),
            ("a/..", Err(IsDirectory)),
            ("missing", Err(NoEntry)),
            ("missing/", Err(NoEntry)),
            ("..", Err(NotPermitted)),
        ],
        &|root, path| root.unlink_file_at(path),
    );
    check(
        "rmdir",
        &[
            ("empty", Ok(())),
            ("empty/", Ok(())),
            ("a", Err(NotEmpty)),
            ("a/b/file", Err(NotDirectory)),
            ("a/to-dir", Err(NotDirectory)),
            ("a/to-dir/", Err(NotDirectory)),
            (".", Err(Invalid)),
            ("a/.", Err(Invalid)),
            ("a/b/..", Err(Invalid)),
            ("..", Err(NotPermitted)),
            ("missing", Err(NoEntry)),
        ],
        &|root, path| {
            done(root.create_directory_at("empty")).unwrap();
            root.remove_directory_at(path)
        },
    );
    check(
        "readlink",
        &[
            ("a/to-file", Ok(())),
            ("dangling", Ok(())),
            ("a/b/file", Err(Invalid)),
            ("a", Err(Invalid)),
            ("a/to-dir/", Err(Invalid)),
            (".", Err(Invalid)),
            ("missing", Err(NoEntry)),
        ],
        &|root, path| root.readlink_at(path).map(|target| target.map(drop)),
    );
}

#[test]
fn opening_follows_makes_and_refuses_as_its_flags_say() {
    use ErrorCode::*;
    const NONE: OpenFlags = OpenFlags::empty();
    const CREATE: OpenFlags = OpenFlags::CREATE;
    const NEW: OpenFlags = OpenFlags::CREATE.union(OpenFlags::EXCLUSIVE);
    const CUT: OpenFlags = OpenFlags::TRUNCATE;
    const DIR: OpenFlags = OpenFlags::DIRECTORY;
    const R: DescriptorFlags = DescriptorFlags::READ;
    const W: DescriptorFlags = DescriptorFlags::WRITE;
    let (dir, file) = (
        Ok(DescriptorType::Directory),
        Ok(DescriptorType::RegularFile),
    );
    for (follow, path, open, flags, expected) in [
        (FOLLOW, "a", NONE, R, dir),
        (FOLLOW, "a", DIR, R, dir),
        (FOLLOW, "a", DIR, R | DescriptorFlags::MUTATE_DIRECTORY, dir),
        (FOLLOW, "a/", NONE, R, dir),
        (FOLLOW, "a", NONE, W, Err(IsDirectory)),
        (FOLLOW, "a", DIR, R | W, Err(IsDirectory)),
        (FOLLOW, "a", CUT, R, Err(IsDirectory)),
        (FOLLOW, "a", CREATE, R, Err(IsDirectory)),
        (FOLLOW, ".", CREATE, R, Err(IsDirectory)),
        (FOLLOW, ".", NEW, R, Err(Exist)),
        (FOLLOW, "a", NEW, R, Err(Exist)),
        (FOLLOW, "a", CREATE | DIR, R, Err(Invalid)),
        (FOLLOW, "a/b/file", NONE, R, file),
        (FOLLOW, "a/b/file", CREATE | CUT, W, file),
        (FOLLOW, "a/b/file", OpenFlags::EXCLUSIVE, R, file),
        (FOLLOW, "a/b/file", NEW, R, Err(Exist)),
        (FOLLOW, "a/b/file", DIR, R, Err(NotDirectory)),
        (FOLLOW, "a/b/file/", NONE, R, Err(NotDirectory)),
        (FOLLOW, "a/b/file/", CREATE, R, Err(IsDirectory)),
        (FOLLOW, "a/to-file", NONE, R, file),
        (NO_FOLLOW, "a/to-file", NONE, R, Err(Loop)),
        (NO_FOLLOW, "a/to-file", CREATE, R, Err(Loop)),
        (NO_FOLLOW, "a/to-file", DIR, R, Err(NotDirectory)),
        (NO_FOLLOW, "a/to-dir/", NONE, R, dir),
        (FOLLOW, "new", NONE, W, Err(NoEntry)),
        (FOLLOW, "new", CREATE, W, file),
        (FOLLOW, "new", NEW, R, file),
        (FOLLOW, "new/", CREATE, W, Err(IsDirectory)),
        (FOLLOW, "missing/new", CREATE, W, Err(NoEntry)),
        (FOLLOW, "dangling", CREATE, W, file),
        (FOLLOW, "dangling", NEW, W, Err(Exist)),
        (NO_FOLLOW, "dangling", CREATE, W, Err(Loop)),
        (FOLLOW, "a/deep-dangling", CREATE, W, Err(NoEntry)),
        (FOLLOW, "circle", CREATE, W, Err(Loop)),
        (FOLLOW, "a/b/out", CREATE, W, Err(NotPermitted)),
        (FOLLOW, "../new", CREATE, W, Err(NotPermitted)),
    ] {
        let root = tree();
        let opened = done(root.open_at(follow, path, open, flags)).map(|object| match object {
            Object::Directory(_) => DescriptorType::Directory,
            Object::File(file) => file.descriptor_type(),
        });
        assert_eq!(opened, expected, "{path:?} {follow:?} {open:?} {flags:?}");
        if path == "dangling" && opened.is_ok() {
            assert!(
                done(root.stat_at(NO_FOLLOW, "nothing")).is_ok(),
                "made elsewhere"
            );
        }
    }
}

#[test]
fn another_filesystem_is_another_device() {
    let (one, other) = (tree(), tree());
    let link = one.link_at(NO_FOLLOW, "a/b/file", &*other, "new");
    assert_eq!(done(link), Err(ErrorCode::CrossDevice));
    let rename = one.rename_at("a/b/file", &*other, "new");
    assert_eq!(done(rename), Err(ErrorCode::CrossDevice));
    let device = |root: &dyn Directory| done(root.stat()).unwrap().device;
    assert_ne!(device(&*one), device(&*other));
}

/// A filesystem in which somebody else makes each file just before it is made.
struct Raced {
    fs: MemFs,
    /// Whether the other one removes it again at once.
    removes: bool,
}

impl Vfs for Raced {
    type Inode = <MemFs as Vfs>::Inode;

    fn root(&self) -> Self::Inode {
        self.fs.root()
    }

    fn descriptor_type(&self, inode: &Self::Inode) -> DescriptorType {
        self.fs.descriptor_type(inode)
    }

    fn stat(&self, inode: &Self::Inode) -> Op<Result<DescriptorStat>> {
        self.fs.stat(inode)
    }

    fn lookup(&self, dir: &Self::Inode, name: &str) -> Op<Result<Self::Inode>> {
        self.fs.lookup(dir, name)
    }

    fn read_directory(&self, dir: &Self::Inode) -> Op<Result<Box<dyn DirectoryEntries>>> {
        self.fs.read_directory(dir)
    }

    fn read_at(
        &self,
        file: &Self::Inode,
        offset: u64,
        buf: &mut [u8],
    ) -> Op<Result<usize>, Result<Bytes>> {
        self.fs.read_at(file, offset, buf)
    }

    fn create_file(&self, dir: &Self::Inode, name: &str) -> Op<Result<Self::Inode>> {
        done(self.fs.create_file(dir, name)).unwrap();
        if self.removes {
            done(self.fs.unlink(dir, name)).unwrap();
        }
        Op::failed(ErrorCode::Exist)
    }
}

#[test]
fn a_file_that_somebody_else_makes_first_is_opened_and_an_endless_race_ends() {
    const NEW: OpenFlags = OpenFlags::CREATE.union(OpenFlags::EXCLUSIVE);
    for (open, removes, expected) in [
        (OpenFlags::CREATE, false, Ok(())),
        (OpenFlags::CREATE, true, Err(ErrorCode::Exist)),
        (NEW, false, Err(ErrorCode::Exist)),
    ] {
        let fs = MemFs::new(Arc::new(ManualClock::default()));
        let root = directory(Arc::new(Raced { fs, removes }));
        let opened = done(root.open_at(FOLLOW, "file", open, DescriptorFlags::READ));
        assert_eq!(
            opened.map(drop),
            expected,
            "{open:?}, removed again: {removes}"
        );
    }
}
