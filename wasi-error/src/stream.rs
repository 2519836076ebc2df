use alloc::boxed::Box;
use core::fmt;

/// The cause of a failed stream operation (`wasi:io/error.error`): any error, kept whole so
/// that an interface can find its own code in it again with [`Error::downcast_ref`].
pub struct Error(Box<dyn core::error::Error + Send + Sync + 'static>);

impl Error {
    /// Wraps `cause`.
    pub fn new(cause: impl core::error::Error + Send + Sync + 'static) -> Self {
        Self(Box::new(cause))
    }

    /// The cause, where it is an `E`.
    pub fn downcast_ref<E: core::error::Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.0.source()
    }
}

/// How a stream operation fails (`wasi:io/streams.stream-error`).
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The operation failed; the stream is closed from then on.
    #[error("the last stream operation failed: {0}")]
    LastOperationFailed(#[source] Error),
    /// The stream is closed: no more bytes come out of it or go into it.
    #[error("the stream is closed")]
    Closed,
}

impl StreamError {
    /// [`StreamError::LastOperationFailed`] with `cause`.
    pub fn failed(cause: impl core::error::Error + Send + Sync + 'static) -> Self {
        Self::LastOperationFailed(Error::new(cause))
    }
}

#[cfg(feature = "std")]
impl From<std::io::Error> for StreamError {
    /// A broken pipe is [`StreamError::Closed`], anything else a failure.
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::failed(error),
        }
    }
}
