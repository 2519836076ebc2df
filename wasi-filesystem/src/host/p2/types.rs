use super::WasiFilesystemCtxView;
use super::bindings::wasi::filesystem::types;
use crate::{Descriptor, DirectoryEntryStream, filesystem_error_code};
use alloc::string::String;
use alloc::vec::Vec;
use core::future::poll_fn;
use wasi_io::{DynInputStream, DynOutputStream, Error};
use wasmtime::Result;
use wasmtime::component::Resource;

/// A result as the guest gets it.
type Answer<T> = core::result::Result<T, types::ErrorCode>;

/// `result`, each side as the guest gets it.
fn answer<T, U: From<T>>(result: crate::Result<T>) -> Result<Answer<U>> {
    Ok(result.map(U::from).map_err(types::ErrorCode::from))
}

impl types::Host for WasiFilesystemCtxView<'_> {
    fn filesystem_error_code(
        &mut self,
        error: Resource<Error>,
    ) -> Result<Option<types::ErrorCode>> {
        let code = filesystem_error_code(self.table.get(&error)?);
        Ok(code.map(types::ErrorCode::from))
    }
}

impl types::HostDescriptor for WasiFilesystemCtxView<'_> {
    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> Result<Answer<Resource<DynInputStream>>> {
        match self.table.get(&fd)?.read_via_stream(offset) {
            Ok(stream) => Ok(Ok(self.table.push(DynInputStream::new(stream))?)),
            Err(code) => Ok(Err(code.into())),
        }
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> Result<Answer<Resource<DynOutputStream>>> {
        match self.table.get(&fd)?.write_via_stream(offset) {
            Ok(stream) => Ok(Ok(self.table.push(DynOutputStream::new(stream))?)),
            Err(code) => Ok(Err(code.into())),
        }
    }

    fn append_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> Result<Answer<Resource<DynOutputStream>>> {
        match self.table.get(&fd)?.append_via_stream() {
            Ok(stream) => Ok(Ok(self.table.push(DynOutputStream::new(stream))?)),
            Err(code) => Ok(Err(code.into())),
        }
    }

    async fn advise(
        &mut self,
        fd: Resource<Descriptor>,
        offset: u64,
        length: u64,
        advice: types::Advice,
    ) -> Result<Answer<()>> {
        let advised = self.table.get(&fd)?.advise(offset, length, advice.into());
        answer(advised.finish().await)
    }

    async fn sync_data(&mut self, fd: Resource<Descriptor>) -> Result<Answer<()>> {
        let synced = self.table.get(&fd)?.sync_data();
        answer(synced.finish().await)
    }

    fn get_flags(&mut self, fd: Resource<Descriptor>) -> Result<Answer<types::DescriptorFlags>> {
        Ok(Ok(self.table.get(&fd)?.flags().into()))
    }

    fn get_type(&mut self, fd: Resource<Descriptor>) -> Result<Answer<types::DescriptorType>> {
        Ok(Ok(self.table.get(&fd)?.descriptor_type().into()))
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, size: u64) -> Result<Answer<()>> {
        let set = self.table.get(&fd)?.set_size(size);
        answer(set.finish().await)
    }

    async fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        access: types::NewTimestamp,
        modification: types::NewTimestamp,
    ) -> Result<Answer<()>> {
        let descriptor = self.table.get(&fd)?;
        let set = match (access.try_into(), modification.try_into()) {
            (Ok(access), Ok(modification)) => descriptor.set_times(access, modification),
            (Err(code), _) | (_, Err(code)) => return answer(Err(code)),
        };
        answer(set.finish().await)
    }

    async fn read(
        &mut self,
        fd: Resource<Descriptor>,
        length: u64,
        offset: u64,
    ) -> Result<Answer<(Vec<u8>, bool)>> {
        let read = self.table.get(&fd)?.read(length, offset);
        answer(read.finish().await)
    }

    async fn write(
        &mut self,
        fd: Resource<Descriptor>,
        buffer: Vec<u8>,
        offset: u64,
    ) -> Result<Answer<u64>> {
        let written = self.table.get(&fd)?.write(&buffer, offset);
        answer(written.finish().await.map(|n| n as u64))
    }

    async fn read_directory(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> Result<Answer<Resource<DirectoryEntryStream>>> {
        let listed = self.table.get(&fd)?.read_directory();
        match listed.finish().await {
            Ok(entries) => Ok(Ok(self.table.push(entries)?)),
            Err(code) => Ok(Err(code.into())),
        }
    }

    async fn sync(&mut self, fd: Resource<Descriptor>) -> Result<Answer<()>> {
        let synced = self.table.get(&fd)?.sync();
        answer(synced.finish().await)
    }

    async fn create_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> Result<Answer<()>> {
        let created = self.table.get(&fd)?.create_directory_at(&path);
        answer(created.finish().await)
    }

    async fn stat(&mut self, fd: Resource<Descriptor>) -> Result<Answer<types::DescriptorStat>> {
        let stat = self.table.get(&fd)?.stat();
        answer(stat.finish().await)
    }

    async fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> Result<Answer<types::DescriptorStat>> {
        let stat = self.table.get(&fd)?.stat_at(flags.into(), &path);
        answer(stat.finish().await)
    }

    async fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        access: types::NewTimestamp,
        modification: types::NewTimestamp,
    ) -> Result<Answer<()>> {
        let descriptor = self.table.get(&fd)?;
        let set = match (access.try_into(), modification.try_into()) {
            (Ok(access), Ok(modification)) => {
                descriptor.set_times_at(flags.into(), &path, access, modification)
            }
            (Err(code), _) | (_, Err(code)) => return answer(Err(code)),
        };
        answer(set.finish().await)
    }

    async fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        new: Resource<Descriptor>,
        new_path: String,
    ) -> Result<Answer<()>> {
        let (old, new) = (self.table.get(&fd)?, self.table.get(&new)?);
        let linked = old.link_at(flags.into(), &path, new, &new_path);
        answer(linked.finish().await)
    }

    async fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: types::PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> Result<Answer<Resource<Descriptor>>> {
        let descriptor = self.table.get(&fd)?;
        let opened = descriptor.open_at(path_flags.into(), &path, open_flags.into(), flags.into());
        match opened.finish().await {
            Ok(opened) => Ok(Ok(self.table.push(opened)?)),
            Err(code) => Ok(Err(code.into())),
        }
    }

    async fn readlink_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> Result<Answer<String>> {
        let target = self.table.get(&fd)?.readlink_at(&path);
        answer(target.finish().await)
    }

    async fn remove_directory_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> Result<Answer<()>> {
        let removed = self.table.get(&fd)?.remove_directory_at(&path);
        answer(removed.finish().await)
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
        new: Resource<Descriptor>,
        new_path: String,
    ) -> Result<Answer<()>> {
        let (old, new) = (self.table.get(&fd)?, self.table.get(&new)?);
        let renamed = old.rename_at(&path, new, &new_path);
        answer(renamed.finish().await)
    }

    async fn symlink_at(
        &mut self,
        fd: Resource<Descriptor>,
        old_path: String,
        new_path: String,
    ) -> Result<Answer<()>> {
        let linked = self.table.get(&fd)?.symlink_at(&old_path, &new_path);
        answer(linked.finish().await)
    }

    async fn unlink_file_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
    ) -> Result<Answer<()>> {
        let unlinked = self.table.get(&fd)?.unlink_file_at(&path);
        answer(unlinked.finish().await)
    }

    async fn is_same_object(
        &mut self,
        fd: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> Result<bool> {
        let same = self.table.get(&fd)?.is_same_object(self.table.get(&other)?);
        // There is no code for it: of what can't be asked, nothing is known to be the same.
        Ok(same.finish().await.unwrap_or(false))
    }

    async fn metadata_hash(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> Result<Answer<types::MetadataHashValue>> {
        let hash = self.table.get(&fd)?.metadata_hash();
        answer(hash.finish().await)
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> Result<Answer<types::MetadataHashValue>> {
        let hash = self.table.get(&fd)?.metadata_hash_at(flags.into(), &path);
        answer(hash.finish().await)
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> Result<()> {
        self.table.delete(fd)?;
        Ok(())
    }
}

impl types::HostDirectoryEntryStream for WasiFilesystemCtxView<'_> {
    async fn read_directory_entry(
        &mut self,
        entries: Resource<DirectoryEntryStream>,
    ) -> Result<Answer<Option<types::DirectoryEntry>>> {
        let entries = self.table.get_mut(&entries)?;
        let entry = poll_fn(|cx| entries.poll_next(cx)).await;
        answer(entry.map(|entry| entry.map(types::DirectoryEntry::from)))
    }

    fn drop(&mut self, entries: Resource<DirectoryEntryStream>) -> Result<()> {
        self.table.delete(entries)?;
        Ok(())
    }
}
