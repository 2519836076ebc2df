/// The guest asked to end (`wasi:cli/exit`): the error with which its call ends, since it must
/// not run on.
///
/// A host looks for it in the error of the call, with wasmtime's `Error::downcast_ref`, and
/// tells it from a trap by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the guest exited with code {code}")]
pub struct Exit {
    /// What the process would exit with; 0 is success.
    pub code: u8,
}

impl Exit {
    /// `exit-with-code`.
    pub const fn new(code: u8) -> Self {
        Self { code }
    }

    /// `exit`: 0 for `ok`, 1 for `error`; the same holds for the result of `run`.
    pub const fn from_status(status: Result<(), ()>) -> Self {
        Self::new(status.is_err() as u8)
    }

    /// Whether the code says so.
    pub const fn is_success(self) -> bool {
        self.code == 0
    }
}
