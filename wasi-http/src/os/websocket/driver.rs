//! What moves the messages of one connection: between the queues of its user and tungstenite.

use super::super::after;
use super::blocking::Blocking;
use crate::websocket::memory::{Order, Port};
use crate::websocket::{CloseStatus, ErrorCode, Limits, MessageType, Piece};
use bytes::Bytes;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::boxed::Box;
use std::io::ErrorKind;
use std::string::{String, ToString};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, Sleep, sleep};
use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

/// A longer message is sent in fragments of this length, so that little of it is copied at a
/// time.
const FRAGMENT: usize = 64 << 10;
/// The buffers for each direction, besides a frame on its way in.
const BUFFER: usize = 16 << 10;
/// A frame's header is no longer than this (RFC 6455, section 5.2).
const HEADER: usize = 14;
/// With code 1002, what tungstenite gives for a status that may not be sent, and tells the peer.
const INVALID_STATUS: &str = "Protocol violation";

/// Ready when the connection is to be closed with 1001. It, and then what it gives, is kept
/// until the connection has gone.
pub(super) type Stop = Pin<Box<dyn Future<Output = Receiver<bool>> + Send>>;

/// A connection after its handshake. It runs until both sides have closed it.
pub(super) struct Driver<T> {
    socket: WebSocket<Blocking<T>>,
    port: Port,
    phase: Phase,
    /// A part of a message of which some was sent.
    rest: Option<Piece>,
    /// The next part of a message continues one.
    continues: bool,
    /// tungstenite has bytes to flush.
    dirty: bool,
    /// The network took less than it was given: it gets no more before it has taken that.
    blocked: bool,
    ping: Option<Ping>,
    close_timeout: Duration,
    /// When the peer is not waited for any more, once the connection is being closed.
    deadline: Option<Pin<Box<Sleep>>>,
    stop: Option<Stop>,
    stopped: Option<Receiver<bool>>,
}

enum Phase {
    Open,
    /// The close frame is under way; the user is told this end when the peer's has come.
    Closing(ErrorCode),
    /// The user knows the end. What is left is sent, then the peer closes its side.
    Draining,
    Done,
}

struct Ping {
    interval: Duration,
    timer: Pin<Box<Sleep>>,
    /// When the peer last gave a sign, or was asked for one.
    since: Instant,
    asked: bool,
    /// The user has no room: the peer's signs are not looked at.
    deaf: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<T> {
    /// To be polled on a tokio runtime, as this call is.
    pub(super) fn new(io: T, role: Role, port: Port, limits: Limits, stop: Option<Stop>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER + HEADER)
            .write_buffer_size(BUFFER)
            .max_message_size(Some(limits.message))
            .max_frame_size(Some(limits.message));
        let interval = Duration::from_nanos(limits.ping_interval);
        Self {
            socket: WebSocket::from_raw_socket(Blocking::new(io), role, Some(config)),
            port,
            phase: Phase::Open,
            rest: None,
            continues: false,
            dirty: false,
            blocked: false,
            ping: (!interval.is_zero()).then(|| Ping {
                interval,
                timer: Box::pin(sleep(interval)),
                since: Instant::now(),
                asked: false,
                deaf: false,
            }),
            close_timeout: Duration::from_nanos(limits.close_timeout),
            deadline: None,
            stop,
            stopped: None,
        }
    }

    /// Moves what can be moved; ready with how the connection ended.
    fn poll_messages(&mut self, cx: &mut Context<'_>) -> Poll<ErrorCode> {
        self.poll_stop(cx);
        if let Phase::Open = self.phase
            && let Err(error) = self.write(cx)
        {
            // The peer may have said why it takes nothing any more.
            return match self.poll_read(cx) {
                Poll::Pending => Poll::Ready(code(error)),
                end => end,
            };
        }
        if let Poll::Ready(end) = self.poll_read(cx) {
            return Poll::Ready(end);
        }
        // Pongs, and the close frame.
        if self.dirty
            && let Err(error) = self.flush()
        {
            return Poll::Ready(code(error));
        }
        if let Phase::Open = self.phase
            && self.port.poll_closing(cx).is_pending()
        {
            return self.poll_ping(cx);
        }
        ready!(self.poll_deadline(cx));
        // What was sent before the close frame is given up as well.
        while let Phase::Open = self.phase
            && let Poll::Ready(order) = self.port.poll_order(cx)
        {
            if let Order::Close(_, end) = order {
                self.phase = Phase::Closing(end);
            }
        }
        Poll::Ready(ErrorCode::ConnectionLost)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timeout = self.close_timeout;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(sleep(timeout)));
        deadline.as_mut().poll(cx)
    }

    fn poll_stop(&mut self, cx: &mut Context<'_>) {
        if let Some(stop) = &mut self.stop
            && let Phase::Open = self.phase
            && let Poll::Ready(stopped) = stop.as_mut().poll(cx)
        {
            self.stopped = Some(stopped);
            self.stop = None;
            // At once: who stops does not wait for this connection's peer.
            self.port.end(ErrorCode::HostShutdown);
            self.close(ErrorCode::HostShutdown, Some(1001), String::new());
        }
    }

    /// Sends what the user wants, as far as the network takes it.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        loop {
            if self.blocked {
                self.flush()?;
                if self.blocked {
                    return Ok(());
                }
            }
            let piece = match self.rest.take() {
                Some(rest) => rest,
                None => match self.port.poll_order(cx) {
                    Poll::Ready(Order::Send(piece)) => piece,
                    Poll::Ready(Order::Close(status, end)) => {
                        let code = status.as_ref().map(|status| status.code);
                        let reason = status.map_or_else(String::new, |status| status.reason);
                        self.close(end, code, reason);
                        return Ok(());
                    }
                    Poll::Pending if self.dirty => return self.flush(),
                    Poll::Pending => return Ok(()),
                },
            };
            let frame = self.fragment(piece);
            self.send(Message::Frame(frame))?;
        }
    }

    /// The next frame for `piece`; the rest is kept.
    fn fragment(&mut self, mut piece: Piece) -> Frame {
        let (kind, last) = (piece.kind, piece.last);
        let split = piece.data.len() > FRAGMENT;
        let data = match split {
            true => piece.data.split_to(FRAGMENT),
            false => core::mem::take(&mut piece.data),
        };
        if split {
            self.rest = Some(piece);
        }
        let opcode = match kind {
            _ if self.continues => Data::Continue,
            MessageType::Text => Data::Text,
            MessageType::Binary => Data::Binary,
        };
        let last = last && !split;
        self.continues = !last;
        Frame::message(data, OpCode::Data(opcode), last)
    }

    fn send(&mut self, message: Message) -> Result<(), Error> {
        self.dirty = true;
        match self.socket.write(message) {
            // It took the message all the same.
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                self.blocked = true;
                Ok(())
            }
            result => result,
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.blocked = match self.socket.flush() {
            Ok(()) => false,
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => true,
            Err(error) => return Err(error),
        };
        self.dirty = self.blocked;
        Ok(())
    }

    /// Sends a close frame; `end` is what the user is told when the peer has answered.
    fn close(&mut self, end: ErrorCode, code: Option<u16>, reason: String) {
        self.send_close(code, reason);
        self.phase = Phase::Closing(end);
    }

    fn send_close(&mut self, code: Option<u16>, reason: String) {
        self.dirty = true;
        // What can't be written now is flushed later; what never can is met there as well.
        let _ = self.socket.close(code.map(|code| CloseFrame {
            code: code.into(),
            reason: reason.into(),
        }));
    }

    /// Takes what has come, as far as the user has room; ready with how the connection ended.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<ErrorCode> {
        loop {
            if let Phase::Open = self.phase
                && self.port.poll_room(cx).is_pending()
            {
                if let Some(ping) = &mut self.ping {
                    ping.asked = false;
                    ping.deaf = true;
                }
                return Poll::Pending;
            }
            if self.ping.as_ref().is_some_and(|ping| ping.deaf) {
                self.heard();
            }
            let (kind, data) = match self.socket.read() {
                Ok(Message::Text(text)) => (MessageType::Text, Bytes::from(text)),
                Ok(Message::Binary(bytes)) => (MessageType::Binary, bytes),
                Ok(Message::Ping(_)) => {
                    self.dirty = true;
                    continue;
                }
                Ok(Message::Pong(_) | Message::Frame(_)) => continue,
                Ok(Message::Close(frame)) => return Poll::Ready(closed(frame)),
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                    if self.socket.get_mut().take_heard() {
                        self.heard();
                    }
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(code(error)),
            };
            if let Phase::Open = self.phase {
                let last = true;
                let data = owned(data);
                self.port.put(Piece { kind, data, last });
            }
        }
    }

    fn heard(&mut self) {
        if let Some(ping) = &mut self.ping {
            ping.since = Instant::now();
            ping.asked = false;
            ping.deaf = false;
        }
    }

    /// Asks a silent peer for a sign; ready with how the connection ended when none came. One
    /// that can't be heard is sent a ping all the same: where nobody is there any more, the
    /// network fails.
    fn poll_ping(&mut self, cx: &mut Context<'_>) -> Poll<ErrorCode> {
        loop {
            let Some(ping) = &mut self.ping else {
                return Poll::Pending;
            };
            ready!(ping.timer.as_mut().poll(cx));
            let mut due = after(ping.since, ping.interval);
            let now = Instant::now();
            let asks = due <= now;
            if asks {
                if ping.asked {
                    return Poll::Ready(ErrorCode::PingTimeout);
                }
                ping.asked = !ping.deaf;
                ping.since = now;
                due = after(now, ping.interval);
            }
            ping.timer.as_mut().reset(due);
            // One is enough for a peer that takes none and is not to answer.
            if asks && !(ping.deaf && self.blocked) {
                let sent = self.send(Message::Ping(Default::default()));
                if let Err(error) = sent.and_then(|()| self.flush()) {
                    return Poll::Ready(code(error));
                }
            }
        }
    }

    /// Tells the user, and the peer where it is to know.
    fn end(&mut self, end: ErrorCode) {
        // A close frame of the peer has been answered.
        self.dirty = true;
        let lost = matches!(end, ErrorCode::ConnectionLost | ErrorCode::PingTimeout);
        match &self.phase {
            Phase::Closing(told) => self.port.end(told.clone()),
            _ => {
                if let Some(code) = end.close_code() {
                    self.send_close(Some(code), String::new());
                }
                self.port.end(end);
            }
        }
        self.phase = match lost {
            true => Phase::Done,
            false => Phase::Draining,
        };
    }

    /// Ready when nothing is left to send and the peer has closed its side: until then its
    /// bytes are taken, as the system would reset the connection otherwise, and the peer might
    /// not see the close frame.
    fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_deadline(cx).is_ready() {
            return Poll::Ready(());
        }
        if self.dirty {
            match self.flush() {
                Ok(()) if self.blocked => return Poll::Pending,
                Ok(()) => {}
                // A server has sent its answer.
                Err(Error::ConnectionClosed) => self.dirty = false,
                Err(_) => return Poll::Ready(()),
            }
        }
        self.socket.get_mut().poll_drained(cx)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Future for Driver<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.socket.get_mut().wake_with(cx.waker());
        loop {
            match this.phase {
                Phase::Open | Phase::Closing(_) => {
                    let end = ready!(this.poll_messages(cx));
                    this.end(end);
                }
                Phase::Draining => return this.poll_drained(cx),
                Phase::Done => return Poll::Ready(()),
            }
        }
    }
}

/// Without the rest of the buffer that it came in: while it waits in a queue, a short message
/// would keep much more than is counted for it, and tungstenite would need another buffer. A long
/// one is most of its buffer, and not worth a copy.
fn owned(data: Bytes) -> Bytes {
    match data.len() <= FRAGMENT {
        true => Bytes::copy_from_slice(&data),
        false => data,
    }
}

fn closed(frame: Option<CloseFrame>) -> ErrorCode {
    match frame {
        Some(frame) if frame.code == CloseCode::Protocol && frame.reason == INVALID_STATUS => {
            ErrorCode::ProtocolError(Some("a close code that may not be sent".into()))
        }
        frame => ErrorCode::ClosedByPeer(frame.map(|frame| CloseStatus {
            code: frame.code.into(),
            reason: frame.reason.as_str().into(),
        })),
    }
}

fn code(error: Error) -> ErrorCode {
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
        | Error::Io(_)
        | Error::ConnectionClosed
        | Error::AlreadyClosed => ErrorCode::ConnectionLost,
        Error::Protocol(how) => ErrorCode::ProtocolError(Some(how.to_string())),
        Error::Utf8(_) => ErrorCode::InvalidUtf8,
        Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
            ErrorCode::MessageTooBig(max_size as u64)
        }
        other => ErrorCode::InternalError(Some(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::Socket;
    use crate::websocket::memory::{LinkSocket, link};
    use core::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::timeout;

    const CLOSE_TIMEOUT: Duration = Duration::from_secs(7);

    /// A server's connection over a network that holds `network` bytes, and its peer.
    fn served(
        network: usize,
        ping_interval: u64,
    ) -> (LinkSocket, Driver<DuplexStream>, DuplexStream) {
        let limits = Limits {
            message: 1 << 20,
            queue: 1 << 10,
            ping_interval,
            close_timeout: CLOSE_TIMEOUT.as_nanos() as u64,
        };
        let (socket, port) = link(limits.queue);
        let (io, peer) = duplex(network);
        let driver = Driver::new(io, Role::Server, port, limits, None);
        (socket, driver, peer)
    }

    fn binary(len: usize) -> Piece {
        Piece {
            kind: MessageType::Binary,
            data: Bytes::from(std::vec![0; len]),
            last: true,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_close_does_not_wait_for_a_peer_that_does_not_read() {
        for part in [10, 100_000] {
            let (mut socket, driver, _peer) = served(64, 0);
            let start = Instant::now();
            socket.send(binary(part)).unwrap();
            socket.send(binary(part)).unwrap();
            drop(socket);
            timeout(CLOSE_TIMEOUT * 10, driver).await.unwrap();
            let waited = start.elapsed();
            assert!(waited >= CLOSE_TIMEOUT, "{waited:?}");
            assert!(waited < CLOSE_TIMEOUT * 2, "{waited:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_closes_is_told_so_when_the_peer_does_not_answer() {
        for (len, network) in [(0, 1 << 10), (100_000, 64)] {
            let (mut socket, driver, _peer) = served(network, 0);
            socket.send(binary(len)).unwrap();
            socket.close(None, ErrorCode::ClosedHere);
            timeout(CLOSE_TIMEOUT * 10, driver).await.unwrap();
            let end = poll_fn(|cx| socket.poll_receive(cx)).await;
            assert_eq!(end, Err(ErrorCode::ClosedHere));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_not_listened_to_is_not_silent() {
        let second = Duration::from_secs(1);
        let (mut socket, driver, mut peer) = served(1 << 16, second.as_nanos() as u64);
        let driver = tokio::spawn(driver);
        // Empty messages, masked: more than the queue takes.
        peer.write_all(&[0x82, 0x80, 0, 0, 0, 0].repeat(100))
            .await
            .unwrap();
        tokio::time::sleep(second * 10).await;
        for _ in 0..100 {
            poll_fn(|cx| socket.poll_receive(cx)).await.unwrap();
        }
        assert!(!driver.is_finished());
        // From now on it is: it is asked, and does not answer.
        let start = Instant::now();
        let end = poll_fn(|cx| socket.poll_receive(cx)).await;
        assert_eq!(end, Err(ErrorCode::PingTimeout));
        assert!((second * 2..second * 3).contains(&start.elapsed()));
        driver.await.unwrap();
        let mut pings = std::vec::Vec::new();
        peer.read_to_end(&mut pings).await.unwrap();
        assert!(pings.len() >= 10 * 2, "{pings:?}");
        assert_eq!(pings, [0x89, 0].repeat(pings.len() / 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_vanishes_is_missed_although_nobody_receives() {
        let second = Duration::from_secs(1);
        let (mut socket, driver, mut peer) = served(1 << 16, second.as_nanos() as u64);
        let driver = tokio::spawn(driver);
        let messages = [0x82, 0x80, 0, 0, 0, 0].repeat(100);
        peer.write_all(&messages).await.unwrap();
        tokio::time::sleep(second * 10).await;
        assert!(!driver.is_finished());
        drop(peer);
        timeout(second * 3, driver).await.unwrap().unwrap();
        let mut received = 0;
        let end = loop {
            match poll_fn(|cx| socket.poll_receive(cx)).await {
                Ok(_) => received += 1,
                Err(end) => break end,
            }
        };
        assert_eq!(end, ErrorCode::ConnectionLost);
        assert!(received > 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_closes_its_side_slowly_is_not_waited_for_twice() {
        let (socket, driver, mut peer) = served(1 << 10, 0);
        let start = Instant::now();
        drop(socket);
        let driver = tokio::spawn(driver);
        tokio::time::sleep(CLOSE_TIMEOUT / 2).await;
        // It answers, and stays.
        peer.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
        driver.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), CLOSE_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_comes_slowly_is_a_sign_of_its_peer() {
        let second = Duration::from_secs(1);
        let (mut socket, driver, mut peer) = served(1 << 16, second.as_nanos() as u64);
        tokio::spawn(driver);
        let mut frame = std::vec::Vec::from([0x82, 0x80 + 10, 0, 0, 0, 0]);
        frame.extend([7; 10]);
        for byte in frame {
            tokio::time::sleep(second / 2).await;
            peer.write_all(&[byte]).await.unwrap();
        }
        let message = poll_fn(|cx| socket.poll_receive(cx)).await;
        assert_eq!(message.unwrap().data, [7; 10][..]);
    }

    #[tokio::test]
    async fn a_long_message_is_sent_in_fragments() {
        let (mut socket, driver, peer) = served(1 << 10, 0);
        tokio::spawn(driver);
        socket.send(binary(2 * FRAGMENT + 1)).unwrap();
        let mut peer = tokio::io::BufReader::new(peer);
        for (first, len) in [(0x02, FRAGMENT), (0x00, FRAGMENT), (0x80, 1)] {
            assert_eq!(peer.read_u8().await.unwrap(), first);
            let told = match peer.read_u8().await.unwrap() {
                127 => peer.read_u64().await.unwrap() as usize,
                len => usize::from(len),
            };
            assert_eq!(told, len);
            let mut content = std::vec![1; len];
            peer.read_exact(&mut content).await.unwrap();
        }
    }
}
