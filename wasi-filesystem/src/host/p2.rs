//! WASI 0.2 for wasmtime.

use crate::{Descriptor, DirectoryEntryStream};
use alloc::string::String;
use alloc::vec::Vec;
use bindings::wasi::filesystem::{preopens, types};
use wasi_io::{DynInputStream, DynOutputStream, Error};
use wasmtime::Result;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

/// What the `bindgen!` of `wasi:filesystem@0.2.12` generates. In a world of your own, map
/// `wasi:filesystem` here with
/// `with: { "wasi:filesystem": wasi_filesystem::p2::bindings::wasi::filesystem }`.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "wasi:filesystem/imports",
        with: {
            "wasi:io": wasi_io::p2::bindings::wasi::io,
            "wasi:clocks": wasi_clocks::p2::bindings::wasi::clocks,
            "wasi:filesystem/types.descriptor": crate::Descriptor,
            "wasi:filesystem/types.directory-entry-stream": crate::DirectoryEntryStream,
        },
        imports: { default: trappable },
        require_store_data_send: true,
    });
}

/// A store's state that has `wasi:filesystem` in it.
pub trait WasiFilesystemView: Send {
    /// The parts that the bindings work on.
    fn filesystem(&mut self) -> WasiFilesystemCtxView<'_>;
}

impl<T: WasiFilesystemView + ?Sized> WasiFilesystemView for &mut T {
    fn filesystem(&mut self) -> WasiFilesystemCtxView<'_> {
        T::filesystem(self)
    }
}

/// The parts of a store's state that `wasi:filesystem` works on.
pub struct WasiFilesystemCtxView<'a> {
    /// The guest's resources.
    pub table: &'a mut ResourceTable,
}

/// Names [`WasiFilesystemCtxView`] for the generated bindings.
pub struct WasiFilesystem;

impl HasData for WasiFilesystem {
    type Data<'a> = WasiFilesystemCtxView<'a>;
}

/// Links `wasi:filesystem/types` and `wasi:filesystem/preopens`. They refer to `wasi:io` and
/// `wasi:clocks/wall-clock`, which the `add_to_linker` of their crates link.
///
/// # Errors
/// One of them is in the linker already.
pub fn add_to_linker<T: WasiFilesystemView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    types::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)?;
    preopens::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)?;
    Ok(())
}

/// A result as the guest gets it.
type Answer<T> = core::result::Result<T, types::ErrorCode>;

impl preopens::Host for WasiFilesystemCtxView<'_> {
    fn get_directories(&mut self) -> Result<Vec<(Resource<Descriptor>, String)>> {
        Ok(Vec::new())
    }
}

impl types::Host for WasiFilesystemCtxView<'_> {
    fn filesystem_error_code(
        &mut self,
        error: Resource<Error>,
    ) -> Result<Option<types::ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref().copied())
    }
}

impl types::HostDescriptor for WasiFilesystemCtxView<'_> {
    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        _offset: u64,
    ) -> Result<Answer<Resource<DynInputStream>>> {
        match *self.table.get(&fd)? {}
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        _offset: u64,
    ) -> Result<Answer<Resource<DynOutputStream>>> {
        match *self.table.get(&fd)? {}
    }

    fn append_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> Result<Answer<Resource<DynOutputStream>>> {
        match *self.table.get(&fd)? {}
    }

    fn advise(
        &mut self,
        fd: Resource<Descriptor>,
        _offset: u64,
        _length: u64,
        _advice: types::Advice,
    ) -> Result<Answer<()>> {
        match *self.table.get(&fd)? {}
    }

    fn sync_data(&mut self, fd: Resource<Descriptor>) -> Result<Answer<()>> {
        match *self.table.get(&fd)? {}
    }

    fn get_flags(&mut self, fd: Resource<Descriptor>) -> Result<Answer<types::DescriptorFlags>> {
        match *self.table.get(&fd)? {}
    }

    fn get_type(&mut self, fd: Resource<Descriptor>) -> Result<Answer<types::DescriptorType>> {
        match *self.table.get(&fd)? {}
    }

    fn set_size(&mut self, fd: Resource<Descriptor>, _size: u64) -> Result<Answer<()>> {
        match *self.table.get(&fd)? {}
    }

    fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        _access: types::NewTimestamp,
        _modification: types::NewTimestamp,
    ) -> Result<Answer<()>> {
        match *self.table.get(&fd)? {}
    }

    fn read(
        &mut self,
        fd: Resource<Descriptor>,
        _length: u64,
        _offset: u64,
    ) -> Result<Answer<(Vec<u8>, bool)>> {
        match *self.table.get(&fd)? {}
    }

    fn write(
        &mut self,
        fd: Resource<Descriptor>,
        _buffer: Vec<u8>,
        _offset: u64,
    ) -> Result<Answer<u64>> {
        match *self.table.get(&fd)? {}
    }

    fn read_directory(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> Result<Answer<Resource<DirectoryEntryStream>>> {
        match *self.table.get(&fd)? {}
    }

    fn sync(&mut self, fd: Resource<Descriptor>) -> Result<Answer<()>> {
        match *self.table.get(&fd)? {}
    }

    fn create_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        _path: String,
    ) -> Result<Answer<()>> {
        match *self.table.get(&fd)? {}
    }

    fn stat(&mut self, fd: Resource<Descriptor>) -> Result<Answer<types::DescriptorStat>> {
        match *self.table.get(&fd)? {}
    }

    fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        _flags: types::PathFlags,
        _path: String,
    ) -> Result<Answer<types::DescriptorStat>> {
        match *self.table.get(&fd)? {}
    }

    fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        _flags: types::PathFlags,
        _path: String,
        _access: types::NewTimestamp,
        _modification: types::NewTimestamp,
    ) -> Result<Answer<()>> {
        match *self.table.get(&fd)? {}
    }

    fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        _flags: types::PathFlags,
        _path: String,
        _new: Resource<Descriptor>,
        _new_path: String,
    ) -> Result<Answer<()>> {
        match *self.table.get(&fd)? {}
    }

    fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        _path_flags: types::PathFlags,
        _path: String,
        _open_flags: types::OpenFlags,
        _flags: types::DescriptorFlags,
    ) -> Result<Answer<Resource<Descriptor>>> {
        match *self.table.get(&fd)? {}
    }

    fn readlink_at(&mut self, fd: Resource<Descriptor>, _path: String) -> Result<Answer<String>> {
        match *self.table.get(&fd)? {}
    }

    fn remove_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        _path: String,
    ) -> Result<Answer<()>> {
        match *self.table.get(&fd)? {}
    }

    fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        _path: String,
        _new: Resource<Descriptor>,
        _new_path: String,
    ) -> Result<Answer<()>> {
        match *self.table.get(&fd)? {}
    }

    fn symlink_at(
        &mut self,
        fd: Resource<Descriptor>,
        _old_path: String,
        _new_path: String,
    ) -> Result<Answer<()>> {
        match *self.table.get(&fd)? {}
    }

    fn unlink_file_at(&mut self, fd: Resource<Descriptor>, _path: String) -> Result<Answer<()>> {
        match *self.table.get(&fd)? {}
    }

    fn is_same_object(
        &mut self,
        fd: Resource<Descriptor>,
        _other: Resource<Descriptor>,
    ) -> Result<bool> {
        match *self.table.get(&fd)? {}
    }

    fn metadata_hash(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> Result<Answer<types::MetadataHashValue>> {
        match *self.table.get(&fd)? {}
    }

    fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        _flags: types::PathFlags,
        _path: String,
    ) -> Result<Answer<types::MetadataHashValue>> {
        match *self.table.get(&fd)? {}
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> Result<()> {
        match self.table.delete(fd)? {}
    }
}

impl types::HostDirectoryEntryStream for WasiFilesystemCtxView<'_> {
    fn read_directory_entry(
        &mut self,
        entries: Resource<DirectoryEntryStream>,
    ) -> Result<Answer<Option<types::DirectoryEntry>>> {
        match *self.table.get(&entries)? {}
    }

    fn drop(&mut self, entries: Resource<DirectoryEntryStream>) -> Result<()> {
        match self.table.delete(entries)? {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt;
    use types::{Host, HostDescriptor, HostDirectoryEntryStream};

    #[test]
    fn no_directory_is_granted() {
        let mut table = ResourceTable::new();
        let mut view = WasiFilesystemCtxView { table: &mut table };
        assert!(
            preopens::Host::get_directories(&mut view)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_made_up_handle_is_a_trap_even_where_a_resource_has_its_number() {
        let mut table = ResourceTable::new();
        let error = table.push(Error::new(types::ErrorCode::Io)).unwrap();
        for rep in [error.rep(), 77, u32::MAX] {
            let mut view = WasiFilesystemCtxView { table: &mut table };
            let fd = || Resource::<Descriptor>::new_borrow(rep);
            assert!(HostDescriptor::stat(&mut view, fd()).is_err());
            assert!(view.read(fd(), u64::MAX, u64::MAX).is_err());
            assert!(view.is_same_object(fd(), fd()).is_err());
            let entries = Resource::<DirectoryEntryStream>::new_borrow(rep);
            assert!(view.read_directory_entry(entries).is_err());
        }
        let mut view = WasiFilesystemCtxView { table: &mut table };
        assert!(HostDescriptor::drop(&mut view, Resource::new_own(77)).is_err());
        assert!(HostDirectoryEntryStream::drop(&mut view, Resource::new_own(77)).is_err());
        assert!(table.get(&error).is_ok(), "and nothing else is touched");
    }

    #[derive(Debug)]
    struct Other;

    impl fmt::Display for Other {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("other")
        }
    }

    impl core::error::Error for Other {}

    #[test]
    fn a_stream_error_has_the_code_that_it_was_made_of_if_any() {
        for (error, code) in [
            (
                Error::new(types::ErrorCode::Quota),
                Some(types::ErrorCode::Quota),
            ),
            (Error::new(Other), None),
        ] {
            let mut table = ResourceTable::new();
            let error = table.push(error).unwrap();
            let mut view = WasiFilesystemCtxView { table: &mut table };
            assert_eq!(view.filesystem_error_code(error).unwrap(), code);
        }
    }
}
