//! What only a machine's filesystem has, see the list in `mod.rs`.

use super::*;

pub fn run(checks: &mut Checks, dir: &Descriptor) {
    let kind = |name| dir.stat_at(NO_FOLLOW, name).map(|it| it.type_);
    checks.eq(
        "stat-at: a named pipe",
        kind("fifo"),
        Ok::<_, ()>(DescriptorType::Fifo),
    );
    checks.eq(
        "stat-at: a socket",
        kind("socket"),
        Ok::<_, ()>(DescriptorType::Socket),
    );

    // Opening a pipe that nobody has open does not wait.
    let pipe = open(dir, "fifo", READ).expect("a pipe");
    checks.eq(
        "get-type: a named pipe",
        pipe.get_type(),
        Ok::<_, ()>(DescriptorType::Fifo),
    );
    checks.eq(
        "read: a pipe has no offsets",
        pipe.read(1, 0).err(),
        Some(ErrorCode::InvalidSeek),
    );
    checks.eq(
        "open-at: a pipe that nobody reads",
        open(dir, "fifo", WRITE).map(drop),
        OK,
    );
    checks.eq(
        "open-at: a socket",
        open(dir, "socket", READ).err(),
        Some(ErrorCode::NoSuchDevice),
    );

    checks.eq(
        "readlink-at: absolute",
        dir.readlink_at("absolute").err(),
        Some(ErrorCode::NotPermitted),
    );
    for path in ["absolute", "absolute/etc"] {
        checks.eq(
            format!("stat-at: {path}"),
            dir.stat_at(FOLLOW, path).err(),
            Some(ErrorCode::NotPermitted),
        );
    }

    let stream = dir.read_directory().expect("a stream");
    let (mut names, mut illegal) = (Vec::new(), 0);
    loop {
        match stream.read_directory_entry() {
            Ok(Some(entry)) => names.push(entry.name),
            Ok(None) => break,
            Err(ErrorCode::IllegalByteSequence) => illegal += 1,
            Err(code) => return checks.eq("read-directory-entry", code, ()),
        }
    }
    names.sort();
    checks.eq(
        "read-directory-entry: the others come",
        names,
        ["absolute", "fifo", "socket", "z"],
    );
    checks.eq("read-directory-entry: illegal-byte-sequence", illegal, 1);
}
