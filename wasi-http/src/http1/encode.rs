//! Heads and content on their way out.

use super::conn::Writer;
use crate::{Body, ErrorCode, Fields, Frame};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::task::{Context, Poll, ready};
use wasi_types::Datetime;

/// How the end of content is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// There is none.
    Nothing,
    /// So many bytes.
    Length(u64),
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// Why content could not be sent to its end.
#[derive(Debug)]
pub(super) enum EncodeError {
    /// The body failed.
    Body(ErrorCode),
    /// It has another length than its head told.
    Length,
    /// The connection was lost.
    Io,
}

/// Fields that say how a message is sent, and so are not for those who make it.
pub(super) fn is_framing(name: &str) -> bool {
    ["transfer-encoding", "connection", "keep-alive"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Writes a field into a head.
pub(super) fn field(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// Writes the field that tells how the end of content is told, unless `headers` has it.
pub(super) fn framing(head: &mut Vec<u8>, headers: &Fields, coding: Coding) {
    match coding {
        Coding::Length(length) if !headers.contains("content-length") => {
            field(head, "content-length", format!("{length}").as_bytes());
        }
        Coding::Chunked => field(head, "transfer-encoding", b"chunked"),
        _ => {}
    }
}

/// A body on its way out.
pub(super) struct Encoder {
    /// `None` once it ended.
    body: Option<Box<dyn Body>>,
    coding: Coding,
    /// So many bytes of [`Coding::Length`] are still to come.
    left: u64,
    /// Told when what came before was written.
    failed: Option<EncodeError>,
    started: bool,
}

impl Encoder {
    pub(super) fn new(body: Box<dyn Body>, coding: Coding) -> Self {
        Self {
            body: (coding != Coding::Nothing).then_some(body),
            coding,
            left: match coding {
                Coding::Length(length) => length,
                _ => 0,
            },
            failed: None,
            started: false,
        }
    }

    /// The body, if nothing was taken of it.
    pub(super) fn into_untouched(self) -> Option<Box<dyn Body>> {
        self.body.filter(|_| !self.started)
    }

    /// Moves the body on, and through `writer`. Ready when all of it was written.
    pub(super) fn poll(
        &mut self,
        writer: &mut Writer,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), EncodeError>> {
        loop {
            if self.body.is_none() || writer.is_full() {
                ready!(writer.poll_flush(cx)).map_err(|_| EncodeError::Io)?;
            }
            let Some(body) = &mut self.body else {
                return Poll::Ready(self.failed.take().map_or(Ok(()), Err));
            };
            let frame = match body.is_end() {
                true => None,
                false => match body.poll_frame(cx) {
                    Poll::Ready(frame) => {
                        self.started = true;
                        frame
                    }
                    Poll::Pending => {
                        ready!(writer.poll_flush(cx)).map_err(|_| EncodeError::Io)?;
                        return Poll::Pending;
                    }
                },
            };
            if let Err(failed) = self.put(frame, writer) {
                self.failed = Some(failed);
                self.body = None;
            }
        }
    }

    fn put(
        &mut self,
        frame: Option<Result<Frame, ErrorCode>>,
        writer: &mut Writer,
    ) -> Result<(), EncodeError> {
        match frame.transpose().map_err(EncodeError::Body)? {
            Some(Frame::Data(data)) if data.is_empty() => {}
            Some(Frame::Data(data)) => match self.coding {
                Coding::Chunked => {
                    writer.put(format!("{:x}\r\n", data.len()).as_bytes());
                    writer.put_content(data, b"\r\n");
                }
                Coding::Length(_) => {
                    let left = self.left.checked_sub(data.len() as u64);
                    self.left = left.ok_or(EncodeError::Length)?;
                    writer.put_content(data, b"");
                }
                Coding::UntilClose => writer.put_content(data, b""),
                Coding::Nothing => {}
            },
            Some(Frame::Trailers(fields)) => self.end(Some(fields), writer)?,
            None => self.end(None, writer)?,
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<Fields>, writer: &mut Writer) -> Result<(), EncodeError> {
        self.body = None;
        if self.left > 0 {
            return Err(EncodeError::Length);
        }
        if self.coding == Coding::Chunked {
            let mut end = Vec::from(b"0\r\n");
            for (name, value) in trailers.iter().flat_map(Fields::iter) {
                if may_trail(name) {
                    field(&mut end, name, value);
                }
            }
            end.extend_from_slice(b"\r\n");
            writer.put(&end);
        }
        Ok(())
    }
}

/// Fields that frame, route or authenticate must not come behind the content (RFC 9110,
/// section 6.5.1).
fn may_trail(name: &str) -> bool {
    const NEVER: [&str; 12] = [
        "authorization",
        "cache-control",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "host",
        "max-forwards",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
    ];
    !is_framing(name) && !NEVER.iter().any(|never| name.eq_ignore_ascii_case(never))
}

/// What `date` says (RFC 9110, section 5.6.7).
pub(super) fn date(time: Datetime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    // Four digits are all that a year has.
    let seconds = time.seconds().min(253_402_300_799);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let week = DAYS[(days % 7) as usize];
    // Years begin with March here, so that a leap day is the last of one; 400 of them, an era,
    // have 146,097 days. 719,468 days lie between the start of year 0 and 1970-01-01.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year + u64::from(month >= 10);
    let name = MONTHS[((month + 2) % 12) as usize];
    format!(
        "{week}, {day_of_month:02} {name} {year:04} {:02}:{:02}:{:02} GMT",
        second / 3600,
        second / 60 % 60,
        second % 60,
    )
}

/// The words behind a status code; empty for those that few know.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_that_of_its_second() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_704_067_199, "Sun, 31 Dec 2023 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            let time = Datetime::new(seconds, 0).unwrap();
            assert_eq!(date(time), text, "{seconds}");
        }
    }
}
