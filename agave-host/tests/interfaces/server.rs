//! The HTTP server that the guest asks, on this machine.

use crate::support::http::{Body, Head};
use crate::support::peer::{Peer, drain};
use std::fmt::Write as _;
use std::io::{self, BufReader, Write};
use std::net::TcpStream;

/// `http.rs` of the guest says what it answers.
pub(crate) fn start() -> Peer {
    Peer::new(serve)
}

fn serve(stream: TcpStream) -> io::Result<()> {
    let mut input = BufReader::new(&stream);
    loop {
        let head = Head::read(&mut input)?;
        let mut words = head.line.split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        if path == "/never" {
            return drain(&stream);
        }
        let mut body = Body::of_request(&mut input, &head);
        let (content, end) = body.rest();
        end?;
        let trailers = body.trailers;
        if let Some(status) = path.strip_prefix("/status/") {
            let length = match status {
                "204" => "",
                _ => "content-length: 0\r\n",
            };
            write!(&stream, "HTTP/1.1 {status} Said\r\n{length}\r\n")?;
            continue;
        }
        if path == "/cut" {
            return write!(&stream, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
        }
        let mut answer = format!("HTTP/1.1 200 OK\r\nx-method: {method}\r\nx-path: {path}\r\n");
        for (_, value) in head.fields.iter().filter(|field| field.0 == "x-ask") {
            let _ = write!(answer, "x-ask: {value}\r\n");
        }
        answer += "transfer-encoding: chunked\r\n\r\n";
        (&stream).write_all(answer.as_bytes())?;
        for chunk in content.chunks(10_000) {
            write!(&stream, "{:x}\r\n", chunk.len())?;
            (&stream).write_all(chunk)?;
            (&stream).write_all(b"\r\n")?;
        }
        let mut last = String::from("0\r\n");
        for (name, value) in trailers {
            let _ = write!(last, "{name}: {value}\r\n");
        }
        (&stream).write_all((last + "\r\n").as_bytes())?;
    }
}
