//! One filesystem over another.

mod change;
mod copy_up;
mod listing;
mod lock;
mod node;

use crate::backend::{Directory, Object, Result};
use crate::vfs::{Access, new_device};
use crate::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntries, ErrorCode,
    NewTimestamp, OpenFlags, PathFlags, Vfs,
};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use bytes::Bytes;
use lock::Lock;
use node::{Body, Layers, Node, Other, Place, Table};
use wasi_io::Op;

const NO_FOLLOW: PathFlags = PathFlags::empty();

/// What the names of the overlay's own files in the upper layer begin with.
const RESERVED: &str = ".wh.";

/// A directory that is seen through another: what is in `lower`, until `upper` has something
/// by the same name, or hides it. All changes go to `upper`; `lower` is only ever read.
/// [`vfs::directory`](crate::vfs::directory) gives its topmost directory.
///
/// - A directory that is in both has the names of both, each once.
/// - What is in `lower` is copied to `upper` before it changes: when it is opened to write
///   or truncated, when its times are set, when it gets another name. A directory that
///   something below is to change comes with it. A large file takes its time.
/// - What is in `lower` and was removed is hidden by a *whiteout*: an empty file `.wh.NAME`
///   beside where `NAME` would be in `upper`. It stays when there is a new `NAME`: so a new
///   directory shows nothing of the one that was removed. Names that begin with `.wh.` in
///   upper or lower case are the overlay's own: guests see none, and make none
///   ([`ErrorCode::NotPermitted`]). A name in `lower` that is too long for its whiteout can't
///   be removed ([`ErrorCode::NameTooLong`]).
/// - A directory that is in `lower` can't be renamed, as on Linux: that is
///   [`ErrorCode::CrossDevice`], which programs answer with a copy.
/// - What is copied keeps its device and inode numbers as long as somebody has it open, and
///   all who have it open see the copy from then on. Looked up later, a file has those of the
///   copy. A directory keeps its numbers for good. A file that has several names in `lower`
///   becomes one of its own when it is copied, with numbers of its own; the other names stay.
/// - Devices, pipes and sockets in `lower` can be read, not written
///   ([`ErrorCode::Unsupported`]).
///
/// Another overlay with the same `upper` may follow this one, also in another process: all
/// there is to know is in `upper`. There should be one at a time, and nobody else should
/// change the layers meanwhile. If somebody does, what guests see may be old or mixed; they
/// still reach nothing outside of the two directories.
// Every operation on names runs under `Core::lock`, so it sees them all at rest; one that is
// given up in the middle leaves each name as it was or as it was to be, for every step is one.
pub struct Overlay {
    core: Arc<Core>,
    root: Arc<Node>,
}

struct Core {
    /// Tells the numbers that guests see from those in the layers.
    device: u64,
    read_only: bool,
    lock: Arc<Lock>,
    table: Arc<Table>,
}

/// What an object is in the layers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Upper((u64, u64)),
    /// A directory keeps this key when it gets an upper part.
    Lower((u64, u64)),
    /// One of several names; in the directory with this number.
    LowerName((u64, u64), Option<(u64, u64)>, Box<str>),
}

impl Overlay {
    /// Over `lower`, with the changes in `upper`: directories of any backends, which must not
    /// contain each other. `upper` can't be of an overlay itself, which refuses the names that
    /// this one needs; `lower` can.
    pub fn new(lower: Arc<dyn Directory>, upper: Arc<dyn Directory>) -> Self {
        let core = Arc::new(Core {
            // Not a small number, which the layers' own would soon meet.
            device: new_device().wrapping_mul(0x9e37_79b9_7f4a_7c15),
            read_only: upper.is_read_only(),
            lock: Arc::default(),
            table: Arc::default(),
        });
        let body = Body::Directory(Layers {
            upper: Some(upper),
            lower: Some(lower),
            hidden: None,
        });
        let root = Node::new(&core.table, DescriptorType::Directory, None, None, body);
        Self { core, root }
    }

    /// `change` alone, with the names at rest.
    fn locked<T: Send + 'static, F: Future<Output = Result<T>> + Send>(
        &self,
        change: impl FnOnce(Arc<Core>) -> F + Send + 'static,
    ) -> Op<Result<T>> {
        let core = self.core.clone();
        Op::start(async move {
            let _held = core.lock.lock().await;
            change(core.clone()).await
        })
    }
}

impl Core {
    fn number(&self, stat: &DescriptorStat) -> (u64, u64) {
        (stat.device ^ self.device, stat.inode)
    }
}

fn key(stat: &DescriptorStat) -> (u64, u64) {
    (stat.device, stat.inode)
}

fn is_reserved(name: &str) -> bool {
    let start = name.as_bytes().get(..RESERVED.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(RESERVED.as_bytes()))
}

fn whiteout(name: &str) -> String {
    format!("{RESERVED}{name}")
}

/// Nothing, where there is no such thing.
async fn optional<T: 'static>(op: Op<Result<T>>) -> Result<Option<T>> {
    match op.finish().await {
        Ok(value) => Ok(Some(value)),
        Err(ErrorCode::NoEntry) => Ok(None),
        Err(code) => Err(code),
    }
}

async fn open_dir(dir: &Arc<dyn Directory>, name: &str, upper: bool) -> Result<Arc<dyn Directory>> {
    let flags = match upper {
        true => DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
        false => DescriptorFlags::READ,
    };
    let opened = dir.open_at(NO_FOLLOW, name, OpenFlags::DIRECTORY, flags);
    match opened.finish().await? {
        Object::Directory(dir) => Ok(dir),
        Object::File(_) => Err(ErrorCode::NotDirectory),
    }
}

/// The object that `name` in `dir` stands for. The lock is held.
async fn find(core: &Arc<Core>, dir: &Arc<Node>, name: &str) -> Result<Arc<Node>> {
    if is_reserved(name) {
        return Err(ErrorCode::NoEntry);
    }
    let Layers { upper, lower, .. } = dir.layers();
    let in_upper = match &upper {
        Some(upper) => optional(upper.stat_at(NO_FOLLOW, name)).await?,
        None => None,
    };
    let is_dir = |stat: &DescriptorStat| stat.descriptor_type == DescriptorType::Directory;
    let in_lower = match lower
        .as_ref()
        .filter(|_| in_upper.as_ref().is_none_or(is_dir))
    {
        Some(lower) if !is_hidden(&upper, name).await? => {
            optional(lower.stat_at(NO_FOLLOW, name)).await?
        }
        _ => None,
    };
    let (layers, stat) = match (in_upper, in_lower) {
        (None, None) => return Err(ErrorCode::NoEntry),
        // The numbers of a directory are those below: they stay when it gets an upper part.
        (Some(above), Some(below)) if is_dir(&below) => ((upper, lower), (above, below)),
        (Some(above), _) => ((upper, None), (above, above)),
        (None, Some(below)) => ((None, lower), (below, below)),
    };
    let (above, numbered) = stat;
    let key = match &layers {
        (_, None) => Key::Upper(key(&numbered)),
        (_, Some(_)) if is_dir(&numbered) || numbered.link_count <= 1 => Key::Lower(key(&numbered)),
        _ => Key::LowerName(key(&numbered), dir.number(), name.into()),
    };
    let place = Place {
        dir: dir.clone(),
        name: name.into(),
    };
    let kind = above.descriptor_type;
    if let Some(node) = core.table.get(&key)
        && node.kind() == kind
    {
        node.set_place(place);
        node.update(|other| other.stat = above);
        return Ok(node);
    }
    let body = match (kind, layers) {
        (DescriptorType::Directory, (upper, lower)) => {
            let mut parts = [(upper, true), (lower, false)].into_iter();
            let mut opened = [None, None];
            for part in &mut opened {
                if let Some((Some(dir), upper)) = parts.next() {
                    *part = Some(open_dir(&dir, name, upper).await?);
                }
            }
            let [upper, lower] = opened;
            Body::Directory(Layers {
                upper,
                lower,
                hidden: None,
            })
        }
        (_, (upper, lower)) => {
            let target = match upper.as_ref().or(lower.as_ref()) {
                Some(dir) if kind == DescriptorType::SymbolicLink => {
                    Some(dir.readlink_at(name).finish().await?)
                }
                _ => None,
            };
            Body::Other(Other {
                upper: upper.is_some(),
                unlinked: false,
                stat: above,
                target,
                reader: None,
                writer: None,
            })
        }
    };
    let number = Some(core.number(&numbered));
    let node = Node::new(&core.table, kind, number, Some(place), body);
    core.table.insert(key, &node);
    Ok(node)
}

/// Whether what the lower part has by this name is hidden.
async fn is_hidden(upper: &Option<Arc<dyn Directory>>, name: &str) -> Result<bool> {
    let Some(upper) = upper else {
        return Ok(false);
    };
    match upper.stat_at(NO_FOLLOW, &whiteout(name)).finish().await {
        Ok(_) => Ok(true),
        Err(ErrorCode::NoEntry | ErrorCode::NameTooLong) => Ok(false),
        Err(code) => Err(code),
    }
}

impl Vfs for Overlay {
    type Inode = Arc<Node>;

    fn is_read_only(&self) -> bool {
        self.core.read_only
    }

    fn root(&self) -> Arc<Node> {
        self.root.clone()
    }

    fn descriptor_type(&self, inode: &Arc<Node>) -> DescriptorType {
        inode.kind()
    }

    fn stat(&self, inode: &Arc<Node>) -> Op<Result<DescriptorStat>> {
        let numbered = |mut stat: DescriptorStat, (device, inode)| {
            (stat.device, stat.inode) = (device, inode);
            stat
        };
        let number = inode.number();
        let unlinked = inode.other().is_some_and(|other| other.unlinked);
        let (op, number) = match (inode.other(), inode.layers(), number) {
            (Some(other), _, Some(number)) => match inode.reader() {
                Some(file) => (file.stat(), number),
                None => (Op::Ready(Ok(other.stat)), number),
            },
            (None, layers, Some(number)) => match layers.upper.or(layers.lower).or(layers.hidden) {
                Some(dir) => (dir.stat(), number),
                None => return Op::failed(ErrorCode::NoEntry),
            },
            (_, layers, None) => {
                let (Some(upper), Some(lower)) = (layers.upper, layers.lower) else {
                    return Op::failed(ErrorCode::NoEntry);
                };
                let core = self.core.clone();
                return lower.stat().and_then(move |below| {
                    let number = core.number(&below);
                    let above = upper.stat();
                    above.map(move |above| above.map(|above| numbered(above, number)))
                });
            }
        };
        op.map(move |stat| {
            let mut stat = numbered(stat?, number);
            if unlinked {
                stat.link_count = 0;
            }
            Ok(stat)
        })
    }

    fn lookup(&self, dir: &Arc<Node>, name: &str) -> Op<Result<Arc<Node>>> {
        let (dir, name) = (dir.clone(), String::from(name));
        self.locked(move |core| async move { find(&core, &dir, &name).await })
    }

    fn read_directory(&self, dir: &Arc<Node>) -> Op<Result<Box<dyn DirectoryEntries>>> {
        let dir = dir.clone();
        self.locked(move |_| async move { change::listing(&dir).await })
    }

    fn readlink(&self, link: &Arc<Node>) -> Op<Result<String>> {
        let target = link.other().and_then(|other| other.target);
        Op::Ready(target.ok_or(ErrorCode::Invalid))
    }

    fn open(&self, file: &Arc<Node>, access: Access) -> Op<Result<Arc<Node>>> {
        let file = file.clone();
        self.locked(move |core| async move {
            let (write, contents) = (access != Access::Read, access != Access::Replace);
            copy_up::open(&core, &file, write, contents).await
        })
    }

    fn read_at(
        &self,
        file: &Arc<Node>,
        offset: u64,
        buf: &mut [u8],
    ) -> Op<Result<usize>, Result<Bytes>> {
        match file.reader() {
            Some(file) => file.read_at(offset, buf),
            None => Op::failed(ErrorCode::BadDescriptor),
        }
    }

    fn write_at(&self, file: &Arc<Node>, offset: u64, bytes: &[u8]) -> Op<Result<usize>> {
        match file.writer() {
            Some(file) => file.write_at(offset, bytes),
            None => Op::failed(ErrorCode::BadDescriptor),
        }
    }

    fn append(&self, file: &Arc<Node>, bytes: &[u8]) -> Op<Result<usize>> {
        match file.writer() {
            Some(file) => file.append(bytes),
            None => Op::failed(ErrorCode::BadDescriptor),
        }
    }

    fn read_vectored_at(
        &self,
        file: &Arc<Node>,
        offset: u64,
        bufs: &mut [&mut [u8]],
    ) -> Op<Result<usize>, Result<Bytes>> {
        match file.reader() {
            Some(file) => file.read_vectored_at(offset, bufs),
            None => Op::failed(ErrorCode::BadDescriptor),
        }
    }

    fn write_vectored_at(
        &self,
        file: &Arc<Node>,
        offset: u64,
        bufs: &[&[u8]],
    ) -> Op<Result<usize>> {
        match file.writer() {
            Some(file) => file.write_vectored_at(offset, bufs),
            None => Op::failed(ErrorCode::BadDescriptor),
        }
    }

    fn append_vectored(&self, file: &Arc<Node>, bufs: &[&[u8]]) -> Op<Result<usize>> {
        match file.writer() {
            Some(file) => file.append_vectored(bufs),
            None => Op::failed(ErrorCode::BadDescriptor),
        }
    }

    fn allocate(&self, file: &Arc<Node>, offset: u64, length: u64) -> Op<Result<()>> {
        match file.writer() {
            Some(file) => file.allocate(offset, length),
            None => Op::failed(ErrorCode::BadDescriptor),
        }
    }

    fn set_size(&self, file: &Arc<Node>, size: u64) -> Op<Result<()>> {
        match file.writer() {
            Some(file) => file.set_size(size),
            None => Op::failed(ErrorCode::BadDescriptor),
        }
    }

    fn set_times(
        &self,
        inode: &Arc<Node>,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Op<Result<()>> {
        if let Some(file) = inode.writer() {
            return file.set_times(access, modification);
        }
        let node = inode.clone();
        self.locked(move |core| async move {
            change::set_times(&core, &node, access, modification).await
        })
    }

    fn create_file(&self, dir: &Arc<Node>, name: &str) -> Op<Result<Arc<Node>>> {
        let (dir, name) = (dir.clone(), String::from(name));
        self.locked(move |core| async move { change::create_file(&core, &dir, &name).await })
    }

    fn create_directory(&self, dir: &Arc<Node>, name: &str) -> Op<Result<()>> {
        let (dir, name) = (dir.clone(), String::from(name));
        self.locked(move |core| async move { change::create_directory(&core, &dir, &name).await })
    }

    fn create_symlink(&self, dir: &Arc<Node>, name: &str, target: &str) -> Op<Result<()>> {
        let (dir, name, target) = (dir.clone(), String::from(name), String::from(target));
        self.locked(
            move |core| async move { change::create_symlink(&core, &dir, &name, &target).await },
        )
    }

    fn link(&self, inode: &Arc<Node>, dir: &Arc<Node>, name: &str) -> Op<Result<()>> {
        let (node, dir, name) = (inode.clone(), dir.clone(), String::from(name));
        self.locked(move |core| async move { change::link(&core, &node, &dir, &name).await })
    }

    fn rename(
        &self,
        dir: &Arc<Node>,
        name: &str,
        new_dir: &Arc<Node>,
        new_name: &str,
    ) -> Op<Result<()>> {
        let (dir, name) = (dir.clone(), String::from(name));
        let (new_dir, new_name) = (new_dir.clone(), String::from(new_name));
        self.locked(move |core| async move {
            change::rename(&core, &dir, &name, &new_dir, &new_name).await
        })
    }

    fn unlink(&self, dir: &Arc<Node>, name: &str) -> Op<Result<()>> {
        let (dir, name) = (dir.clone(), String::from(name));
        self.locked(move |core| async move { change::unlink(&core, &dir, &name).await })
    }

    fn remove_directory(&self, dir: &Arc<Node>, name: &str) -> Op<Result<()>> {
        let (dir, name) = (dir.clone(), String::from(name));
        self.locked(move |core| async move { change::remove_directory(&core, &dir, &name).await })
    }

    fn sync(&self, inode: &Arc<Node>) -> Op<Result<()>> {
        match (inode.reader(), inode.layers().upper) {
            (Some(file), _) => file.sync(),
            (None, Some(dir)) => dir.sync(),
            (None, None) => Op::Ready(Ok(())),
        }
    }

    fn sync_data(&self, file: &Arc<Node>) -> Op<Result<()>> {
        match file.reader() {
            Some(file) => file.sync_data(),
            None => Op::Ready(Ok(())),
        }
    }

    fn advise(&self, file: &Arc<Node>, offset: u64, length: u64, advice: Advice) -> Op<Result<()>> {
        match file.reader() {
            Some(file) => file.advise(offset, length, advice),
            None => Op::Ready(Ok(())),
        }
    }
}
