/// An open file or directory (`wasi:filesystem/types.descriptor`).
///
/// It has no values: every descriptor is opened from a preopened directory, and none can be
/// granted yet.
#[derive(Debug)]
pub enum Descriptor {}

/// A directory that is being listed (`wasi:filesystem/types.directory-entry-stream`).
///
/// It has no values: only a [`Descriptor`] could give one.
#[derive(Debug)]
pub enum DirectoryEntryStream {}
