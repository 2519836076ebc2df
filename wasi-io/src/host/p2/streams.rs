use super::bindings::wasi::io::{error, streams};
use super::{DynPollable, WasiIoCtxView, subscribe};
use crate::{BLOCKING_WRITE_MAX, DynInputStream, DynOutputStream, Pollable, Trap};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::future::poll_fn;
use core::mem;
use wasi_error::{Error, StreamError};
use wasmtime::Result;
use wasmtime::component::{Resource, ResourceTable};

/// A result as the guest gets it.
type Answer<T> = core::result::Result<T, streams::StreamError>;

/// Puts the cause of a failure into the table.
fn answer<T>(
    table: &mut ResourceTable,
    result: core::result::Result<T, StreamError>,
) -> Result<Answer<T>> {
    Ok(match result {
        Ok(value) => Ok(value),
        Err(StreamError::Closed) => Err(streams::StreamError::Closed),
        Err(StreamError::LastOperationFailed(cause)) => Err(
            streams::StreamError::LastOperationFailed(table.push(cause)?),
        ),
    })
}

impl error::Host for WasiIoCtxView<'_> {}

impl error::HostError for WasiIoCtxView<'_> {
    fn to_debug_string(&mut self, error: Resource<Error>) -> Result<String> {
        Ok(self.table.get(&error)?.to_string())
    }

    fn drop(&mut self, error: Resource<Error>) -> Result<()> {
        self.table.delete(error)?;
        Ok(())
    }
}

impl streams::Host for WasiIoCtxView<'_> {}

impl streams::HostInputStream for WasiIoCtxView<'_> {
    fn read(&mut self, stream: Resource<DynInputStream>, len: u64) -> Result<Answer<Vec<u8>>> {
        let read = self.table.get_mut(&stream)?.read(self.ctx.clamp(len));
        answer(self.table, read.map(Vec::from))
    }

    async fn blocking_read(
        &mut self,
        stream: Resource<DynInputStream>,
        len: u64,
    ) -> Result<Answer<Vec<u8>>> {
        let (input, max) = (self.table.get_mut(&stream)?, self.ctx.clamp(len));
        let read = poll_fn(|cx| input.poll_read(cx, max)).await;
        answer(self.table, read.map(Vec::from))
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, len: u64) -> Result<Answer<u64>> {
        let skipped = self.table.get_mut(&stream)?.skip(self.ctx.clamp(len));
        answer(self.table, skipped.map(|n| n as u64))
    }

    async fn blocking_skip(
        &mut self,
        stream: Resource<DynInputStream>,
        len: u64,
    ) -> Result<Answer<u64>> {
        let (input, max) = (self.table.get_mut(&stream)?, self.ctx.clamp(len));
        let skipped = poll_fn(|cx| input.poll_skip(cx, max)).await;
        answer(self.table, skipped.map(|n| n as u64))
    }

    fn subscribe(&mut self, stream: Resource<DynInputStream>) -> Result<Resource<DynPollable>> {
        subscribe(self.table, &stream)
    }

    fn drop(&mut self, stream: Resource<DynInputStream>) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

impl WasiIoCtxView<'_> {
    /// Writes all of `bytes`, then flushes, and waits for both.
    async fn write_and_flush(
        &mut self,
        stream: &Resource<DynOutputStream>,
        mut bytes: &[u8],
    ) -> Result<Answer<()>> {
        let output = self.table.get_mut(stream)?;
        let mut result = poll_fn(|cx| output.poll_write_all(cx, &mut bytes)).await;
        if result.is_ok() {
            result = flush(output).await;
            // Everything was delivered, and that closed the stream: the next call says so.
            if let Err(StreamError::Closed) = result {
                result = Ok(());
            }
        }
        answer(self.table, result)
    }
}

async fn flush(output: &mut DynOutputStream) -> core::result::Result<(), StreamError> {
    output.flush()?;
    poll_fn(|cx| output.poll_flushed(cx)).await
}

impl streams::HostOutputStream for WasiIoCtxView<'_> {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> Result<Answer<u64>> {
        let permit = self.table.get_mut(&stream)?.check_write();
        answer(self.table, permit.map(|n| n as u64))
    }

    fn write(
        &mut self,
        stream: Resource<DynOutputStream>,
        contents: Vec<u8>,
    ) -> Result<Answer<()>> {
        let written = self.table.get_mut(&stream)?.write_bytes(contents.into())?;
        answer(self.table, written)
    }

    async fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        contents: Vec<u8>,
    ) -> Result<Answer<()>> {
        if contents.len() > BLOCKING_WRITE_MAX {
            return Err(Trap("blocking-write-and-flush takes up to 4096 bytes").into());
        }
        self.write_and_flush(&stream, &contents).await
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> Result<Answer<()>> {
        let flushed = self.table.get_mut(&stream)?.flush();
        answer(self.table, flushed)
    }

    async fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> Result<Answer<()>> {
        let flushed = flush(self.table.get_mut(&stream)?).await;
        answer(self.table, flushed)
    }

    fn subscribe(&mut self, stream: Resource<DynOutputStream>) -> Result<Resource<DynPollable>> {
        subscribe(self.table, &stream)
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, len: u64) -> Result<Answer<()>> {
        let written = self.table.get_mut(&stream)?.write_zeroes(len)?;
        answer(self.table, written)
    }

    async fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        len: u64,
    ) -> Result<Answer<()>> {
        match usize::try_from(len) {
            Ok(len) if len <= BLOCKING_WRITE_MAX => {
                self.write_and_flush(&stream, &[0; BLOCKING_WRITE_MAX][..len])
                    .await
            }
            _ => Err(Trap("blocking-write-zeroes-and-flush takes up to 4096 bytes").into()),
        }
    }

    fn splice(
        &mut self,
        stream: Resource<DynOutputStream>,
        source: Resource<DynInputStream>,
        len: u64,
    ) -> Result<Answer<u64>> {
        let max = self.ctx.clamp(len);
        // The table lends one resource at a time: the source steps out of it for the call.
        let mut input = mem::replace(self.table.get_mut(&source)?, DynInputStream::closed());
        let output = self.table.get_mut(&stream);
        let moved = output.map(|output| output.splice(&mut input, max));
        *self.table.get_mut(&source)? = input;
        answer(self.table, moved?.map(|n| n as u64))
    }

    async fn blocking_splice(
        &mut self,
        stream: Resource<DynOutputStream>,
        source: Resource<DynInputStream>,
        len: u64,
    ) -> Result<Answer<u64>> {
        loop {
            let output = self.table.get_mut(&stream)?;
            poll_fn(|cx| output.poll_ready(cx)).await;
            let input = self.table.get_mut(&source)?;
            poll_fn(|cx| input.poll_ready(cx)).await;
            let borrowed = (
                Resource::new_borrow(stream.rep()),
                Resource::new_borrow(source.rep()),
            );
            match self.splice(borrowed.0, borrowed.1, len)? {
                // What was ready was so no more: wait again.
                Ok(0) if len > 0 => {}
                moved => return Ok(moved),
            }
        }
    }

    fn drop(&mut self, stream: Resource<DynOutputStream>) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
