//! HTTP/1.1 as the tests need it: one exchange a connection, whole messages, trailers always.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The longest head, body or trailers that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// How many headers a message has at most.
const HEADERS: usize = 100;

/// Names, in lower case, with values; in the order of the message.
pub(super) type Fields = Vec<(String, Vec<u8>)>;

/// A request or a response, `first` being what its first line says.
#[derive(Debug, PartialEq)]
pub(super) struct Message<F> {
    pub(super) first: F,
    pub(super) headers: Fields,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Fields,
}

/// What the first line of a request says.
#[derive(Debug, PartialEq)]
pub(super) struct Target {
    pub(super) method: String,
    pub(super) path: String,
}

/// The code of a response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Status(pub(super) u16);

impl<F> Message<F> {
    /// The value of a header, of several joined as one, or `None`.
    pub(super) fn header(&self, name: &str) -> Option<Vec<u8>> {
        let mut values = self.headers.iter().filter(|(it, _)| it == name);
        let mut joined = values.next()?.1.clone();
        for (_, value) in values {
            joined.extend(b", ");
            joined.extend(value);
        }
        Some(joined)
    }
}

/// Reads a request; `None` if the connection ends before one.
///
/// Errors: it can't be read, or is malformed.
pub(super) fn request(from: &mut impl BufRead) -> io::Result<Option<Message<Target>>> {
    let head = block(from)?;
    if head.is_empty() {
        return Ok(None);
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    parsed(request.parse(&head))?;
    let first = Target {
        method: request.method.unwrap_or_default().into(),
        path: request.path.unwrap_or_default().into(),
    };
    let headers = fields(request.headers);
    let (body, trailers) = match length(&headers)? {
        Length::Chunked => chunks(from)?,
        Length::Bytes(length) => (exactly(from, length)?, Fields::new()),
        Length::Unknown => Default::default(),
    };
    Ok(Some(Message {
        first,
        headers,
        body,
        trailers,
    }))
}

/// Sends a request over a connection of its own, and reads the response. Each read and write may
/// take `limit`.
///
/// Errors: the connection fails, or the response is malformed.
pub(super) fn exchange(
    address: SocketAddr,
    request: &super::spec::Request,
    limit: Duration,
) -> io::Result<Message<Status>> {
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let super::spec::Request {
        method,
        path,
        headers,
        body,
        ..
    } = request;
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method != "GET" {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    stream.write_all(format!("{text}\r\n{body}").as_bytes())?;
    response(&mut BufReader::new(stream), method == "HEAD")
}

/// Reads a response; `bodiless` if it answers HEAD.
fn response(from: &mut impl BufRead, bodiless: bool) -> io::Result<Message<Status>> {
    loop {
        let head = block(from)?;
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        parsed(response.parse(&head))?;
        let status = response.code.unwrap_or_default();
        if (100..200).contains(&status) {
            continue;
        }
        let headers = fields(response.headers);
        let (body, trailers) = match length(&headers)? {
            _ if bodiless || matches!(status, 204 | 304) => Default::default(),
            Length::Chunked => chunks(from)?,
            Length::Bytes(length) => (exactly(from, length)?, Fields::new()),
            Length::Unknown => (rest(from)?, Fields::new()),
        };
        return Ok(Message {
            first: Status(status),
            headers,
            body,
            trailers,
        });
    }
}

/// How a body ends.
enum Length {
    Chunked,
    Bytes(u64),
    /// With the connection, if it is a response's; a request has none.
    Unknown,
}

fn length(headers: &Fields) -> io::Result<Length> {
    let value = |name| headers.iter().find(|(it, _)| it == name).map(|it| &it.1);
    if let Some(coding) = value("transfer-encoding") {
        return match coding.eq_ignore_ascii_case(b"chunked") {
            true => Ok(Length::Chunked),
            false => Err(malformed("transfer-encoding")),
        };
    }
    let Some(length) = value("content-length") else {
        return Ok(Length::Unknown);
    };
    let length = str::from_utf8(length).ok().and_then(|it| it.parse().ok());
    Ok(Length::Bytes(
        length.ok_or_else(|| malformed("content-length"))?,
    ))
}

/// A body in chunks, and its trailers.
fn chunks(from: &mut impl BufRead) -> io::Result<(Vec<u8>, Fields)> {
    let mut body = Vec::new();
    loop {
        let line = line(from)?;
        let size = match httparse::parse_chunk_size(&line) {
            Ok(httparse::Status::Complete((_, size))) => size,
            _ => return Err(malformed("chunk size")),
        };
        if size == 0 {
            break;
        }
        body.extend(exactly(from, size)?);
        if exactly(from, 2)? != b"\r\n" || body.len() as u64 > LONGEST {
            return Err(malformed("chunk"));
        }
    }
    let text = block(from)?;
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    match httparse::parse_headers(&text, &mut headers) {
        Ok(httparse::Status::Complete((_, headers))) => Ok((body, fields(headers))),
        _ => Err(malformed("trailers")),
    }
}

/// Reads to the end of an empty line, or to the connection's end.
fn block(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut block = Vec::new();
    loop {
        let line = line(from)?;
        let end = line.is_empty() || line == b"\r\n" || line == b"\n";
        block.extend(line);
        if end {
            return Ok(block);
        }
        if block.len() as u64 > LONGEST {
            return Err(malformed("head"));
        }
    }
}

fn line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.take(LONGEST).read_until(b'\n', &mut line)?;
    Ok(line)
}

fn exactly(from: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    if length > LONGEST {
        return Err(malformed("length"));
    }
    let mut bytes = Vec::new();
    match from.take(length).read_to_end(&mut bytes)? as u64 == length {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Reads to the connection's end.
fn rest(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LONGEST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= LONGEST {
        true => Ok(bytes),
        false => Err(malformed("length")),
    }
}

fn parsed(status: httparse::Result<usize>) -> io::Result<()> {
    match status {
        Ok(httparse::Status::Complete(_)) => Ok(()),
        Ok(httparse::Status::Partial) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) => Err(malformed(&error.to_string())),
    }
}

fn fields(headers: &[httparse::Header<'_>]) -> Fields {
    let fields = headers.iter();
    let fields = fields.map(|it| (it.name.to_ascii_lowercase(), it.value.to_vec()));
    fields.collect()
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&str, &str)]) -> Fields {
        let fields = fields.iter();
        let fields = fields.map(|&(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        fields.collect()
    }

    #[test]
    fn a_request_is_read_with_its_body_and_trailers() {
        const NONE: &[(&str, &str)] = &[];
        for (rest, body, trailers) in [
            ("\r\n", "", NONE),
            ("Content-Length: 3\r\n\r\nabcd", "abc", NONE),
            (
                "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
                "abc",
                NONE,
            ),
            (
                "transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\nx-u:2\r\n\r\n",
                "a",
                &[("x-t", "1"), ("x-u", "2")],
            ),
        ] {
            let text = format!("PUT /a?b HTTP/1.1\r\nX-H: v\r\n{rest}");
            let message = request(&mut text.as_bytes()).unwrap().unwrap();
            assert_eq!(message.first.method, "PUT");
            assert_eq!(message.first.path, "/a?b");
            assert_eq!(message.headers[0], ("x-h".into(), b"v".to_vec()));
            assert_eq!(message.body, body.as_bytes(), "{text}");
            assert_eq!(message.trailers, fields(trailers), "{text}");
        }
        assert_eq!(request(&mut &b""[..]).unwrap(), None);
    }

    #[test]
    fn what_is_malformed_or_cut_off_is_an_error() {
        for rest in [
            "GET /",
            "GET / HTTP/1.1\r\nx: y\r\n",
            "GET / HTTP/1.1\r\nx y\r\n\r\n",
            "GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
            "GET / HTTP/1.1\r\ncontent-length: 3\r\n\r\nab",
            "GET / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\nab",
            "GET / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: y\r\n",
        ] {
            assert!(request(&mut rest.as_bytes()).is_err(), "{rest}");
        }
    }

    #[test]
    fn a_response_is_read_to_its_end() {
        for (text, bodiless, body) in [
            ("HTTP/1.1 404 Not Found\r\n\r\nabc", false, "abc"),
            ("HTTP/1.1 404 \r\ncontent-length: 2\r\n\r\nabc", false, "ab"),
            ("HTTP/1.1 404 x\r\ncontent-length: 2\r\n\r\n", true, ""),
            ("HTTP/1.1 100 \r\n\r\nHTTP/1.1 404 \r\n\r\nab", false, "ab"),
        ] {
            let message = response(&mut text.as_bytes(), bodiless).unwrap();
            assert_eq!(message.first, Status(404));
            assert_eq!(message.body, body.as_bytes(), "{text}");
        }
        assert!(response(&mut &b""[..], false).is_err());
    }

    #[test]
    fn values_of_one_header_are_joined() {
        let message = Message {
            first: Status(200),
            headers: fields(&[("a", "1"), ("b", "2"), ("a", "3")]),
            body: Vec::new(),
            trailers: Fields::new(),
        };
        assert_eq!(message.header("a").unwrap(), b"1, 3");
        assert_eq!(message.header("c"), None);
    }
}
