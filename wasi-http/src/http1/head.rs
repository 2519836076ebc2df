//! The heads of messages as they come in (RFC 9112, sections 2 to 6).

use super::conn::Reader;
use super::decode::Framing;
use crate::{ErrorCode, Fields, Method, uri};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::mem::MaybeUninit;

/// The most fields that a head may have.
const FIELDS_MAX: usize = 128;

/// The head of a request.
pub(super) struct RequestHead {
    pub(super) method: Method,
    /// As it came (RFC 9112, section 3.2).
    pub(super) target: String,
    /// HTTP/1.1, and not 1.0.
    pub(super) http_11: bool,
    pub(super) headers: Fields,
}

/// The head of a response.
pub(super) struct ResponseHead {
    pub(super) status: u16,
    pub(super) http_11: bool,
    pub(super) headers: Fields,
}

/// Why a head can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    /// It has more bytes or fields than it may.
    TooLarge,
    /// It is not that of a message.
    Invalid,
    /// It is of another version of HTTP.
    Version,
}

impl From<httparse::Error> for HeadError {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooLarge,
            httparse::Error::Version => Self::Version,
            _ => Self::Invalid,
        }
    }
}

/// How far the search for the end of a head came: no byte is looked at over and over, in
/// however small pieces it comes.
#[derive(Debug)]
pub(super) struct Scan {
    /// No end begins before this.
    from: usize,
    /// Empty lines that were passed over before a request, in bytes.
    skipped: usize,
    /// What is no head is found out before its end, at each length that doubles the last.
    next_try: usize,
}

impl Scan {
    pub(super) fn new() -> Self {
        Self {
            from: 0,
            skipped: 0,
            next_try: 1,
        }
    }

    /// The length of what is in `buf` up to its first empty line.
    fn end(&mut self, buf: &[u8]) -> Option<usize> {
        for at in self.from..buf.len() {
            if buf[at] != b'\n' {
                continue;
            }
            match buf[at + 1..] {
                [b'\n', ..] => return Some(at + 2),
                [b'\r', b'\n', ..] => return Some(at + 3),
                _ => {}
            }
        }
        self.from = buf.len().saturating_sub(2);
        None
    }

    /// Whether the time has come for an early look at `len` bytes.
    fn tries(&mut self, len: usize) -> bool {
        let tries = len >= self.next_try;
        if tries {
            self.next_try = len.saturating_mul(2);
        }
        tries
    }
}

type Parsed<T> = Result<httparse::Status<T>, httparse::Error>;

/// Takes a head of at most `max` bytes from the buffer of `reader`; `None` while it is not all
/// there. `parse` is given all of it, or what is there.
fn take<T>(
    reader: &mut Reader,
    scan: &mut Scan,
    max: usize,
    parse: impl Fn(&Bytes) -> Result<Parsed<T>, HeadError>,
) -> Result<Option<T>, HeadError> {
    let max = max.saturating_sub(scan.skipped);
    let there = reader.buf().len();
    let Some(end) = scan.end(reader.buf()) else {
        if there > max {
            return Err(HeadError::TooLarge);
        }
        if scan.tries(there) {
            parse(&Bytes::copy_from_slice(reader.buf()))??;
        }
        return Ok(None);
    };
    if end > max {
        return Err(HeadError::TooLarge);
    }
    // Its own memory, which the values share: that of the read may be far larger.
    let head = Bytes::copy_from_slice(&reader.buf()[..end]);
    reader.consume(end);
    match parse(&head)?? {
        httparse::Status::Complete(head) => Ok(Some(head)),
        httparse::Status::Partial => Err(HeadError::Invalid),
    }
}

/// Takes the head of a request, at most `max` bytes; `None` while it is not all there.
pub(super) fn take_request(
    reader: &mut Reader,
    scan: &mut Scan,
    max: usize,
) -> Result<Option<RequestHead>, HeadError> {
    // RFC 9112, section 2.2.
    let empty = (reader.buf().iter()).take_while(|byte| matches!(byte, b'\r' | b'\n'));
    let empty = empty.count();
    reader.consume(empty);
    scan.skipped = scan.skipped.saturating_add(empty);
    if scan.skipped > max {
        return Err(HeadError::TooLarge);
    }
    if reader.buf().is_empty() {
        return Ok(None);
    }
    take(reader, scan, max, |head| {
        let mut room = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(head, &mut room);
        Ok(match parsed {
            Ok(httparse::Status::Complete(_)) => {
                let (Some(method), Some(target)) = (request.method, request.path) else {
                    return Err(HeadError::Invalid);
                };
                Ok(httparse::Status::Complete(RequestHead {
                    method: Method::from(method.to_owned()),
                    target: target.to_owned(),
                    http_11: request.version == Some(1),
                    headers: fields(head, request.headers),
                }))
            }
            Ok(httparse::Status::Partial) => Ok(httparse::Status::Partial),
            Err(error) => Err(error),
        })
    })
}

/// Takes the head of a response, at most `max` bytes; `None` while it is not all there.
pub(super) fn take_response(
    reader: &mut Reader,
    scan: &mut Scan,
    max: usize,
) -> Result<Option<ResponseHead>, HeadError> {
    let mut config = httparse::ParserConfig::default();
    // RFC 9112, section 5.2: a client takes them, a server does not.
    config.allow_obsolete_multiline_headers_in_responses(true);
    take(reader, scan, max, |head| {
        let mut room = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut []);
        let parsed = config.parse_response_with_uninit_headers(&mut response, head, &mut room);
        Ok(match parsed {
            Ok(httparse::Status::Complete(_)) => Ok(httparse::Status::Complete(ResponseHead {
                status: response
                    .code
                    .filter(|code| *code >= 100)
                    .ok_or(HeadError::Invalid)?,
                http_11: response.version == Some(1),
                headers: fields(head, response.headers),
            })),
            Ok(httparse::Status::Partial) => Ok(httparse::Status::Partial),
            Err(error) => Err(error),
        })
    })
}

/// Takes the trailer fields behind the last chunk with the empty line that ends them, at most
/// `max` bytes; `None` while they are not all there.
pub(super) fn take_trailers(
    reader: &mut Reader,
    scan: &mut Scan,
    max: usize,
) -> Result<Option<Fields>, HeadError> {
    match reader.buf() {
        [] | [b'\r'] => return Ok(None),
        [b'\r', b'\n', ..] => {
            reader.consume(2);
            return Ok(Some(Fields::new()));
        }
        [b'\n', ..] => return Err(HeadError::Invalid),
        _ => {}
    }
    take(reader, scan, max, |head| {
        let mut room = [httparse::EMPTY_HEADER; FIELDS_MAX];
        Ok(match httparse::parse_headers(head, &mut room) {
            Ok(httparse::Status::Complete((_, headers))) => {
                Ok(httparse::Status::Complete(fields(head, headers)))
            }
            Ok(httparse::Status::Partial) => Ok(httparse::Status::Partial),
            Err(error) => Err(error),
        })
    })
}

/// Names in lower case, and values that share the memory of `head`.
fn fields(head: &Bytes, headers: &[httparse::Header<'_>]) -> Fields {
    let mut fields = Fields::with_capacity(headers.len());
    let mut name = String::new();
    for header in headers {
        name.clear();
        name.push_str(header.name);
        name.make_ascii_lowercase();
        let value = match header.value.contains(&b'\n') {
            true => unfold(header.value),
            false => head.slice_ref(header.value),
        };
        fields.append_valid(&name, value);
    }
    fields
}

/// A value of several lines in one (RFC 9112, section 5.2).
fn unfold(value: &[u8]) -> Bytes {
    let space = |byte: &u8| match byte {
        b'\r' | b'\n' => b' ',
        byte => *byte,
    };
    value.iter().map(space).collect::<Vec<u8>>().into()
}

/// The elements of the lists in the fields of this name (RFC 9110, section 5.6.1).
pub(super) fn elements<'a>(
    headers: &'a Fields,
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> + 'a {
    headers
        .get_all(name)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// Whether the sender of a head keeps the connection (RFC 9112, section 9.3).
pub(super) fn keeps_alive(headers: &Fields, http_11: bool) -> bool {
    let has = |option: &[u8]| {
        elements(headers, "connection").any(|element| element.eq_ignore_ascii_case(option))
    };
    !has(b"close") && (http_11 || has(b"keep-alive"))
}

/// What `transfer-encoding` says (RFC 9112, section 6.1).
enum Codings {
    None,
    Chunked,
    /// One that is not known, with `chunked` behind it or not.
    Unknown(String, bool),
    /// Something comes behind `chunked`.
    Invalid,
}

fn codings(headers: &Fields) -> Codings {
    if !headers.contains("transfer-encoding") {
        return Codings::None;
    }
    let (mut chunked, mut unknown) = (false, None);
    for coding in elements(headers, "transfer-encoding") {
        if chunked {
            return Codings::Invalid;
        }
        match coding.eq_ignore_ascii_case(b"chunked") {
            true => chunked = true,
            false => unknown = Some(String::from_utf8_lossy(coding).into_owned()),
        }
    }
    match (unknown, chunked) {
        (Some(coding), chunked) => Codings::Unknown(coding, chunked),
        (None, true) => Codings::Chunked,
        (None, false) => Codings::Invalid,
    }
}

/// How much content a request has (RFC 9112, section 6.3), or the status of its refusal.
pub(super) fn request_framing(head: &RequestHead) -> Result<Framing, u16> {
    let length = head.headers.content_length().map_err(|_| 400u16)?;
    match codings(&head.headers) {
        Codings::None => Ok(Framing::Length(length.unwrap_or(0))),
        // Two lengths, or a coding of a version that has none: somebody smuggles.
        _ if length.is_some() || !head.http_11 => Err(400),
        Codings::Chunked => Ok(Framing::Chunked),
        Codings::Unknown(_, true) => Err(501),
        Codings::Unknown(_, false) | Codings::Invalid => Err(400),
    }
}

/// How much content a response has, to a request with `HEAD` or another one.
pub(super) fn response_framing(head: &ResponseHead, to_head: bool) -> Result<Framing, ErrorCode> {
    if to_head || matches!(head.status, 100..=199 | 204 | 304) {
        return Ok(Framing::Length(0));
    }
    let length = head.headers.content_length();
    let length = length.map_err(|_| ErrorCode::HttpProtocolError)?;
    match codings(&head.headers) {
        Codings::None => Ok(length.map_or(Framing::UntilClose, Framing::Length)),
        _ if length.is_some() || !head.http_11 => Err(ErrorCode::HttpProtocolError),
        Codings::Chunked => Ok(Framing::Chunked),
        Codings::Unknown(name, _) => Err(ErrorCode::HttpResponseTransferCoding(Some(name))),
        Codings::Invalid => Err(ErrorCode::HttpProtocolError),
    }
}

/// The authority and the path with its query that a request asks for (RFC 9112, sections 3.2
/// and 3.3), or the status of its refusal.
pub(super) fn target(head: &RequestHead) -> Result<(Option<String>, String), u16> {
    let mut hosts = head.headers.get_all("host");
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => core::str::from_utf8(host).map_err(|_| 400u16)?,
        (None, _) if !head.http_11 => "",
        _ => return Err(400),
    };
    if !host.is_empty() && !uri::is_authority(host) {
        return Err(400);
    }
    let mut authority = (!host.is_empty()).then(|| host.to_owned());
    let mut path = head.target.clone();
    if let Some(rest) = absolute(&path) {
        let (named, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if !uri::is_authority(named) {
            return Err(400);
        }
        authority = Some(named.to_owned());
        path = match rest.starts_with('/') {
            true => rest.to_owned(),
            false => alloc::format!("/{rest}"),
        };
    }
    let asterisk = path == "*" && head.method == Method::Options;
    let valid = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    match asterisk || (path.starts_with('/') && path.bytes().all(valid)) {
        true => Ok((authority, path)),
        false => Err(400),
    }
}

/// What follows the scheme of a target with one.
fn absolute(target: &str) -> Option<&str> {
    ["http://", "https://"].into_iter().find_map(|scheme| {
        let start = target.get(..scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme)
            .then(|| &target[scheme.len()..])
    })
}
