use super::{Kit, expect, has_address_at, has_no_address, noop, settings};
use crate::connection::Connection;
use crate::ctx::Slots;
use crate::{ErrorCode, Shutdown, SocketOption, TcpListener, TcpSocket, TcpStream};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::task::Poll;
use wasi_io::testkit::{Miss, Report, both_are_woken, pipe, wait};
use wasi_io::{InputStream, OutputStream, memory};

const OPTIONS: [(SocketOption, u64); 6] = [
    (SocketOption::HopLimit, 45),
    (SocketOption::KeepAliveIdleTime, 42_000_000_000),
    (SocketOption::KeepAliveInterval, 43_000_000_000),
    (SocketOption::KeepAliveCount, 44),
    (SocketOption::ReceiveBufferSize, 1 << 16),
    (SocketOption::SendBufferSize, 1 << 16),
];

pub(super) fn run(kit: &Kit<'_>) -> Report {
    let mut report = Report::new("TCP");
    let mut there = true;
    report.check("TCP: a socket can be made", || {
        match kit.network.tcp_socket(kit.family()) {
            Ok(_) => Ok(()),
            Err(ErrorCode::NotSupported) => {
                there = false;
                Err(Miss::Skipped("the network has none".into()))
            }
            Err(error) => Err(Miss::from(format!("tcp_socket: {error}"))),
        }
    });
    if !there {
        return report;
    }
    report.check("TCP: an address is chosen at the bind, not before", || {
        let mut socket = kit.tcp()?;
        has_no_address(&*socket)?;
        kit.bind(&mut *socket, kit.local)?;
        has_address_at(&*socket, kit.local).map(drop)
    });
    report.check("TCP: a bind that failed can be tried again", || {
        let taken = kit.listen()?;
        let mut socket = kit.tcp()?;
        let result = wait(kit.driver, "poll_bind", |cx| {
            socket.poll_bind(cx, kit.foreign())
        })?;
        expect(
            "a bind to a foreign address",
            result,
            ErrorCode::AddressNotBindable,
        )?;
        let at = has_address_at(&*taken, kit.local)?;
        let result = wait(kit.driver, "poll_bind", |cx| socket.poll_bind(cx, at))?;
        expect("a bind to a taken address", result, ErrorCode::AddressInUse)?;
        kit.bind(&mut *socket, kit.local)
    });
    report.check(
        "TCP: a listener that is dropped releases its address",
        || {
            let listener = kit.listen()?;
            let at = has_address_at(&*listener, kit.local)?;
            drop(listener);
            let mut socket = kit.tcp()?;
            kit.bind(&mut *socket, at)
        },
    );
    report.check("TCP: nobody listens: connection-refused", || {
        let listener = kit.listen()?;
        let nobody = has_address_at(&*listener, kit.local)?;
        drop(listener);
        let mut socket = kit.tcp()?;
        let result = wait(kit.driver, "poll_connect", |cx| {
            socket.poll_connect(cx, nobody)
        })?;
        expect(
            "poll_connect",
            result.map(drop),
            ErrorCode::ConnectionRefused,
        )
    });
    report.check("TCP: each end has the other's address", || {
        let (client, server) = kit.pair()?;
        for (own, other) in [(&client, &server), (&server, &client)] {
            let (remote, local) = (own.remote_address(), other.local_address());
            if remote != local || !remote.is_ok_and(|address| address.ip() == kit.local.ip()) {
                return Err(format!("remote {remote:?}, there {local:?}"));
            }
        }
        Ok(())
    });
    report.check(
        "TCP: every task that waits for a connection is woken",
        || {
            let listener = kit.listen()?;
            let at = has_address_at(&*listener, kit.local)?;
            let mut client = kit.tcp()?;
            let mut connected = None;
            both_are_woken(
                kit.driver,
                |cx| listener.poll_accept(cx).map(drop),
                || {
                    connected = Some(kit.wait("poll_connect", |cx| client.poll_connect(cx, at))?);
                    Ok(())
                },
            )
        },
    );
    report.check("TCP: settings can be set, and extremes are clamped", || {
        settings(&*kit.tcp()?, &OPTIONS)
    });
    report.check("TCP: a connection has the settings of its listener", || {
        let mut socket = kit.tcp()?;
        let set = |socket: &dyn TcpSocket| {
            let options = OPTIONS.into_iter();
            let set = options.filter(|(option, value)| socket.set_option(*option, *value).is_ok());
            set.map(|(option, _)| (option, socket.option(option)))
                .collect::<alloc::vec::Vec<_>>()
        };
        let expected = set(&*socket);
        kit.bind(&mut *socket, kit.local)?;
        let listener = kit.wait("poll_listen", |cx| socket.poll_listen(cx, 16))?;
        drop(socket);
        let (_client, server) = kit.connect(&*listener)?;
        for (option, value) in expected {
            let read = server.option(option);
            if read != value {
                return Err(format!("{option:?} was {value:?}, then {read:?}"));
            }
        }
        Ok(())
    });
    report.check("TCP: a shutdown wakes who waits for bytes", || {
        let (client, _server) = kit.pair()?;
        both_are_woken(
            kit.driver,
            |cx| client.poll_read_ready(cx),
            || {
                let shut = client.shutdown(Shutdown::Receive);
                shut.map_err(|error| format!("shutdown: {error}"))
            },
        )
    });
    report.check(
        "TCP: an output that was shut down ends after its bytes",
        || {
            let (client, server) = kit.pair()?;
            kit.wait("poll_write_ready", |cx| client.poll_write_ready(cx))?;
            let sent = client
                .write(b"last")
                .and_then(|()| client.shutdown(Shutdown::Send));
            sent.map_err(|error| format!("write and shutdown: {error}"))?;
            let mut got = alloc::vec::Vec::new();
            let mut buf = [0; 8];
            loop {
                match kit.wait("poll_read", |cx| server.poll_read(cx, &mut buf))? {
                    0 => break,
                    n => got.extend_from_slice(&buf[..n]),
                }
            }
            if got != b"last" {
                return Err(format!("{} bytes came of 4", got.len()));
            }
            match client.poll_write_ready(&mut noop()) {
                Poll::Ready(Err(ErrorCode::InvalidState)) => Ok(()),
                other => Err(format!("poll_write_ready gave {other:?}")),
            }
        },
    );
    // Both streams over the connection, with all that they promise.
    report.extend(pipe(kit.driver, &|| {
        kit.streams().unwrap_or_else(|_| closed())
    }));
    report
}

/// A pair that fails every check, where there is no connection to be had.
fn closed() -> Streams {
    let (writer, _) = memory::pipe(1);
    (Box::new(writer), Box::new(memory::Input::default()))
}

type Streams = (Box<dyn OutputStream>, Box<dyn InputStream>);
type Ends = (Arc<dyn TcpStream>, Arc<dyn TcpStream>);

impl Kit<'_> {
    fn tcp(&self) -> Result<Box<dyn TcpSocket>, String> {
        let socket = self.network.tcp_socket(self.family());
        socket.map_err(|error| format!("tcp_socket: {error}"))
    }

    fn bind(&self, socket: &mut dyn TcpSocket, to: SocketAddr) -> Result<(), String> {
        self.wait("poll_bind", |cx| socket.poll_bind(cx, to))
    }

    fn listen(&self) -> Result<Arc<dyn TcpListener>, String> {
        let mut socket = self.tcp()?;
        self.bind(&mut *socket, self.local)?;
        self.wait("poll_listen", |cx| socket.poll_listen(cx, 16))
    }

    /// The end that connects, then the one that is accepted.
    fn connect(&self, listener: &dyn TcpListener) -> Result<Ends, String> {
        let at = has_address_at(listener, self.local)?;
        let mut socket = self.tcp()?;
        let client = self.wait("poll_connect", |cx| socket.poll_connect(cx, at))?;
        let server = self.wait("poll_accept", |cx| listener.poll_accept(cx))?;
        Ok((client, server))
    }

    fn pair(&self) -> Result<Ends, String> {
        self.connect(&*self.listen()?)
    }

    /// The output of one end and the input of the other.
    fn streams(&self) -> Result<Streams, String> {
        let (client, server) = self.pair()?;
        let slots = Slots::new(2);
        let slot = || slots.take(ErrorCode::NewSocketLimit).map(Arc::new);
        let (Ok(a), Ok(b)) = (slot(), slot()) else {
            return Err("no slots".into());
        };
        let output = Connection::new(client, a).output();
        let input = Connection::new(server, b).input();
        Ok((Box::new(output), Box::new(input)))
    }
}
