#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod backend;
mod consumed;
mod ctx;
mod exchange;
mod fields;
mod guest_fields;
#[cfg(any(feature = "p2", feature = "p3"))]
mod host;
#[cfg(feature = "http1")]
pub mod http1;
mod incoming;
pub mod memory;
mod message;
mod options;
#[cfg(feature = "std")]
pub mod os;
mod outgoing;
mod uri;
#[cfg(feature = "websocket")]
pub mod websocket;

pub use backend::{Body, Client, Frame, Method, Request, RequestOptions, Response, Scheme};
pub use consumed::{BodyAbort, BodyContent, BodyEnd};
pub use ctx::{Denied, WasiHttpCtx};
pub use exchange::{FutureIncomingResponse, ResponseOutparam};
pub use fields::{FIELD_OVERHEAD, Fields};
pub use guest_fields::GuestFields;
#[cfg(feature = "p2")]
pub use host::p2;
#[cfg(feature = "p3")]
pub use host::p3;
pub use incoming::{AlreadyTaken, FutureTrailers, IncomingBody, Trailers};
pub use message::{
    IncomingRequest, IncomingResponse, Invalid, OutgoingRequest, OutgoingResponse, RequestHead,
};
pub use options::GuestRequestOptions;
pub use outgoing::{Delivery, MessageKind, OutgoingBody};
pub use wasi_error::http::{
    DnsErrorPayload, ErrorCode, FieldSizePayload, HeaderError, TlsAlertReceivedPayload,
};
pub use wasi_io::BoxFuture;
