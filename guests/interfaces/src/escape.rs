//! Every known way out of a preopen, over and over, while the host changes what is below it.
//!
//! All files inside contain [`INSIDE`] and no file outside does. The host makes in the preopen:
//! - `file`, `dir/file` and `dir/deep/`, and links out: `up` to `..`, `out` to `../outside`, `far` to
//!   `../../../../../../..`, `chain` to `out`, `dir/out` to `../../outside`, `absolute`, `proc`,
//!   `cwd` and `fd` to absolute places (those only where the filesystem can have such links);
//! - `swap/file`, `swap/canary` and `swap/deep/`, where `swap` is now that directory, now a link
//!   to `../outside`;
//! - `moving/deep/` and `moving/canary`, where `moving/deep` is now there, now `outside/deep`.
//!
//! Outside, and only there, is `secret`, and `canary` has another size.

use crate::bindings::wasi::filesystem::preopens::get_directories;
use crate::bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorType, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};
use crate::checks::Checks;
use crate::filesystem::FUNCTIONS;

const INSIDE: &[u8] = b"inside";
const READ: DescriptorFlags = DescriptorFlags::READ;
const BOTH: DescriptorFlags = READ.union(DescriptorFlags::WRITE);
const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;

/// What one run has seen.
struct Seen {
    /// Reads of what is inside, through what the host swaps.
    inside: u32,
    /// Refusals of the same paths.
    refused: u32,
    /// What came from outside, or was not refused.
    escapes: Vec<String>,
}

impl Seen {
    fn escape(&mut self, what: impl Into<String>) {
        if self.escapes.len() < 20 {
            self.escapes.push(what.into());
        }
    }
}

pub fn run(checks: &mut Checks, rounds: &str) {
    let rounds: u32 = rounds.parse().expect("a number of rounds");
    let preopens = get_directories();
    let root = &preopens[0].0;
    let mut seen = Seen {
        inside: 0,
        refused: 0,
        escapes: Vec::new(),
    };
    let fixed = fixed_paths(root);
    for round in 0..rounds {
        racing(root, &mut seen);
        // The rest takes turns: what matters most is the race.
        let turn = (round / 4) as usize;
        match round % 4 {
            0 => {
                let (path, codes) = &fixed[turn % fixed.len()];
                refusals(root, path, codes, &mut seen);
            }
            1 => racing_directories(root, &mut seen),
            2 => changes(root, turn),
            _ => own_links(root, turn, &mut seen),
        }
    }
    for what in &seen.escapes {
        checks.eq("never out of a preopen", what, "inside");
    }
    checks.eq("ways out", seen.escapes.len(), 0);
    // The host looks whether there was a race at all.
    println!("{} inside, {} refused", seen.inside, seen.refused);
}

/// Paths that lead out whatever the host does, and what each is refused with.
fn fixed_paths(root: &Descriptor) -> Vec<(String, Vec<ErrorCode>)> {
    let out = [ErrorCode::NotPermitted].to_vec();
    let mut all: Vec<(String, Vec<ErrorCode>)> = [
        "..",
        "../",
        "../.",
        "./..",
        "../outside",
        "../outside/canary",
        "../outside/../outside/canary",
        "dir/../../outside/canary",
        "dir/deep/../../../outside/secret",
        "dir//..//..//outside//canary",
        "./././../outside/canary",
        "up/outside/canary",
        "up/../outside/canary",
        "out/canary",
        "out/./canary",
        "out/../outside/canary",
        "out/new",
        "far/etc/passwd",
        "chain/canary",
        "chain/../canary",
        "dir/out/canary",
        "dir/../out/canary",
        "/",
        "//",
        "/.",
        "/..",
        "/etc/passwd",
        "//etc/passwd",
        "/proc/self/root/etc/passwd",
        "/proc/self/cwd/canary",
        "/dev/fd/0",
        "/dir/file",
    ]
    .map(|path| (path.to_string(), out.clone()))
    .into();
    for link in ["absolute", "proc", "cwd", "fd"] {
        // They are there, or not at all.
        if root.stat_at(PathFlags::empty(), link).is_ok() {
            for rest in ["/canary", "/etc/passwd", "/.", "/../canary"] {
                all.push((format!("{link}{rest}"), out.clone()));
            }
        }
    }
    let nul = [ErrorCode::Invalid].to_vec();
    for path in [
        "\0",
        "dir/file\0",
        "dir\0/../../outside/canary",
        "../outside/canary\0",
        "\0/etc/passwd",
    ] {
        all.push((path.into(), [nul.clone(), out.clone()].concat()));
    }
    let long = [ErrorCode::NameTooLong].to_vec();
    all.push(("n".repeat(256), long.clone()));
    all.push(("n".repeat(1 << 16), long.clone()));
    all.push((
        "../".repeat(5000) + "etc/passwd",
        [long.clone(), out.clone()].concat(),
    ));
    all.push((
        "dir/../".repeat(5000) + "../outside/canary",
        [long, out.clone()].concat(),
    ));
    // Short enough to be looked at.
    all.push(("dir/../".repeat(500) + "../outside/canary", out.clone()));
    all.push(("../".repeat(50) + "etc/passwd", out));
    all
}

fn refusals(root: &Descriptor, path: &str, codes: &[ErrorCode], seen: &mut Seen) {
    for (function, call) in FUNCTIONS {
        let result = call(root, path);
        if !result.err().is_some_and(|code| codes.contains(&code)) {
            seen.escape(format!("{function} {}: {result:?}", short(path)));
        }
    }
    for (function, result) in [
        (
            "open-at: create",
            root.open_at(FOLLOW, path, OpenFlags::CREATE, BOTH).err(),
        ),
        (
            "open-at: truncate",
            root.open_at(FOLLOW, path, OpenFlags::TRUNCATE, BOTH).err(),
        ),
        (
            "open-at: directory",
            root.open_at(FOLLOW, path, OpenFlags::DIRECTORY, READ).err(),
        ),
        (
            "open-at: not followed",
            root.open_at(PathFlags::empty(), path, OpenFlags::empty(), READ)
                .err(),
        ),
        (
            "rename-at: new",
            root.rename_at("dir/file", root, path).err(),
        ),
        (
            "link-at: new",
            root.link_at(PathFlags::empty(), "dir/file", root, path)
                .err(),
        ),
    ] {
        if !result.is_some_and(|code| codes.contains(&code)) {
            seen.escape(format!("{function} {}: {result:?}", short(path)));
        }
    }
}

/// The beginning of a path, which has one byte a character.
fn short(path: &str) -> String {
    path[..path.len().min(60)].escape_debug().to_string()
}

/// Through what the host swaps and moves.
fn racing(root: &Descriptor, seen: &mut Seen) {
    for path in [
        "swap/canary",
        "swap/file",
        "swap/./canary",
        "swap/deep/../canary",
        "dir/../swap/canary",
        "dir/deep/../../swap/canary",
        "swap/../swap/canary",
        "moving/deep/../canary",
        "moving/deep/./../canary",
    ] {
        match root.open_at(FOLLOW, path, OpenFlags::empty(), READ) {
            Ok(file) => read(&file, path, seen),
            Err(ErrorCode::NotPermitted) => seen.refused += 1,
            Err(_) => {}
        }
        if let Ok(stat) = root.stat_at(FOLLOW, path)
            && stat.size != INSIDE.len() as u64
        {
            seen.escape(format!("stat-at {path}: {stat:?}"));
        }
    }
}

/// The same, by what is opened on the way.
fn racing_directories(root: &Descriptor, seen: &mut Seen) {
    for path in [
        "swap/secret",
        "moving/deep/../secret",
        "swap/../outside/secret",
    ] {
        for (function, call) in &FUNCTIONS[..9] {
            let result = call(root, path);
            if result.is_ok() {
                seen.escape(format!("{function} {path}"));
            }
        }
    }
    for path in ["swap", "swap/.", "swap/deep/..", "moving/deep/.."] {
        let Ok(dir) = root.open_at(FOLLOW, path, OpenFlags::DIRECTORY, READ) else {
            continue;
        };
        if let Err(name) = list(&dir) {
            seen.escape(format!("read-directory {path}: {name}"));
        }
        // What is open stays what it was, whatever its name leads to by now.
        if let Ok(file) = dir.open_at(FOLLOW, "canary", OpenFlags::empty(), READ) {
            read(&file, path, seen);
        }
        for above in ["../outside/canary", "..", "../../outside/secret"] {
            let opened = dir.open_at(FOLLOW, above, OpenFlags::empty(), READ).err();
            if opened != Some(ErrorCode::NotPermitted) {
                seen.escape(format!("open-at {above} from {path}: {opened:?}"));
            }
        }
    }
}

/// What changes something: the host sees if that was outside.
fn changes(root: &Descriptor, turn: usize) {
    let now = NewTimestamp::Now;
    // Most of these fail now and then, and may.
    let made = root.open_at(FOLLOW, "swap/new", OpenFlags::CREATE, BOTH);
    if let Ok(file) = made {
        let _ = file.write(INSIDE, 0);
    }
    let _ = root
        .open_at(FOLLOW, "swap/new", OpenFlags::TRUNCATE, BOTH)
        .map(|file| file.write(INSIDE, 0));
    let _ = root.set_times_at(FOLLOW, "swap/canary", now, now);
    let _ = root.link_at(PathFlags::empty(), "dir/file", root, "swap/linked");
    let _ = root.symlink_at("../outside/canary", "swap/symbolic");
    let _ = root.create_directory_at("swap/made");
    let _ = root.rename_at("swap/linked", root, "swap/renamed");
    let _ = root.rename_at("swap/new", root, "dir/taken");
    let _ = root.remove_directory_at("swap/made");
    let _ = root.unlink_file_at("swap/renamed");
    let _ = root.unlink_file_at("swap/linked");
    let _ = root.unlink_file_at("swap/symbolic");
    let _ = root.unlink_file_at("swap/new");
    let _ = root.unlink_file_at("dir/taken");
    if turn.is_multiple_of(16) {
        // Not often: it is what is read above.
        let _ = root.unlink_file_at("swap/canary");
        if let Ok(file) = root.open_at(FOLLOW, "swap/canary", OpenFlags::CREATE, BOTH) {
            let _ = file.write(INSIDE, 0);
        }
    }
}

/// Links and moves of the guest's own.
fn own_links(root: &Descriptor, turn: usize, seen: &mut Seen) {
    let targets = [
        "../outside/canary",
        "..",
        "dir/../../outside/canary",
        "./../outside/secret",
        "swap/canary",
    ];
    let target = targets[turn % targets.len()];
    let _ = root.unlink_file_at("mine");
    if let Err(code) = root.symlink_at(target, "mine") {
        seen.escape(format!("symlink-at {target}: {code:?}"));
    }
    match root.open_at(FOLLOW, "mine", OpenFlags::empty(), READ) {
        Ok(file) if target == "swap/canary" => read(&file, "mine", seen),
        Ok(_) => seen.escape(format!("open-at: a link to {target}")),
        Err(ErrorCode::NotPermitted) => {}
        Err(_) if target == "swap/canary" => {}
        Err(code) => seen.escape(format!("open-at: a link to {target}: {code:?}")),
    }
    for contents in ["/", "/etc/passwd", "/proc/self/root"] {
        let code = root.symlink_at(contents, "mine-too").err();
        if code != Some(ErrorCode::NotPermitted) {
            seen.escape(format!("symlink-at {contents}: {code:?}"));
        }
    }
    // A directory that moves up while something below it is open: what is above that is above.
    let _ = root.create_directory_at("a");
    let _ = root.create_directory_at("a/b");
    let Ok(below) = root.open_at(
        FOLLOW,
        "a/b",
        OpenFlags::DIRECTORY,
        READ | DescriptorFlags::MUTATE_DIRECTORY,
    ) else {
        return seen.escape("open-at a/b");
    };
    let _ = root.rename_at("a/b", root, "b");
    for path in ["..", "../..", "../outside/canary", "../../outside/canary"] {
        let code = below.open_at(FOLLOW, path, OpenFlags::empty(), READ).err();
        if code != Some(ErrorCode::NotPermitted) {
            seen.escape(format!("open-at {path} from what was moved: {code:?}"));
        }
    }
    let code = below.rename_at("..", root, "up-there").err();
    if code != Some(ErrorCode::NotPermitted) {
        seen.escape(format!("rename-at .. from what was moved: {code:?}"));
    }
    drop(below);
    let _ = root.remove_directory_at("b");
    let _ = root.remove_directory_at("a");
}

/// What is read must be from inside.
fn read(file: &Descriptor, path: &str, seen: &mut Seen) {
    match file.read(64, 0) {
        // Empty while it is made anew.
        Ok((bytes, _)) if bytes == INSIDE || bytes.is_empty() => seen.inside += 1,
        Ok((bytes, _)) => seen.escape(format!("{path}: {}", bytes.escape_ascii())),
        // A directory, where a link leads to one.
        Err(_) => {}
    }
}

/// The first name that is not one of those inside.
fn list(dir: &Descriptor) -> Result<(), String> {
    let known = [
        "canary", "file", "deep", "new", "linked", "symbolic", "made", "renamed",
    ];
    let Ok(stream) = dir.read_directory() else {
        return Ok(());
    };
    while let Ok(Some(entry)) = stream.read_directory_entry() {
        if !known.contains(&entry.name.as_str()) || entry.type_ == DescriptorType::Unknown {
            return Err(entry.name);
        }
    }
    Ok(())
}
