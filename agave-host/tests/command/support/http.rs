//! HTTP/1.1 by hand, so that nothing on the wire goes unseen: a client, and the reading half
//! that a server needs as well.

use super::PATIENCE;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

/// The first line of a message and its header fields, their names in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    /// Reads a head; an error where the stream ends before its end.
    pub(crate) fn read(input: &mut impl BufRead) -> io::Result<Self> {
        let line = line(input)?;
        let fields = fields(input)?;
        Ok(Self { line, fields })
    }

    /// The first field of that name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    /// The status of a response.
    pub(crate) fn status(&self) -> u16 {
        let code = self
            .line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|it| it.get(..3));
        code.and_then(|it| it.parse().ok())
            .unwrap_or_else(|| panic!("no HTTP/1.1 response: {:?}", self.line))
    }

    fn framing(&self, or_else: Framing) -> Framing {
        match (
            self.field("transfer-encoding"),
            self.field("content-length"),
        ) {
            (Some("chunked"), None) => Framing::Chunks(0),
            (None, Some(length)) => Framing::Length(length.parse().expect("a length")),
            (None, None) => or_else,
            both => panic!("ambiguous length: {both:?}"),
        }
    }
}

fn line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    input.take(1 << 20).read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(text) => Ok(text.into()),
        None => Err(io::Error::new(
            ErrorKind::UnexpectedEof,
            format!("cut off in the line {line:?}"),
        )),
    }
}

fn fields(input: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = line(input)?;
        match line.split_once(':') {
            Some((name, value)) => fields.push((name.to_lowercase(), value.trim().into())),
            None if line.is_empty() => return Ok(fields),
            None => panic!("no header field: {line:?}"),
        }
    }
}

#[derive(Debug)]
enum Framing {
    /// So much is left.
    Length(u64),
    /// So much is left of this chunk.
    Chunks(u64),
    /// It ends with the connection.
    Close,
    Ended,
}

/// A message's content. Reading fails with `UnexpectedEof` where it was cut off.
pub(crate) struct Body<'a, R> {
    input: &'a mut R,
    framing: Framing,
    pub(crate) trailers: Vec<(String, String)>,
}

impl<'a, R: BufRead> Body<'a, R> {
    pub(crate) fn of_request(input: &'a mut R, head: &Head) -> Self {
        let framing = head.framing(Framing::Ended);
        let trailers = Vec::new();
        Self {
            input,
            framing,
            trailers,
        }
    }

    pub(crate) fn of_response(input: &'a mut R, head: &Head, method: &str) -> Self {
        let framing = match (method, head.status()) {
            ("HEAD", _) | (_, 204 | 304) => Framing::Ended,
            _ => head.framing(Framing::Close),
        };
        let trailers = Vec::new();
        Self {
            input,
            framing,
            trailers,
        }
    }

    /// Exactly so many bytes, as text.
    pub(crate) fn text(&mut self, bytes: usize) -> String {
        let mut text = vec![0; bytes];
        self.read_exact(&mut text).expect("more of the body");
        String::from_utf8(text).expect("text")
    }

    /// The rest; whether it was complete.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, io::Result<()>) {
        let mut bytes = Vec::new();
        let end = self.read_to_end(&mut bytes).map(drop);
        (bytes, end)
    }
}

impl<R: BufRead> Read for Body<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Framing::Chunks(0) = self.framing {
            let line = line(self.input)?;
            let digits = line.split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(digits, 16).expect("a chunk's size");
            self.framing = Framing::Chunks(size);
            if size == 0 {
                self.trailers = fields(self.input)?;
                self.framing = Framing::Ended;
            }
        }
        let left = match self.framing {
            Framing::Length(left) | Framing::Chunks(left) => left,
            Framing::Close => return self.input.read(buffer),
            Framing::Ended => 0,
        };
        let wanted = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.input.read(&mut buffer[..wanted])?;
        if read == 0 {
            let left = format!("cut off with {left} bytes left");
            return Err(io::Error::new(ErrorKind::UnexpectedEof, left));
        }
        match &mut self.framing {
            Framing::Length(left) => *left -= read as u64,
            Framing::Chunks(left) => {
                *left -= read as u64;
                if *left == 0 {
                    assert_eq!(line(self.input)?, "", "after a chunk");
                }
            }
            Framing::Close | Framing::Ended => {}
        }
        Ok(read)
    }
}

/// A request's content.
#[derive(Clone, Copy)]
pub(crate) enum Content<'a> {
    None,
    Length(&'a [u8]),
    /// In chunks of 10,000 bytes, with these trailer fields.
    Chunks(&'a [u8], &'a [(&'a str, &'a str)]),
}

impl Content<'_> {
    fn write(self, mut output: impl Write) -> io::Result<()> {
        match self {
            Self::None => {}
            Self::Length(bytes) => output.write_all(bytes)?,
            Self::Chunks(bytes, trailers) => {
                for chunk in bytes.chunks(10_000) {
                    let size = format!("{:x}\r\n", chunk.len());
                    output.write_all(&[size.as_bytes(), chunk, b"\r\n"].concat())?;
                }
                let mut end = String::from("0\r\n");
                for (name, value) in trailers {
                    write!(end, "{name}: {value}\r\n").unwrap();
                }
                output.write_all((end + "\r\n").as_bytes())?;
            }
        }
        Ok(())
    }
}

/// A request.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) fields: &'a [(&'a str, &'a str)],
    pub(crate) content: Content<'a>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: &'a str, target: &'a str) -> Self {
        let fields = &[];
        let content = Content::None;
        Self {
            method,
            target,
            fields,
            content,
        }
    }

    fn head(&self) -> String {
        let Self { method, target, .. } = self;
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: agave.test\r\n");
        for (name, value) in self.fields {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        match self.content {
            Content::None => {}
            Content::Length(bytes) => write!(head, "Content-Length: {}\r\n", bytes.len()).unwrap(),
            Content::Chunks(..) => head.push_str("Transfer-Encoding: chunked\r\n"),
        }
        head + "\r\n"
    }
}

/// A response that was received as far as it came.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// An error where it was cut off.
    pub(crate) end: io::Result<()>,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    /// The body of a complete response.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        assert!(self.end.is_ok(), "{self:?}");
        str::from_utf8(&self.body).expect("text")
    }

    /// Status and body of a complete response.
    #[track_caller]
    pub(crate) fn told(&self) -> (u16, &str) {
        (self.status(), self.text())
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }
}

/// A connection to a server.
pub(crate) struct Connection {
    pub(crate) input: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        // A test that hangs must end all the same.
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            input: BufReader::new(stream),
        }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.input.get_ref()
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream().write_all(bytes.as_ref()).expect("sending");
    }

    /// Sends a GET, and reads no more than the head of its response.
    pub(crate) fn begin(&mut self, target: &str) -> (Head, Body<'_, BufReader<TcpStream>>) {
        self.send(Request::new("GET", target).head());
        let head = Head::read(&mut self.input).expect("a head");
        let body = Body::of_response(&mut self.input, &head, "GET");
        (head, body)
    }

    /// Sends a request, and receives its response while it sends.
    pub(crate) fn exchange(&mut self, request: &Request<'_>) -> Response {
        let output = self.stream().try_clone().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                // Where the server does not want it all, its answer says why.
                let mut head = request.head().into_bytes();
                if let Content::Length(bytes @ [_, ..]) = request.content
                    && bytes.len() < 10_000
                {
                    head.extend(bytes);
                    return (&output).write_all(&head);
                }
                (&output).write_all(&head)?;
                request.content.write(&output)
            });
            let head = Head::read(&mut self.input).expect("a head");
            let mut body = Body::of_response(&mut self.input, &head, request.method);
            let (bytes, end) = body.rest();
            let trailers = body.trailers;
            Response {
                head,
                body: bytes,
                trailers,
                end,
            }
        })
    }

    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.exchange(&Request::new("GET", target))
    }

    /// What comes until the server closes.
    pub(crate) fn until_closed(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.input
            .read_to_end(&mut bytes)
            .expect("the server closes");
        bytes
    }
}
