use super::{ErrorCode, MessageType};
use alloc::string::String;
use bytes::Bytes;

/// A whole message (`agave:websocket/types.message`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// UTF-8.
    Text(String),
    /// Any bytes.
    Binary(Bytes),
}

impl Message {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn new(kind: MessageType, data: Bytes) -> Result<Self, ErrorCode> {
        Ok(match kind {
            MessageType::Binary => Self::Binary(data),
            MessageType::Text => {
                let text = String::from_utf8(data.into());
                Self::Text(text.map_err(|_| ErrorCode::InvalidUtf8)?)
            }
        })
    }

    pub(super) fn into_parts(self) -> (MessageType, Bytes) {
        match self {
            Self::Text(text) => (MessageType::Text, text.into()),
            Self::Binary(bytes) => (MessageType::Binary, bytes),
        }
    }
}
