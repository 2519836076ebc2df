//! The content of a message, as it comes in (RFC 9112, sections 6 and 7).

use super::conn::Reader;
use super::head::{self, HeadError, Scan};
use crate::{ErrorCode, Fields, Frame};
use core::task::{Context, Poll, ready};

/// The longest line with the size of a chunk and its extensions, in bytes.
const CHUNK_LINE_MAX: usize = 1 << 10;

/// What follows the last chunk of a message without trailers.
const LAST: &[u8] = b"\r\n0\r\n\r\n";

/// How much content a message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes.
    Length(u64),
    /// The chunked coding.
    Chunked,
    /// All until the connection ends.
    UntilClose,
}

/// Why content ends before its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DecodeError {
    /// The connection ended.
    Incomplete,
    /// The chunked coding is wrong.
    Invalid,
    /// The trailers are longer than they may be.
    Trailers,
    /// The connection was lost.
    Io(wasi_sockets::ErrorCode),
}

impl DecodeError {
    pub(super) fn of_response(self) -> ErrorCode {
        match self {
            Self::Incomplete => ErrorCode::HttpResponseIncomplete,
            Self::Invalid => ErrorCode::HttpProtocolError,
            Self::Trailers => ErrorCode::HttpResponseTrailerSectionSize(None),
            Self::Io(error) => super::error::of_sockets(error),
        }
    }

    pub(super) fn of_request(self) -> ErrorCode {
        match self {
            Self::Incomplete => ErrorCode::ConnectionTerminated,
            Self::Invalid => ErrorCode::HttpProtocolError,
            Self::Trailers => ErrorCode::HttpRequestTrailerSectionSize(None),
            Self::Io(error) => super::error::of_sockets(error),
        }
    }
}

/// Takes the content of one message from a [`Reader`].
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    /// The most bytes that trailers may have.
    max_trailers: usize,
}

#[derive(Debug)]
enum State {
    /// So many bytes are still to come.
    Length(u64),
    UntilClose,
    /// The line with the size of the next chunk.
    Size,
    /// So many bytes of a chunk are still to come.
    Chunk(u64),
    /// The end of line behind a chunk.
    ChunkEnd,
    Trailers(Scan),
    Done,
    /// Nothing can be known of what follows on the connection.
    Failed,
}

impl Decoder {
    pub(super) fn new(framing: Framing, max_trailers: usize) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size,
            Framing::UntilClose => State::UntilClose,
        };
        Self {
            state,
            max_trailers,
        }
    }

    /// All of the message was taken.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Nothing more comes, be it for an error.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Failed)
    }

    /// How many bytes are to come, where that is certain.
    pub(super) fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(length) => Some(length),
            State::Done => Some(0),
            _ => None,
        }
    }

    /// As [`Body::poll_frame`](crate::Body::poll_frame). The last frame leaves it
    /// [done](Self::is_done) where that can be known.
    pub(super) fn poll_frame(
        &mut self,
        reader: &mut Reader,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, DecodeError>>> {
        let frame = ready!(self.poll(reader, cx));
        if frame.is_err() {
            self.state = State::Failed;
        }
        Poll::Ready(frame.transpose())
    }

    fn poll(
        &mut self,
        reader: &mut Reader,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, DecodeError>> {
        loop {
            match self.step(reader)? {
                Step::Frame(frame) => return Poll::Ready(Ok(Some(frame))),
                Step::End => return Poll::Ready(Ok(None)),
                Step::Again => {}
                Step::Fill => {
                    if ready!(reader.poll_fill(cx)).map_err(DecodeError::Io)? {
                        continue;
                    }
                    if let State::UntilClose = self.state {
                        self.state = State::Done;
                        return Poll::Ready(Ok(None));
                    }
                    return Poll::Ready(Err(DecodeError::Incomplete));
                }
            }
        }
    }

    /// Goes on with what is in the buffer.
    fn step(&mut self, reader: &mut Reader) -> Result<Step, DecodeError> {
        let there = reader.buf().len() as u64;
        match &mut self.state {
            State::Done | State::Failed => Ok(Step::End),
            State::Length(_) | State::Chunk(_) | State::UntilClose if there == 0 => Ok(Step::Fill),
            State::UntilClose => Ok(Step::Frame(Frame::Data(reader.take(there as usize)))),
            State::Length(left) => {
                let n = there.min(*left);
                *left -= n;
                if *left == 0 {
                    self.state = State::Done;
                }
                Ok(Step::Frame(Frame::Data(reader.take(n as usize))))
            }
            State::Chunk(left) => {
                let n = there.min(*left);
                *left -= n;
                let ended = *left == 0;
                let data = reader.take(n as usize);
                if ended {
                    self.state = State::ChunkEnd;
                    // The end may be there too, and then the message is known to be done.
                    if reader.buf().starts_with(LAST) {
                        reader.consume(LAST.len());
                        self.state = State::Done;
                    }
                }
                Ok(Step::Frame(Frame::Data(data)))
            }
            State::ChunkEnd => match reader.buf() {
                [b'\r', b'\n', ..] => {
                    reader.consume(2);
                    self.state = State::Size;
                    Ok(Step::Again)
                }
                [] | [b'\r'] => Ok(Step::Fill),
                _ => Err(DecodeError::Invalid),
            },
            State::Size => {
                let Some((line, size)) = chunk_size(reader.buf())? else {
                    return Ok(Step::Fill);
                };
                reader.consume(line);
                self.state = match size {
                    0 => State::Trailers(Scan::new()),
                    size => State::Chunk(size),
                };
                Ok(Step::Again)
            }
            State::Trailers(scan) => {
                let fields = match head::take_trailers(reader, scan, self.max_trailers) {
                    Ok(None) => return Ok(Step::Fill),
                    Ok(Some(fields)) => fields,
                    Err(HeadError::TooLarge) => return Err(DecodeError::Trailers),
                    Err(_) => return Err(DecodeError::Invalid),
                };
                self.state = State::Done;
                Ok(match Fields::is_empty(&fields) {
                    true => Step::End,
                    false => Step::Frame(Frame::Trailers(fields)),
                })
            }
        }
    }
}

enum Step {
    Frame(Frame),
    End,
    Again,
    Fill,
}

/// The length of the line with a chunk's size, and the size; `None` where the line is not all
/// there.
fn chunk_size(buf: &[u8]) -> Result<Option<(usize, u64)>, DecodeError> {
    // Without a digit it would be read as 0.
    if buf.first().is_some_and(|first| !first.is_ascii_hexdigit()) {
        return Err(DecodeError::Invalid);
    }
    let line = &buf[..buf.len().min(CHUNK_LINE_MAX)];
    match httparse::parse_chunk_size(line) {
        Ok(httparse::Status::Complete((length, size))) => {
            // A line feed alone in an extension is an end of line to some: so to none here.
            let inside = &line[..length - 2];
            match inside
                .iter()
                .any(|byte| byte.is_ascii_control() && *byte != b'\t')
            {
                true => Err(DecodeError::Invalid),
                false => Ok(Some((length, size))),
            }
        }
        Ok(httparse::Status::Partial) if line.len() < CHUNK_LINE_MAX => Ok(None),
        _ => Err(DecodeError::Invalid),
    }
}
