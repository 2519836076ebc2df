//! What trying an API comes to.

use crate::bindings::agave::websocket::types::ErrorCode as WebSocketCode;
use crate::bindings::wasi::filesystem::types::ErrorCode as FileCode;
use crate::bindings::wasi::http::types::ErrorCode as HttpCode;
use crate::bindings::wasi::io::streams::StreamError;
use crate::bindings::wasi::sockets::network::ErrorCode as SocketCode;

/// Why an API did not do what it is for.
#[derive(Debug)]
pub enum Not {
    /// Nobody granted it.
    Denied(String),
    /// The host does not have it.
    Absent(String),
    /// What came was wrong.
    Failed(String),
}

/// What a row found out: a note for those who read the table.
pub type Outcome = Result<String, Not>;

pub fn failed<T>(reason: impl Into<String>) -> Result<T, Not> {
    Err(Not::Failed(reason.into()))
}

/// Fails with what `reason` gives, unless it holds.
pub fn ensure(holds: bool, reason: impl FnOnce() -> String) -> Result<(), Not> {
    match holds {
        true => Ok(()),
        false => failed(reason()),
    }
}

/// What a code says of the host.
pub enum Says {
    Denied,
    Unsupported,
    Failure,
}

/// An error of WASI's.
pub trait Code {
    fn says(&self) -> Says;
    fn text(&self) -> String;
}

/// Results of WASI's functions.
pub trait Tried<T> {
    /// The answer of a call that asks for a grant: it may be denied.
    fn granted(self, call: &str) -> Result<T, Not>;

    /// The answer of a call that comes after what was granted.
    fn or_failed(self, call: &str) -> Result<T, Not>;
}

impl<T, E: Code> Tried<T> for Result<T, E> {
    fn granted(self, call: &str) -> Result<T, Not> {
        self.map_err(|code| match code.says() {
            Says::Denied => Not::Denied(told(call, &code)),
            _ => after(call, &code),
        })
    }

    fn or_failed(self, call: &str) -> Result<T, Not> {
        self.map_err(|code| after(call, &code))
    }
}

fn after(call: &str, code: &dyn Code) -> Not {
    match code.says() {
        Says::Unsupported => Not::Absent(told(call, code)),
        Says::Denied | Says::Failure => Not::Failed(told(call, code)),
    }
}

fn told(call: &str, code: &dyn Code) -> String {
    format!("{call}: {}", code.text())
}

impl Code for FileCode {
    fn says(&self) -> Says {
        match self {
            Self::Access | Self::NotPermitted | Self::ReadOnly => Says::Denied,
            Self::Unsupported => Says::Unsupported,
            _ => Says::Failure,
        }
    }

    fn text(&self) -> String {
        self.name().into()
    }
}

impl Code for SocketCode {
    fn says(&self) -> Says {
        match self {
            Self::AccessDenied => Says::Denied,
            Self::NotSupported => Says::Unsupported,
            _ => Says::Failure,
        }
    }

    fn text(&self) -> String {
        self.name().into()
    }
}

impl Code for HttpCode {
    fn says(&self) -> Says {
        match self {
            Self::HttpRequestDenied => Says::Denied,
            _ => Says::Failure,
        }
    }

    fn text(&self) -> String {
        format!("{self:?}")
    }
}

impl Code for WebSocketCode {
    fn says(&self) -> Says {
        match self {
            Self::AccessDenied => Says::Denied,
            _ => Says::Failure,
        }
    }

    fn text(&self) -> String {
        format!("{self:?}")
    }
}

impl Code for StreamError {
    fn says(&self) -> Says {
        Says::Failure
    }

    fn text(&self) -> String {
        match self {
            Self::Closed => "the stream is closed".into(),
            Self::LastOperationFailed(error) => error.to_debug_string(),
        }
    }
}
