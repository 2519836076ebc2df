//! Random sequences of operations on files give the same on a volume and in memory, and leave the
//! same behind, also for who mounts the disk anew.

mod support;

use hadris_fat::FatKind;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;
use support::*;
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::{
    DescriptorFlags, DescriptorType, Directory, ErrorCode, File, NewTimestamp, Object, OpenFlags,
    Result, vfs,
};
use wasi_io::Op;
use wasi_types::Datetime;

/// Objects that are open at once, the first being the directory that all are below.
const SLOTS: usize = 5;

/// A path, from the directory in a slot.
type At = (usize, String);

#[derive(Clone, Debug)]
enum Step {
    Open(At, OpenFlags, DescriptorFlags, usize),
    Close(usize),
    Read(usize, u64, usize),
    Write(usize, u64, Vec<u8>),
    Append(usize, Vec<u8>),
    WriteVectored(usize, u64, Vec<Vec<u8>>),
    Allocate(usize, u64, u64),
    SetSize(usize, u64),
    SetTime(At, u64),
    Stat(At),
    StatOpen(usize),
    Same(At, At),
    List(usize),
    CreateDirectory(At),
    RemoveDirectory(At),
    Unlink(At),
    Rename(At, At),
    Sync(usize),
}

fn path() -> impl Strategy<Value = String> {
    // Some have a short name only, some a long one of several entries.
    let name = || select(vec!["a", "B.txt", "c in lower and UPPER case", "größer"]);
    prop_oneof![
        4 => name().prop_map(String::from),
        2 => (name(), name()).prop_map(|(a, b)| format!("{a}/{b}")),
        1 => (name(), name(), name()).prop_map(|(a, b, c)| format!("{a}/{b}/{c}")),
        1 => name().prop_map(|a| format!("{a}/")),
        1 => (vec(select(vec!["a", "B.txt", ".", ".."]), 1..5), select(vec!["", "/", "//"]))
            .prop_map(|(steps, end)| steps.join("/") + end),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    // Mostly from the top.
    let at = || (prop_oneof![3 => Just(0), 1 => 1..SLOTS], path());
    let slot = || 1..SLOTS;
    let open = || (0..16u8).prop_map(OpenFlags::from_bits_truncate);
    let flags = || (0..4u8).prop_map(DescriptorFlags::from_bits_truncate);
    // Within a cluster, and beyond.
    let offset = || prop_oneof![6 => 0..100u64, 3 => 400..9000u64, 1 => 30_000..50_000u64];
    let bytes = || prop_oneof![4 => vec(any::<u8>(), 0..50), 1 => vec(any::<u8>(), 1000..3000)];
    prop_oneof![
        6 => (at(), open(), flags(), slot())
            .prop_map(|(at, open, flags, slot)| Step::Open(at, open, flags, slot)),
        5 => (at(), slot()).prop_map(|(at, slot)| Step::Open(at, CREATE, BOTH, slot)),
        2 => slot().prop_map(Step::Close),
        2 => (slot(), offset(), 1..10_000usize).prop_map(|(s, o, l)| Step::Read(s, o, l)),
        4 => (slot(), offset(), bytes()).prop_map(|(s, o, b)| Step::Write(s, o, b)),
        2 => (slot(), bytes()).prop_map(|(s, b)| Step::Append(s, b)),
        1 => (slot(), offset(), vec(bytes(), 0..4))
            .prop_map(|(s, o, b)| Step::WriteVectored(s, o, b)),
        1 => (slot(), offset(), 1..10_000u64).prop_map(|(s, o, l)| Step::Allocate(s, o, l)),
        2 => (slot(), offset()).prop_map(|(s, o)| Step::SetSize(s, o)),
        1 => (at(), 400_000_000..2_000_000_000u64).prop_map(|(a, t)| Step::SetTime(a, t)),
        3 => at().prop_map(Step::Stat),
        2 => (0..SLOTS).prop_map(Step::StatOpen),
        1 => (at(), at()).prop_map(|(a, b)| Step::Same(a, b)),
        2 => (0..SLOTS).prop_map(Step::List),
        5 => at().prop_map(Step::CreateDirectory),
        2 => at().prop_map(Step::RemoveDirectory),
        4 => at().prop_map(Step::Unlink),
        6 => (at(), at()).prop_map(|(a, b)| Step::Rename(a, b)),
        1 => slot().prop_map(Step::Sync),
    ]
}

/// What a step gives. The size and links of a directory are the backend's affair.
#[derive(Debug, PartialEq)]
enum Seen {
    Nothing,
    Bytes(Vec<u8>),
    Count(usize),
    Stat(DescriptorType, Option<(u64, u64)>),
    Time(Option<Datetime>),
    Same(bool),
    Entries(Vec<(String, DescriptorType)>),
}

struct Side {
    slots: [Option<(Object, DescriptorFlags)>; SLOTS],
}

impl Side {
    fn new(root: Arc<dyn Directory>) -> Self {
        let mut slots = [const { None }; SLOTS];
        slots[0] = Some((Object::Directory(root), READ));
        Self { slots }
    }

    fn dir(&self, slot: usize) -> Option<Arc<dyn Directory>> {
        match &self.slots[slot] {
            Some((Object::Directory(dir), _)) => Some(dir.clone()),
            _ => None,
        }
    }

    fn file(&self, slot: usize, flags: DescriptorFlags) -> Option<Arc<dyn File>> {
        match &self.slots[slot] {
            Some((Object::File(file), has)) if has.contains(flags) => Some(file.clone()),
            _ => None,
        }
    }

    /// Does a step; `None` where what it needs is not open.
    fn step(&mut self, step: &Step) -> Option<Result<Seen>> {
        let nothing = |()| Seen::Nothing;
        Some(match step {
            Step::Open((dir, path), open_flags, flags, slot) => {
                let dir = self.dir(*dir)?;
                open(&*dir, path, *open_flags, *flags).map(|object| {
                    self.slots[*slot] = Some((object, *flags));
                    Seen::Nothing
                })
            }
            Step::Close(slot) => {
                self.slots[*slot] = None;
                Ok(Seen::Nothing)
            }
            Step::Read(slot, offset, length) => {
                let mut buf = vec![0; *length];
                match self.file(*slot, READ)?.read_at(*offset, &mut buf) {
                    Op::Ready(n) => n.map(|n| Seen::Bytes(buf[..n].to_vec())),
                    Op::Pending(_) => panic!("nothing is left for later"),
                }
            }
            Step::Write(slot, offset, bytes) => {
                done(self.file(*slot, WRITE)?.write_at(*offset, bytes)).map(Seen::Count)
            }
            Step::Append(slot, bytes) => {
                done(self.file(*slot, WRITE)?.append(bytes)).map(Seen::Count)
            }
            Step::WriteVectored(slot, offset, bufs) => {
                let bufs: Vec<_> = bufs.iter().map(|buf| &**buf).collect();
                let file = self.file(*slot, WRITE)?;
                done(file.write_vectored_at(*offset, &bufs)).map(Seen::Count)
            }
            Step::Allocate(slot, offset, length) => {
                done(self.file(*slot, WRITE)?.allocate(*offset, *length)).map(nothing)
            }
            Step::SetSize(slot, size) => {
                done(self.file(*slot, WRITE)?.set_size(*size)).map(nothing)
            }
            Step::SetTime((dir, path), seconds) => {
                let dir = self.dir(*dir)?;
                let time = Datetime::new(seconds - seconds % 2, 0).unwrap();
                let time = NewTimestamp::Timestamp(time);
                let set = dir.set_times_at(FOLLOW, path, NewTimestamp::NoChange, time);
                match (done(set), stat(&*dir, path)) {
                    // The topmost directory has no times.
                    (Ok(()), Ok(stat)) => Ok(Seen::Time(stat.data_modification_timestamp)),
                    (Err(code), _) | (_, Err(code)) => Err(code),
                }
            }
            Step::Stat((dir, path)) => stat(&*self.dir(*dir)?, path).map(seen),
            Step::StatOpen(slot) => match &self.slots[*slot].as_ref()?.0 {
                Object::Directory(dir) => done(dir.stat()).map(seen),
                Object::File(file) => done(file.stat()).map(seen),
            },
            Step::Same((a, a_path), (b, b_path)) => {
                let (a, b) = (self.dir(*a)?, self.dir(*b)?);
                match (stat(&*a, a_path), stat(&*b, b_path)) {
                    (Ok(a), Ok(b)) => Ok(Seen::Same(a.inode == b.inode)),
                    (Err(code), _) | (_, Err(code)) => Err(code),
                }
            }
            Step::List(slot) => Ok(Seen::Entries(entries(&*self.dir(*slot)?))),
            Step::CreateDirectory((dir, path)) => {
                done(self.dir(*dir)?.create_directory_at(path)).map(nothing)
            }
            Step::RemoveDirectory((dir, path)) => {
                done(self.dir(*dir)?.remove_directory_at(path)).map(nothing)
            }
            Step::Unlink((dir, path)) => done(self.dir(*dir)?.unlink_file_at(path)).map(nothing),
            Step::Rename((old, old_path), (new, new_path)) => {
                let (old, new) = (self.dir(*old)?, self.dir(*new)?);
                done(old.rename_at(old_path, &*new, new_path)).map(nothing)
            }
            Step::Sync(slot) => match &self.slots[*slot].as_ref()?.0 {
                Object::Directory(dir) => done(dir.sync()).map(nothing),
                Object::File(file) => done(file.sync()).map(nothing),
            },
        })
    }

    /// All that is there, with paths and contents.
    fn tree(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let mut all = Vec::new();
        let mut left = vec![(String::new(), self.dir(0).unwrap())];
        while let Some((above, dir)) = left.pop() {
            for (name, kind) in entries(&*dir) {
                let path = format!("{above}/{name}");
                let bytes = match kind {
                    DescriptorType::Directory => {
                        left.push((path.clone(), directory(&*dir, &name).unwrap()));
                        None
                    }
                    _ => Some(read(&*dir, &name).unwrap()),
                };
                all.push((path, bytes));
            }
        }
        all.sort();
        all
    }
}

fn seen(stat: wasi_filesystem::DescriptorStat) -> Seen {
    let directory = stat.descriptor_type == DescriptorType::Directory;
    let details = (!directory).then_some((stat.size, stat.link_count));
    Seen::Stat(stat.descriptor_type, details)
}

fn entries(dir: &dyn Directory) -> Vec<(String, DescriptorType)> {
    let all = list(dir).unwrap().into_iter();
    all.map(|entry| (entry.name, entry.descriptor_type))
        .collect()
}

/// Whether `path` leads back to where it began.
fn is_top((slot, path): &At) -> bool {
    let mut depth = 0i32;
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    *slot == 0 && depth == 0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_volume_is_like_files_in_memory(
        steps in vec(step(), 1..80),
        kind in select(vec![FatKind::Fat12, FatKind::Fat16]),
    ) {
        let disk = RamDisk::formatted(kind);
        let volume = disk.mount();
        let memory = MemFs::new(Arc::new(clock()));
        let mut sides = [Side::new(root(&volume)), Side::new(vfs::directory(Arc::new(memory)))];
        for step in &steps {
            if matches!(step, Step::SetTime(at, _) if is_top(at)) {
                continue;
            }
            let [fat, memory] = sides.each_mut().map(|side| side.step(step));
            // Two paths can both be wrong. Then either may be said.
            let both = matches!((&fat, &memory), (Some(Err(_)), Some(Err(_))))
                && matches!(step, Step::Rename(..));
            prop_assert!(both || fat == memory, "{:?}: {:?}, not {:?}", step, fat, memory);
            prop_assert_ne!(fat, Some(Err(ErrorCode::Io)));
        }
        let [fat, memory] = sides.each_ref().map(Side::tree);
        prop_assert_eq!(&fat, &memory, "what is left");
        drop((sides, volume));
        prop_assert_eq!(disk.findings(), [""; 0]);
        let volume = disk.mount();
        prop_assert_eq!(&Side::new(root(&volume)).tree(), &memory, "after a mount anew");
    }
}
