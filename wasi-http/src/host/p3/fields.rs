use super::WasiHttpCtxView;
use super::bindings::wasi::http::types::{HeaderError, HostFields};
use crate::GuestFields;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use wasmtime::Result;
use wasmtime::component::Resource;

/// A result as the guest gets it.
type Answer<T> = core::result::Result<T, HeaderError>;

impl HostFields for WasiHttpCtxView<'_> {
    fn new(&mut self) -> Result<Resource<GuestFields>> {
        Ok(self.table.push(GuestFields::new(self.ctx.max_fields()))?)
    }

    fn from_list(
        &mut self,
        entries: Vec<(String, Vec<u8>)>,
    ) -> Result<Answer<Resource<GuestFields>>> {
        Ok(
            match GuestFields::from_list(self.ctx.max_fields(), entries) {
                Ok(fields) => Ok(self.table.push(fields)?),
                Err(error) => Err(error.into()),
            },
        )
    }

    fn get(&mut self, fields: Resource<GuestFields>, name: String) -> Result<Vec<Vec<u8>>> {
        let fields = self.table.get(&fields)?.fields();
        Ok(fields.get_all(&name).map(|value| value.to_vec()).collect())
    }

    fn has(&mut self, fields: Resource<GuestFields>, name: String) -> Result<bool> {
        Ok(self.table.get(&fields)?.fields().contains(&name))
    }

    fn set(
        &mut self,
        fields: Resource<GuestFields>,
        name: String,
        values: Vec<Vec<u8>>,
    ) -> Result<Answer<()>> {
        let fields = self.table.get_mut(&fields)?;
        Ok(fields.set(name, values).map_err(Into::into))
    }

    fn delete(&mut self, fields: Resource<GuestFields>, name: String) -> Result<Answer<()>> {
        let fields = self.table.get_mut(&fields)?;
        Ok(fields.delete(&name).map_err(Into::into))
    }

    fn get_and_delete(
        &mut self,
        fields: Resource<GuestFields>,
        name: String,
    ) -> Result<Answer<Vec<Vec<u8>>>> {
        let fields = self.table.get_mut(&fields)?;
        Ok(match fields.take(&name) {
            Ok(values) => Ok(values.iter().map(|value| value.to_vec()).collect()),
            Err(error) => Err(error.into()),
        })
    }

    fn append(
        &mut self,
        fields: Resource<GuestFields>,
        name: String,
        value: Vec<u8>,
    ) -> Result<Answer<()>> {
        let fields = self.table.get_mut(&fields)?;
        Ok(fields.append_alike(name, value).map_err(Into::into))
    }

    fn copy_all(&mut self, fields: Resource<GuestFields>) -> Result<Vec<(String, Vec<u8>)>> {
        let fields = self.table.get(&fields)?.fields();
        Ok(fields
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_vec()))
            .collect())
    }

    fn clone(&mut self, fields: Resource<GuestFields>) -> Result<Resource<GuestFields>> {
        let copy = self.table.get(&fields)?.to_mutable(self.ctx.max_fields());
        Ok(self.table.push(copy)?)
    }

    fn drop(&mut self, fields: Resource<GuestFields>) -> Result<()> {
        self.table.delete(fields)?;
        Ok(())
    }
}
