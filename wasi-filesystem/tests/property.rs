//! Random sequences of operations on files give the same in memory and on this machine, and in
//! an overlay and a filesystem that has all of its own, and leave the same behind.
#![cfg(target_os = "linux")]

mod os_support;
mod wrapped;

use os_support::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::fmt;
use std::sync::Arc;
use wasi_clocks::manual::ManualClock;
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::os::OsDirectory;
use wasi_filesystem::{
    DescriptorFlags, DescriptorStat, DescriptorType, Directory, ErrorCode, File, NewTimestamp,
    Object, OpenFlags, Overlay, PathFlags, Result, vfs,
};
use wasi_types::Datetime;

/// Objects that are open at once, the first being the directory that all are below.
const SLOTS: usize = 5;

/// A path, from the directory in a slot.
type At = (usize, String);

#[derive(Clone, Debug)]
enum Step {
    Open(At, PathFlags, OpenFlags, DescriptorFlags, usize),
    Close(usize),
    Read(usize, u64, usize),
    Write(usize, u64, Vec<u8>),
    Append(usize, Vec<u8>),
    ReadVectored(usize, u64, Vec<usize>),
    WriteVectored(usize, u64, Vec<Vec<u8>>),
    AppendVectored(usize, Vec<Vec<u8>>),
    Allocate(usize, u64, u64),
    SetSize(usize, u64),
    SetTimes(At, PathFlags, u64),
    Stat(At, PathFlags),
    StatOpen(usize),
    Same(At, At),
    Readlink(At),
    List(usize),
    CreateDirectory(At),
    RemoveDirectory(At),
    Unlink(At),
    Symlink(String, At),
    Link(At, PathFlags, At),
    Rename(At, At),
}

fn path() -> impl Strategy<Value = String> {
    let name = || select(vec!["a", "b", "c", "d"]);
    prop_oneof![
        4 => name().prop_map(String::from),
        2 => (name(), name()).prop_map(|(a, b)| format!("{a}/{b}")),
        1 => (name(), name(), name()).prop_map(|(a, b, c)| format!("{a}/{b}/{c}")),
        1 => name().prop_map(|a| format!("{a}/")),
        1 => (vec(select(vec!["a", "b", ".", ".."]), 1..5), select(vec!["", "/", "//"]))
            .prop_map(|(steps, end)| steps.join("/") + end),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    // Mostly from the top.
    let at = || (prop_oneof![3 => Just(0), 1 => 1..SLOTS], path());
    let slot = || 1..SLOTS;
    let follow = || any::<bool>().prop_map(|follow| if follow { FOLLOW } else { NO_FOLLOW });
    let open = || (0..16u8).prop_map(OpenFlags::from_bits_truncate);
    let flags = || (0..4u8).prop_map(DescriptorFlags::from_bits_truncate);
    let offset = || prop_oneof![8 => 0..100u64, 1 => 4000..9000u64, 1 => (u64::MAX - 2)..];
    let bytes = || vec(any::<u8>(), 0..50);
    // With and without those few that are told to the kernel in place.
    let several = || vec(bytes(), 0..25);
    let lengths = || vec(prop_oneof![9 => 0..500usize, 1 => 4000..5000usize], 0..25);
    let length = || prop_oneof![9 => 1..10_000u64, 1 => (u64::MAX - 2)..];
    prop_oneof![
        6 => (at(), follow(), open(), flags(), slot())
            .prop_map(|(at, follow, open, flags, slot)| Step::Open(at, follow, open, flags, slot)),
        4 => (at(), slot()).prop_map(|(at, slot)| Step::Open(at, FOLLOW, CREATE, BOTH, slot)),
        1 => slot().prop_map(Step::Close),
        2 => (slot(), offset(), 1..10_000usize).prop_map(|(s, o, l)| Step::Read(s, o, l)),
        3 => (slot(), offset(), bytes()).prop_map(|(s, o, b)| Step::Write(s, o, b)),
        2 => (slot(), bytes()).prop_map(|(s, b)| Step::Append(s, b)),
        2 => (slot(), offset(), lengths()).prop_map(|(s, o, l)| Step::ReadVectored(s, o, l)),
        3 => (slot(), offset(), several()).prop_map(|(s, o, b)| Step::WriteVectored(s, o, b)),
        2 => (slot(), several()).prop_map(|(s, b)| Step::AppendVectored(s, b)),
        1 => (slot(), offset(), length()).prop_map(|(s, o, l)| Step::Allocate(s, o, l)),
        1 => (slot(), offset()).prop_map(|(s, o)| Step::SetSize(s, o)),
        1 => (at(), follow(), 0..1_000_000_000u64).prop_map(|(a, f, t)| Step::SetTimes(a, f, t)),
        3 => (at(), follow()).prop_map(|(a, f)| Step::Stat(a, f)),
        2 => (0..SLOTS).prop_map(Step::StatOpen),
        1 => (at(), at()).prop_map(|(a, b)| Step::Same(a, b)),
        2 => at().prop_map(Step::Readlink),
        2 => (0..SLOTS).prop_map(Step::List),
        6 => at().prop_map(Step::CreateDirectory),
        2 => at().prop_map(Step::RemoveDirectory),
        2 => at().prop_map(Step::Unlink),
        4 => (path(), at()).prop_map(|(target, at)| Step::Symlink(target, at)),
        3 => (at(), follow(), at()).prop_map(|(a, f, b)| Step::Link(a, f, b)),
        4 => (at(), at()).prop_map(|(a, b)| Step::Rename(a, b)),
    ]
}

/// What is to be the same of a stat: the size of a directory is the backend's affair, and so
/// are numbers and times that nobody set.
#[derive(Debug, PartialEq)]
struct Stat(DescriptorType, Option<(u64, u64)>);

impl From<DescriptorStat> for Stat {
    fn from(stat: DescriptorStat) -> Self {
        let directory = stat.descriptor_type == DescriptorType::Directory;
        let details = (!directory).then_some((stat.size, stat.link_count));
        Self(stat.descriptor_type, details)
    }
}

#[derive(PartialEq)]
struct Contents(Vec<u8>);

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = self;
        let some = &bytes[..bytes.len().min(100)];
        write!(f, "{} bytes: {}", bytes.len(), some.escape_ascii())
    }
}

/// What a step gives.
#[derive(Debug, PartialEq)]
enum Seen {
    Nothing,
    Bytes(Contents),
    Count(usize),
    Stat(Stat),
    Time(Option<Datetime>),
    Same(bool),
    Text(String),
    Opened(DescriptorType),
    Entries(Vec<(String, DescriptorType)>),
}

/// One of the two, with what is open of it.
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
        Some(match step {
            Step::Open((dir, path), follow, open, flags, slot) => {
                let opened = done(self.dir(*dir)?.open_at(*follow, path, *open, *flags));
                match opened {
                    Ok(object) => {
                        let opened = match &object {
                            Object::File(file) => file.descriptor_type(),
                            Object::Directory(_) => DescriptorType::Directory,
                        };
                        self.slots[*slot] = Some((object, *flags));
                        Ok(Seen::Opened(opened))
                    }
                    Err(error) => Err(error),
                }
            }
            Step::Close(slot) => {
                self.slots[*slot] = None;
                Ok(Seen::Nothing)
            }
            Step::Read(slot, offset, length) => read(&*self.file(*slot, READ)?, *offset, *length)
                .map(|bytes| Seen::Bytes(Contents(bytes))),
            Step::Write(slot, offset, bytes) => {
                done(self.file(*slot, WRITE)?.write_at(*offset, bytes)).map(Seen::Count)
            }
            Step::Append(slot, bytes) => {
                done(self.file(*slot, WRITE)?.append(bytes)).map(Seen::Count)
            }
            Step::ReadVectored(slot, offset, lengths) => {
                read_vectored(&*self.file(*slot, READ)?, *offset, lengths)
                    .map(|bytes| Seen::Bytes(Contents(bytes)))
            }
            Step::WriteVectored(slot, offset, bufs) => {
                let file = self.file(*slot, WRITE)?;
                done(file.write_vectored_at(*offset, &slices(bufs))).map(Seen::Count)
            }
            Step::AppendVectored(slot, bufs) => {
                let file = self.file(*slot, WRITE)?;
                done(file.append_vectored(&slices(bufs))).map(Seen::Count)
            }
            Step::Allocate(slot, offset, length) => {
                let file = self.file(*slot, WRITE)?;
                done(file.allocate(*offset, *length)).map(|()| Seen::Nothing)
            }
            Step::SetSize(slot, size) => {
                done(self.file(*slot, WRITE)?.set_size(*size)).map(|()| Seen::Nothing)
            }
            Step::SetTimes((dir, path), follow, seconds) => {
                let dir = self.dir(*dir)?;
                let time = NewTimestamp::Timestamp(Datetime::new(*seconds, 5).unwrap());
                let set = done(dir.set_times_at(*follow, path, NewTimestamp::NoChange, time));
                set.and_then(|()| done(dir.stat_at(*follow, path)))
                    .map(|stat| Seen::Time(stat.data_modification_timestamp))
            }
            Step::Stat((dir, path), follow) => {
                done(self.dir(*dir)?.stat_at(*follow, path)).map(|stat| Seen::Stat(stat.into()))
            }
            Step::StatOpen(slot) => match &self.slots[*slot].as_ref()?.0 {
                Object::Directory(dir) => done(dir.stat()),
                Object::File(file) => done(file.stat()),
            }
            .map(|stat| Seen::Stat(stat.into())),
            Step::Same((a, a_path), (b, b_path)) => {
                let number = |slot, path: &str| {
                    let stat = done(self.dir(slot)?.stat_at(NO_FOLLOW, path));
                    Some(stat.map(|stat| (stat.device, stat.inode)))
                };
                match (number(*a, a_path)?, number(*b, b_path)?) {
                    (Ok(a), Ok(b)) => Ok(Seen::Same(a == b)),
                    (Err(error), _) | (_, Err(error)) => Err(error),
                }
            }
            Step::Readlink((dir, path)) => done(self.dir(*dir)?.readlink_at(path)).map(Seen::Text),
            Step::List(slot) => list(&*self.dir(*slot)?).map(Seen::Entries),
            Step::CreateDirectory((dir, path)) => {
                done(self.dir(*dir)?.create_directory_at(path)).map(|()| Seen::Nothing)
            }
            Step::RemoveDirectory((dir, path)) => {
                done(self.dir(*dir)?.remove_directory_at(path)).map(|()| Seen::Nothing)
            }
            Step::Unlink((dir, path)) => {
                done(self.dir(*dir)?.unlink_file_at(path)).map(|()| Seen::Nothing)
            }
            Step::Symlink(target, (dir, path)) => {
                done(self.dir(*dir)?.symlink_at(target, path)).map(|()| Seen::Nothing)
            }
            Step::Link((old, old_path), follow, (new, new_path)) => {
                let (old, new) = (self.dir(*old)?, self.dir(*new)?);
                done(old.link_at(*follow, old_path, &*new, new_path)).map(|()| Seen::Nothing)
            }
            Step::Rename((old, old_path), (new, new_path)) => {
                let (old, new) = (self.dir(*old)?, self.dir(*new)?);
                done(old.rename_at(old_path, &*new, new_path)).map(|()| Seen::Nothing)
            }
        })
    }

    /// All that is there, with paths, contents and the targets of links.
    fn tree(&self) -> Vec<(String, Stat, Seen)> {
        let mut all = Vec::new();
        let mut left = vec![(String::new(), self.dir(0).unwrap())];
        while let Some((above, dir)) = left.pop() {
            for (name, descriptor_type) in list(&*dir).unwrap() {
                let path = format!("{above}/{name}");
                let stat = Stat::from(done(dir.stat_at(NO_FOLLOW, &name)).unwrap());
                let seen = match descriptor_type {
                    DescriptorType::Directory => {
                        left.push((path.clone(), open_directory(&*dir, &name).unwrap()));
                        Seen::Nothing
                    }
                    DescriptorType::SymbolicLink => {
                        Seen::Text(done(dir.readlink_at(&name)).unwrap())
                    }
                    _ => {
                        let file = open(&*dir, &name, EXISTING, READ).unwrap();
                        Seen::Bytes(Contents(read(&*file, 0, 100_000).unwrap()))
                    }
                };
                all.push((path, stat, seen));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

/// A step with two paths, as two with one of them and a good one; others as they are.
fn alone(step: &Step) -> Vec<Step> {
    let good = (0, String::from("good"));
    let make = Step::Open(good.clone(), FOLLOW, CREATE, WRITE, 1);
    let clean = [
        Step::Unlink(good.clone()),
        Step::RemoveDirectory(good.clone()),
    ];
    let steps = match step.clone() {
        Step::Link(old, follow, new) => vec![
            Step::Link(old, follow, good.clone()),
            make,
            Step::Link(good, follow, new),
        ],
        Step::Rename(old, new) => vec![
            Step::Rename(old, good.clone()),
            Step::Rename(good.clone(), (0, "a".into())),
            make,
            Step::Rename(good, new),
        ],
        other => vec![other],
    };
    steps.into_iter().chain(clean).collect()
}

fn list(dir: &dyn Directory) -> Result<Vec<(String, DescriptorType)>> {
    let entries: Result<Vec<_>> = entries(dir)?.into_iter().collect();
    let entries = entries?.into_iter();
    let mut all: Vec<_> = entries
        .map(|entry| (entry.name, entry.descriptor_type))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn files_in_memory_and_of_this_machine_are_alike(
        steps in vec(step(), 1..60),
        mode in select(modes().to_vec()),
    ) {
        let temp = tempfile::tempdir().unwrap();
        let os = OsDirectory::open_ambient(temp.path(), mode).unwrap();
        let fs = MemFs::new(Arc::new(ManualClock::default()));
        let mut sides = [Side::new(Arc::new(os)), Side::new(vfs::directory(Arc::new(fs)))];
        for step in &steps {
            let [os, memory] = sides.each_mut().map(|side| side.step(step));
            // Two paths can both be wrong. Then either may be said, but each as it is alone.
            if os != memory && matches!((&os, &memory), (Some(Err(_)), Some(Err(_)))) {
                for step in alone(step) {
                    let [os, memory] = sides.each_mut().map(|side| side.step(&step));
                    prop_assert_eq!(os, memory, "{:?}: this machine, and memory", step);
                }
            } else {
                prop_assert_eq!(os, memory, "{:?}: this machine, and memory", step);
            }
        }
        let [os, memory] = sides.each_ref().map(Side::tree);
        prop_assert_eq!(os, memory, "what is left: this machine, and memory");
    }

    #[test]
    fn an_overlay_is_like_a_filesystem_that_has_all_of_its_own(
        before in vec(step(), 1..40),
        steps in vec(step(), 1..60),
        slow in any::<bool>(),
    ) {
        let memory = || vfs::directory(Arc::new(MemFs::new(Arc::new(ManualClock::default()))));
        let [lower, upper, own] = [memory(), memory(), memory()];
        // A file of several names below is one for each name in an overlay.
        for root in [&lower, &own] {
            let mut side = Side::new(root.clone());
            for step in before.iter().filter(|step| !matches!(step, Step::Link(..))) {
                side.step(step);
            }
        }
        let below = Side::new(lower.clone()).tree();
        let overlay = || {
            let layers = [lower.clone(), upper.clone()];
            let [lower, upper] = layers.map(|layer| match slow {
                true => Arc::new(wrapped::Slow(layer)),
                false => layer,
            });
            Side::new(vfs::directory(Arc::new(Overlay::new(lower, upper))))
        };
        let (mut side, mut model) = (overlay(), Side::new(own));
        for step in &steps {
            let seen = side.step(step);
            // A directory that is below is not moved: nothing happens.
            if seen != Some(Err(ErrorCode::CrossDevice)) {
                prop_assert_eq!(seen, model.step(step), "{:?}: overlay, and model", step);
            }
        }
        prop_assert_eq!(side.tree(), model.tree(), "what is left: overlay, and model");
        prop_assert_eq!(overlay().tree(), model.tree(), "what another overlay finds");
        prop_assert_eq!(Side::new(lower).tree(), below, "what is below");
    }
}
