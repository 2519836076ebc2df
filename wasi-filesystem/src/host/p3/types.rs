use super::bindings::wasi::filesystem::types;
use super::streams::{self, End};
use super::{WasiFilesystem, WasiFilesystemCtxView};
use crate::stream::DirectoryReader;
use crate::{Descriptor, NewTimestamp};
use alloc::string::String;
use wasi_io::Op;
use wasmtime::Result;
use wasmtime::component::{Access, Accessor, FutureReader, Resource, StreamReader};

/// A result as the guest gets it.
type Answer<T> = core::result::Result<T, types::ErrorCode>;

/// `operation` on the descriptor, begun. It owns what it needs: who waits for it does not hold
/// the store.
fn begin<T: 'static, U>(
    accessor: &Accessor<T, WasiFilesystem>,
    fd: &Resource<Descriptor>,
    operation: impl FnOnce(&Descriptor) -> U,
) -> Result<U> {
    accessor.with(|mut access| Ok(operation(access.get().table.get(fd)?)))
}

/// As [`begin`], on two descriptors.
fn begin_two<T: 'static, U>(
    accessor: &Accessor<T, WasiFilesystem>,
    fd: &Resource<Descriptor>,
    other: &Resource<Descriptor>,
    operation: impl FnOnce(&Descriptor, &Descriptor) -> U,
) -> Result<U> {
    accessor.with(|mut access| {
        let table = access.get().table;
        Ok(operation(table.get(fd)?, table.get(other)?))
    })
}

/// What `operation` on the descriptor gives, each side as the guest gets it.
async fn ask<T: 'static, U: Send + 'static, V: From<U>>(
    accessor: &Accessor<T, WasiFilesystem>,
    fd: &Resource<Descriptor>,
    operation: impl FnOnce(&Descriptor) -> Op<crate::Result<U>>,
) -> Result<Answer<V>> {
    let operation = begin(accessor, fd, operation)?;
    Ok(answer(operation.finish().await))
}

/// As [`ask`], of two descriptors.
async fn ask_two<T: 'static>(
    accessor: &Accessor<T, WasiFilesystem>,
    fd: &Resource<Descriptor>,
    other: &Resource<Descriptor>,
    operation: impl FnOnce(&Descriptor, &Descriptor) -> Op<crate::Result<()>>,
) -> Result<Answer<()>> {
    let operation = begin_two(accessor, fd, other, operation)?;
    Ok(answer(operation.finish().await))
}

fn answer<T, U: From<T>>(result: crate::Result<T>) -> Answer<U> {
    result.map(U::from).map_err(types::ErrorCode::from)
}

fn times(
    access: types::NewTimestamp,
    modification: types::NewTimestamp,
) -> crate::Result<(NewTimestamp, NewTimestamp)> {
    Ok((access.try_into()?, modification.try_into()?))
}

impl types::Host for WasiFilesystemCtxView<'_> {}

impl types::HostDescriptor for WasiFilesystemCtxView<'_> {
    fn drop(&mut self, fd: Resource<Descriptor>) -> Result<()> {
        self.table.delete(fd)?;
        Ok(())
    }
}

impl<T: 'static> types::HostDescriptorWithStore<T> for WasiFilesystem {
    fn read_via_stream(
        mut access: Access<'_, T, Self>,
        fd: Resource<Descriptor>,
        offset: u64,
    ) -> Result<(StreamReader<u8>, FutureReader<End>)> {
        let input = access.get().table.get(&fd)?.input(offset);
        streams::read(access, input)
    }

    fn write_via_stream(
        mut access: Access<'_, T, Self>,
        fd: Resource<Descriptor>,
        data: StreamReader<u8>,
        offset: u64,
    ) -> Result<FutureReader<End>> {
        let writer = access.get().table.get(&fd)?.writer(Some(offset));
        streams::write(access, data, writer)
    }

    fn append_via_stream(
        mut access: Access<'_, T, Self>,
        fd: Resource<Descriptor>,
        data: StreamReader<u8>,
    ) -> Result<FutureReader<End>> {
        let writer = access.get().table.get(&fd)?.writer(None);
        streams::write(access, data, writer)
    }

    async fn advise(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        offset: u64,
        length: u64,
        advice: types::Advice,
    ) -> Result<Answer<()>> {
        ask(accessor, &fd, |fd| fd.advise(offset, length, advice.into())).await
    }

    async fn sync_data(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
    ) -> Result<Answer<()>> {
        ask(accessor, &fd, Descriptor::sync_data).await
    }

    async fn get_flags(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
    ) -> Result<Answer<types::DescriptorFlags>> {
        ask(accessor, &fd, |fd| Op::Ready(Ok(fd.flags()))).await
    }

    async fn get_type(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
    ) -> Result<Answer<types::DescriptorType>> {
        ask(accessor, &fd, |fd| Op::Ready(Ok(fd.descriptor_type()))).await
    }

    async fn set_size(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        size: u64,
    ) -> Result<Answer<()>> {
        ask(accessor, &fd, |fd| fd.set_size(size)).await
    }

    async fn set_times(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        access: types::NewTimestamp,
        modification: types::NewTimestamp,
    ) -> Result<Answer<()>> {
        ask(accessor, &fd, |fd| match times(access, modification) {
            Ok((access, modification)) => fd.set_times(access, modification),
            Err(code) => Op::failed(code),
        })
        .await
    }

    fn read_directory(
        mut access: Access<'_, T, Self>,
        fd: Resource<Descriptor>,
    ) -> Result<(StreamReader<types::DirectoryEntry>, FutureReader<End>)> {
        let listing = access.get().table.get(&fd)?.read_directory();
        streams::read(access, DirectoryReader::new(listing))
    }

    async fn sync(accessor: &Accessor<T, Self>, fd: Resource<Descriptor>) -> Result<Answer<()>> {
        ask(accessor, &fd, Descriptor::sync).await
    }

    async fn create_directory_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        path: String,
    ) -> Result<Answer<()>> {
        ask(accessor, &fd, |fd| fd.create_directory_at(&path)).await
    }

    async fn stat(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
    ) -> Result<Answer<types::DescriptorStat>> {
        ask(accessor, &fd, Descriptor::stat).await
    }

    async fn stat_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> Result<Answer<types::DescriptorStat>> {
        ask(accessor, &fd, |fd| fd.stat_at(flags.into(), &path)).await
    }

    async fn set_times_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        access: types::NewTimestamp,
        modification: types::NewTimestamp,
    ) -> Result<Answer<()>> {
        ask(accessor, &fd, |fd| match times(access, modification) {
            Ok((access, modification)) => {
                fd.set_times_at(flags.into(), &path, access, modification)
            }
            Err(code) => Op::failed(code),
        })
        .await
    }

    async fn link_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        new: Resource<Descriptor>,
        new_path: String,
    ) -> Result<Answer<()>> {
        ask_two(accessor, &fd, &new, |old, new| {
            old.link_at(flags.into(), &path, new, &new_path)
        })
        .await
    }

    async fn open_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        path_flags: types::PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> Result<Answer<Resource<Descriptor>>> {
        let opened = begin(accessor, &fd, |fd| {
            fd.open_at(path_flags.into(), &path, open_flags.into(), flags.into())
        })?;
        match opened.finish().await {
            Ok(opened) => accessor.with(|mut access| Ok(Ok(access.get().table.push(opened)?))),
            Err(code) => Ok(Err(code.into())),
        }
    }

    async fn readlink_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        path: String,
    ) -> Result<Answer<String>> {
        ask(accessor, &fd, |fd| fd.readlink_at(&path)).await
    }

    async fn remove_directory_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        path: String,
    ) -> Result<Answer<()>> {
        ask(accessor, &fd, |fd| fd.remove_directory_at(&path)).await
    }

    async fn rename_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        path: String,
        new: Resource<Descriptor>,
        new_path: String,
    ) -> Result<Answer<()>> {
        ask_two(accessor, &fd, &new, |old, new| {
            old.rename_at(&path, new, &new_path)
        })
        .await
    }

    async fn symlink_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        old_path: String,
        new_path: String,
    ) -> Result<Answer<()>> {
        ask(accessor, &fd, |fd| fd.symlink_at(&old_path, &new_path)).await
    }

    async fn unlink_file_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        path: String,
    ) -> Result<Answer<()>> {
        ask(accessor, &fd, |fd| fd.unlink_file_at(&path)).await
    }

    async fn is_same_object(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> Result<bool> {
        let same = begin_two(accessor, &fd, &other, Descriptor::is_same_object)?;
        // There is no code for it: of what can't be asked, nothing is known to be the same.
        Ok(same.finish().await.unwrap_or(false))
    }

    async fn metadata_hash(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
    ) -> Result<Answer<types::MetadataHashValue>> {
        ask(accessor, &fd, Descriptor::metadata_hash).await
    }

    async fn metadata_hash_at(
        accessor: &Accessor<T, Self>,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> Result<Answer<types::MetadataHashValue>> {
        ask(accessor, &fd, |fd| fd.metadata_hash_at(flags.into(), &path)).await
    }
}
