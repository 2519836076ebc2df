use crate::node::Node;
use crate::state::code;
use alloc::sync::Arc;
use core::task::{Context, Poll};
use hadris_fs::{DirCursor, ErrorKind};
use wasi_filesystem::{DescriptorType, DirectoryEntries, DirectoryEntry, ErrorCode, Result};

/// A listing in the order of the disk. It remembers a place there, and no name changes its place
/// without being moved.
pub(crate) struct Listing {
    dir: Arc<Node>,
    /// Nothing at the end, also after a failure: there is no way past what can't be read.
    from: Option<DirCursor>,
}

impl Listing {
    pub(crate) fn new(dir: Arc<Node>) -> Self {
        Self {
            dir,
            from: Some(DirCursor::START),
        }
    }

    fn next(&mut self) -> Result<Option<DirectoryEntry>> {
        let mut state = self.dir.shared.state.lock();
        while let Some(from) = self.from.take() {
            let entry = match state.fs.readdir(self.dir.id, from) {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                // A directory that was removed is empty.
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error) => return Err(code(error)),
            };
            self.from = Some(entry.next_cursor());
            let name = entry.name().to_str();
            let name = name.map_err(|_| ErrorCode::IllegalByteSequence)?;
            if !state.is_hidden(self.dir.id, name) {
                return Ok(Some(DirectoryEntry {
                    descriptor_type: match entry.file_type().is_dir() {
                        true => DescriptorType::Directory,
                        false => DescriptorType::RegularFile,
                    },
                    name: name.into(),
                    inode: entry.node().get(),
                }));
            }
        }
        Ok(None)
    }
}

impl DirectoryEntries for Listing {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<DirectoryEntry>>> {
        Poll::Ready(self.next())
    }
}
