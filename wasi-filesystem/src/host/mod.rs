//! Bindings for wasmtime.

/// From one type to another that has the same cases, but for those after the `;`.
macro_rules! cases {
    ($from:path => $to:path { $($case:ident)* $(; $($other:ident => $value:expr)*)? }) => {
        impl From<$from> for $to {
            fn from(from: $from) -> Self {
                match from {
                    $(<$from>::$case => Self::$case,)*
                    $($(<$from>::$other => $value,)*)?
                }
            }
        }
    };
}

/// From one type of flags to another that has the same.
macro_rules! flags {
    ($from:ty => $to:ty { $($flag:ident)* }) => {
        impl From<$from> for $to {
            fn from(from: $from) -> Self {
                let mut flags = Self::empty();
                $(if from.contains(<$from>::$flag) {
                    flags |= Self::$flag;
                })*
                flags
            }
        }
    };
}

#[cfg(feature = "p2")]
pub mod p2;
#[cfg(feature = "p3")]
pub mod p3;

use crate::{Descriptor, WasiFilesystemCtx};
use alloc::string::String;
use alloc::vec::Vec;
use wasmtime::Result;
use wasmtime::component::{HasData, Resource, ResourceTable};

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
    /// The guest's directories and limits.
    pub ctx: &'a mut WasiFilesystemCtx,
    /// The guest's resources.
    pub table: &'a mut ResourceTable,
}

impl WasiFilesystemCtxView<'_> {
    /// `get-directories`, with the descriptors in the table.
    fn push_directories(&mut self) -> Result<Vec<(Resource<Descriptor>, String)>> {
        let directories = self.ctx.get_directories().into_iter();
        directories
            .map(|(descriptor, path)| Ok((self.table.push(descriptor)?, path)))
            .collect()
    }
}

/// Names [`WasiFilesystemCtxView`] for the generated bindings.
pub struct WasiFilesystem;

impl HasData for WasiFilesystem {
    type Data<'a> = WasiFilesystemCtxView<'a>;
}
