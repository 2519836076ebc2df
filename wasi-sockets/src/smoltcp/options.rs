use super::SmoltcpLimits;
use crate::{ErrorCode, SocketOption};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Duration;

/// The least bytes of a buffer.
const BUFFER_MIN: usize = 2048;
/// A millisecond to a year: what can be added to an instant.
const IDLE: core::ops::RangeInclusive<u64> = 1_000_000..=31_536_000_000_000_000;
/// Probes without an answer that end a connection: as many intervals, and that before the
/// first.
const PROBES: u32 = 4;

/// The settings of a socket.
#[derive(Clone, Debug)]
pub(super) struct Options {
    keep_alive: bool,
    /// Nanoseconds before a probe, and between them: smoltcp has one time for both.
    idle: u64,
    hops: u8,
    pub(super) receive: usize,
    pub(super) send: usize,
    buffer_max: usize,
}

impl Options {
    pub(super) fn new(limits: &SmoltcpLimits) -> Self {
        let buffer_max = limits.buffer_max.max(BUFFER_MIN);
        let buffer = limits.buffer.clamp(BUFFER_MIN, buffer_max);
        Self {
            keep_alive: false,
            idle: 7_200_000_000_000,
            hops: 64,
            receive: buffer,
            send: buffer,
            buffer_max,
        }
    }

    /// Bytes of both buffers.
    pub(super) fn buffers(&self) -> usize {
        self.receive.saturating_add(self.send)
    }

    pub(super) fn get_tcp(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        match option {
            SocketOption::KeepAliveEnabled => Ok(self.keep_alive.into()),
            SocketOption::KeepAliveIdleTime => Ok(self.idle),
            other => self.get(other),
        }
    }

    pub(super) fn set_tcp(&mut self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        match option {
            SocketOption::KeepAliveEnabled => self.keep_alive = value != 0,
            SocketOption::KeepAliveIdleTime => {
                self.idle = value.clamp(*IDLE.start(), *IDLE.end());
            }
            other => return self.set(other, value),
        }
        Ok(())
    }

    pub(super) fn get(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        match option {
            SocketOption::HopLimit => Ok(self.hops.into()),
            SocketOption::ReceiveBufferSize => Ok(self.receive as u64),
            SocketOption::SendBufferSize => Ok(self.send as u64),
            _ => Err(ErrorCode::NotSupported),
        }
    }

    pub(super) fn set(&mut self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        let size = usize::try_from(value).unwrap_or(usize::MAX);
        let size = size.clamp(BUFFER_MIN, self.buffer_max);
        match option {
            SocketOption::HopLimit => self.hops = u8::try_from(value).unwrap_or(u8::MAX).max(1),
            SocketOption::ReceiveBufferSize => self.receive = size,
            SocketOption::SendBufferSize => self.send = size,
            _ => return Err(ErrorCode::NotSupported),
        }
        Ok(())
    }

    pub(super) fn apply_tcp(&self, socket: &mut tcp::Socket<'_>) {
        socket.set_hop_limit(Some(self.hops));
        socket.set_keep_alive(self.keep_alive.then(|| duration(self.idle)));
    }

    pub(super) fn apply_udp(&self, socket: &mut udp::Socket<'_>) {
        socket.set_hop_limit(Some(self.hops));
    }

    /// How long a peer that owes no answer may be silent.
    pub(super) fn silence(&self) -> Option<Duration> {
        self.keep_alive.then(|| duration(self.idle) * PROBES)
    }
}

pub(super) fn duration(nanoseconds: u64) -> Duration {
    Duration::from_micros(nanoseconds / 1000)
}
