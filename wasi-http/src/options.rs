//! Request options as a guest makes and changes them.

use crate::RequestOptions;

/// A `request-options` resource of 0.3: options, and whether the guest may change them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuestRequestOptions {
    options: RequestOptions,
    immutable: bool,
}

impl GuestRequestOptions {
    /// Options of a request, to look at.
    pub fn immutable(options: RequestOptions) -> Self {
        Self {
            options,
            immutable: true,
        }
    }

    /// `clone`: options like these that can be changed.
    pub fn to_mutable(self) -> Self {
        Self {
            immutable: false,
            ..self
        }
    }

    /// The options.
    pub fn options(self) -> RequestOptions {
        self.options
    }

    /// The options, to be changed; `None` where they are a request's.
    pub fn options_mut(&mut self) -> Option<&mut RequestOptions> {
        (!self.immutable).then_some(&mut self.options)
    }
}
