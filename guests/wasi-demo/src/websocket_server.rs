//! The other end of the connection: as much of RFC 6455 as one client needs that sends what is
//! expected.

use crate::bindings::agave::websocket::client::FutureConnection;
use crate::bindings::agave::websocket::types::Message;
use crate::bindings::wasi::sockets::tcp::TcpSocket;
use crate::outcome::{Not, ensure, failed};
use crate::tcp::{self, End};
use crate::websocket::{CLOSE, FIELD, PATH, SUBPROTOCOLS, parts};
use crate::{streams, wait};

/// The most bytes of a head, and of a message, that are read.
const MOST: usize = 128 << 10;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSED: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

pub struct Server {
    end: End,
    /// What was read, and not looked at.
    bytes: Vec<u8>,
}

impl Server {
    /// Takes the request of the client that `future` waits for, checks it, and accepts; `None`
    /// where that has an answer before, which then is an error to look at.
    pub fn accept(listener: &TcpSocket, future: &FutureConnection) -> Result<Option<Self>, Not> {
        let answered = future.subscribe();
        if !wait::unless("request", &listener.subscribe(), &answered)? {
            return Ok(None);
        }
        let mut this = Self {
            end: tcp::accept(listener)?,
            bytes: Vec::new(),
        };
        let length = loop {
            if let Some(at) = this.bytes.windows(4).position(|end| end == b"\r\n\r\n") {
                break at;
            }
            if !this.read("request")?
                && !wait::unless("request", &this.end.input.subscribe(), &answered)?
            {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&this.bytes[..length]).into_owned();
        this.bytes.drain(..length + 4);
        let answer = answer(&head)?;
        streams::write_all("answer", &this.end.output, answer.as_bytes())?;
        Ok(Some(this))
    }

    /// Takes a message, which is to be `expected`, and sends it back.
    pub fn echo(&mut self, expected: &Message) -> Result<(), Not> {
        let (text, content) = parts(expected);
        let kind = if text { TEXT } else { BINARY };
        let (got_kind, got) = self.message()?;
        ensure(got_kind == kind, || {
            format!("the message has the opcode {got_kind}, not {kind}")
        })?;
        streams::same("the message", &got, content)?;
        self.send(kind, &got)
    }

    /// Takes the close frame, and answers it.
    pub fn close(&mut self) -> Result<(), Not> {
        let (code, reason) = CLOSE;
        let expected = [&code.to_be_bytes(), reason.as_bytes()].concat();
        let (kind, got) = self.message()?;
        ensure(kind == CLOSED, || {
            format!("the frame has the opcode {kind}, and is no close")
        })?;
        streams::same("the close frame", &got, &expected)?;
        self.send(CLOSED, &got)
    }

    /// The next message, or the close frame: its opcode, and its content.
    fn message(&mut self) -> Result<(u8, Vec<u8>), Not> {
        let mut message: Option<(u8, Vec<u8>)> = None;
        loop {
            let (last, opcode, payload) = self.frame()?;
            match (opcode, &mut message) {
                (PING, _) => {
                    self.send(PONG, &payload)?;
                    continue;
                }
                (PONG, _) => continue,
                (CLOSED, None) => return Ok((opcode, payload)),
                (TEXT | BINARY, None) => message = Some((opcode, payload)),
                (CONTINUATION, Some((_, content))) => content.extend(payload),
                _ => return failed(format!("a frame of the opcode {opcode} is out of place")),
            }
            if let Some((_, content)) = &message {
                ensure(content.len() <= MOST, || "the message does not end".into())?;
            }
            if last && let Some(message) = message.take() {
                return Ok(message);
            }
        }
    }

    /// The next frame (section 5.2): whether it is the last of its message, its opcode, and its
    /// content.
    fn frame(&mut self) -> Result<(bool, u8, Vec<u8>), Not> {
        self.fill(2)?;
        let (first, second) = (self.bytes[0], self.bytes[1]);
        ensure(first & 0x70 == 0, || "a frame has reserved bits set".into())?;
        ensure(second & 0x80 != 0, || "a frame is not masked".into())?;
        let width = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let head = 2 + width + 4;
        self.fill(head)?;
        let length = match width {
            0 => u64::from(second & 0x7f),
            _ => (self.bytes[2..2 + width].iter())
                .fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        ensure(length <= MOST as u64, || {
            format!("a frame has {length} bytes")
        })?;
        let end = head + length as usize;
        self.fill(end)?;
        let mask: Vec<_> = self.bytes[head - 4..head].to_vec();
        let masked = self.bytes[head..end].iter().zip(mask.iter().cycle());
        let payload = masked.map(|(byte, mask)| byte ^ mask).collect();
        self.bytes.drain(..end);
        Ok((first & 0x80 != 0, first & 0x0f, payload))
    }

    /// Sends a frame, which is all of its message.
    fn send(&mut self, opcode: u8, payload: &[u8]) -> Result<(), Not> {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..126 => frame.push(length as u8),
            length @ 126..0x1_0000 => {
                frame.push(126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        streams::write_all("send a frame", &self.end.output, &frame)
    }

    /// Reads until there are `length` bytes.
    fn fill(&mut self, length: usize) -> Result<(), Not> {
        while self.bytes.len() < length {
            if !self.read("a frame")? {
                wait::one("a frame", self.end.input.subscribe())?;
            }
        }
        Ok(())
    }

    /// Reads what there is; whether that was anything.
    fn read(&mut self, what: &str) -> Result<bool, Not> {
        ensure(self.bytes.len() <= MOST, || format!("{what} does not end"))?;
        match streams::read(what, &self.end.input, 4096)? {
            None => failed(format!("{what} ended early")),
            Some(part) => {
                let any = !part.is_empty();
                self.bytes.extend(part);
                Ok(any)
            }
        }
    }
}

/// The answer to a client's request, which is as it should be (section 4.2).
fn answer(head: &str) -> Result<String, Not> {
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let expected = format!("GET {PATH} HTTP/1.1");
    ensure(first == expected, || {
        format!("the request is {first:?}, not {expected:?}")
    })?;
    let field = |name: &str| {
        let found = lines.clone().find_map(|line| {
            let (other, value) = line.split_once(':')?;
            other.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        found.map_or_else(|| failed(format!("the request has no {name}")), Ok)
    };
    let offered = SUBPROTOCOLS.join(", ");
    for (name, expected) in [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", &offered),
        FIELD,
    ] {
        let value = field(name)?;
        ensure(value.eq_ignore_ascii_case(expected), || {
            format!("{name} of the request is {value:?}, not {expected:?}")
        })?;
    }
    let key = accept(field("sec-websocket-key")?);
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: {key}\r\nsec-websocket-protocol: {}\r\n\r\n",
        SUBPROTOCOLS[1]
    ))
}

/// What proves that the request with `key` was understood (section 4.2.2).
fn accept(key: &str) -> String {
    let mut hash = sha1_smol::Sha1::from(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64(&hash.digest().bytes())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, index| {
            bits << 8 | u32::from(group.get(index).copied().unwrap_or_default())
        });
        for index in 0..4 {
            let digit = (bits >> (18 - 6 * index)) & 0x3f;
            text.push(match index <= group.len() {
                true => char::from(DIGITS[digit as usize]),
                false => '=',
            });
        }
    }
    text
}
