use super::{Kit, expect, has_address_at, has_no_address, noop, settings};
use crate::{DATAGRAM_MAX, ErrorCode, SocketOption, UdpSocket};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use core::net::SocketAddr;
use core::task::Poll;
use wasi_io::testkit::{Miss, Report, both_are_woken, wait};

const OPTIONS: [(SocketOption, u64); 3] = [
    (SocketOption::HopLimit, 45),
    (SocketOption::ReceiveBufferSize, 1 << 16),
    (SocketOption::SendBufferSize, 1 << 16),
];

pub(super) fn run(kit: &Kit<'_>) -> Report {
    let mut report = Report::new("UDP");
    let mut there = true;
    report.check("UDP: a socket can be made", || {
        match kit.network.udp_socket(kit.family()) {
            Ok(_) => Ok(()),
            Err(ErrorCode::NotSupported) => {
                there = false;
                Err(Miss::Skipped("the network has none".into()))
            }
            Err(error) => Err(Miss::from(format!("udp_socket: {error}"))),
        }
    });
    if !there {
        return report;
    }
    report.check("UDP: an address is chosen at the bind, not before", || {
        let socket = kit.udp()?;
        has_no_address(&*socket)?;
        kit.wait("poll_bind", |cx| socket.poll_bind(cx, kit.local))?;
        has_address_at(&*socket, kit.local).map(drop)
    });
    report.check("UDP: a bind that failed can be tried again", || {
        let (_taken, at) = kit.bound()?;
        let socket = kit.udp()?;
        for (what, to, code) in [
            (
                "a bind to a foreign address",
                kit.foreign(),
                ErrorCode::AddressNotBindable,
            ),
            ("a bind to a taken address", at, ErrorCode::AddressInUse),
        ] {
            expect(
                what,
                wait(kit.driver, what, |cx| socket.poll_bind(cx, to))?,
                code,
            )?;
        }
        kit.wait("poll_bind", |cx| socket.poll_bind(cx, kit.local))
    });
    report.check("UDP: a socket that is dropped releases its address", || {
        let (socket, at) = kit.bound()?;
        drop(socket);
        let socket = kit.udp()?;
        kit.wait("poll_bind", |cx| socket.poll_bind(cx, at))
    });
    report.check("UDP: datagrams arrive whole, with their sender", || {
        let ((a, at_a), (b, at_b)) = (kit.bound()?, kit.bound()?);
        for len in [0, 1, 1000] {
            kit.send(&*a, &vec![len as u8; len], at_b)?;
            kit.receive(&*b, &vec![len as u8; len], at_a)?;
        }
        Ok::<(), String>(())
    });
    report.check(
        "UDP: a receive waits for a datagram, and is ready for one",
        || {
            let ((a, _), (b, at_b)) = (kit.bound()?, kit.bound()?);
            for _ in 0..2 {
                if b.poll_receive_ready(&mut noop()).is_ready() {
                    return Err("nothing was there, but poll_receive_ready was ready".into());
                }
                if b.poll_receive_from(&mut noop(), &mut [0; 8]).is_ready() {
                    return Err("nothing was there, but poll_receive_from was ready".into());
                }
                kit.send(&*a, b"a", at_b)?;
                wait(kit.driver, "poll_receive_ready", |cx| {
                    b.poll_receive_ready(cx)
                })?;
                match b.poll_receive_from(&mut noop(), &mut [0; 8]) {
                    Poll::Ready(Ok((1, _))) => {}
                    other => {
                        return Err(format!("was ready, then poll_receive_from gave {other:?}"));
                    }
                }
            }
            Ok(())
        },
    );
    report.check("UDP: what does not fit is lost, and nothing else", || {
        let ((a, at_a), (b, at_b)) = (kit.bound()?, kit.bound()?);
        kit.send(&*a, b"12345", at_b)?;
        kit.send(&*a, b"next", at_b)?;
        let mut buf = [0; 3];
        match kit.wait("poll_receive_from", |cx| b.poll_receive_from(cx, &mut buf))? {
            (3, _) if buf == *b"123" => kit.receive(&*b, b"next", at_a),
            other => Err(format!("of 5 bytes into 3: {other:?}, {buf:?}")),
        }
    });
    report.check("UDP: every task that waits for a datagram is woken", || {
        let ((a, _), (b, at_b)) = (kit.bound()?, kit.bound()?);
        both_are_woken(
            kit.driver,
            |cx| b.poll_receive_ready(cx),
            || kit.send(&*a, b"a", at_b),
        )
    });
    report.check("UDP: every task that waits in a receive is woken", || {
        let ((a, _), (b, at_b)) = (kit.bound()?, kit.bound()?);
        both_are_woken(
            kit.driver,
            |cx| b.poll_receive_from(cx, &mut [0; 8]).map(drop),
            || kit.send(&*a, b"a", at_b),
        )
    });
    report.check(
        "UDP: a datagram that is too large is refused and the next goes",
        || {
            let ((a, at_a), (b, at_b)) = (kit.bound()?, kit.bound()?);
            let result = wait(kit.driver, "poll_send_to", |cx| {
                a.poll_send_to(cx, &vec![7; DATAGRAM_MAX], at_b)
            })?;
            match result {
                Err(ErrorCode::DatagramTooLarge) => {}
                Ok(()) => return Err(Miss::Skipped("the network carries all".into())),
                Err(error) => return Err(Miss::from(format!("poll_send_to: {error}"))),
            }
            kit.send(&*a, b"next", at_b)?;
            Ok(kit.receive(&*b, b"next", at_a)?)
        },
    );
    report.check(
        "UDP: a peer can be taken and left, from the same address",
        || {
            let ((a, at_a), (b, at_b)) = (kit.bound()?, kit.bound()?);
            let (c, at_c) = kit.bound()?;
            for _ in 0..2 {
                for (peer, at) in [(&b, at_b), (&c, at_c)] {
                    a.connect(at).map_err(|error| format!("connect: {error}"))?;
                    has_address_at(&*a, kit.local)?;
                    kit.send(&*a, b"1", at)?;
                    kit.receive(&**peer, b"1", at_a)?;
                    kit.send(&**peer, b"2", at_a)?;
                    kit.receive(&*a, b"2", at)?;
                    a.disconnect()
                        .map_err(|error| format!("disconnect: {error}"))?;
                }
                match a.local_address() {
                    Ok(address) if address == at_a => {}
                    other => return Err(format!("was bound to {at_a}, then {other:?}")),
                }
                for (peer, at) in [(&b, at_b), (&c, at_c)] {
                    kit.send(&**peer, b"3", at_a)?;
                    kit.receive(&*a, b"3", at)?;
                }
            }
            Ok(())
        },
    );
    report.check("UDP: who is refused is told once, and goes on", || {
        let (a, at_a) = kit.bound()?;
        let (gone, nobody) = kit.bound()?;
        a.connect(nobody)
            .map_err(|error| format!("connect: {error}"))?;
        drop(gone);
        kit.send(&*a, b"a", nobody)?;
        if wait(kit.driver, "poll_receive_ready", |cx| {
            a.poll_receive_ready(cx)
        })
        .is_err()
        {
            return Err(Miss::Skipped("the network does not answer".into()));
        }
        let first = a.poll_receive_from(&mut noop(), &mut [0; 8]);
        let second = a.poll_receive_from(&mut noop(), &mut [0; 8]);
        match (first, second) {
            (Poll::Ready(Err(ErrorCode::ConnectionRefused)), Poll::Pending) => {}
            other => return Err(Miss::from(format!("two receives gave {other:?}"))),
        }
        let back = kit.udp()?;
        kit.wait("poll_bind", |cx| back.poll_bind(cx, nobody))?;
        kit.send(&*a, b"b", nobody)?;
        Ok(kit.receive(&*back, b"b", at_a)?)
    });
    report.check("UDP: every task that waits is woken by a refusal", || {
        wake_refused(kit, |_| {})
    });
    report.check(
        "UDP: they are woken though another call saw it first",
        || {
            wake_refused(kit, |socket| {
                let look = |cx: &mut core::task::Context<'_>| socket.poll_receive_ready(cx);
                // Whether it comes is seen below.
                let _ = wait(kit.driver, "an answer", look);
            })
        },
    );
    report.check("UDP: settings can be set, and extremes are clamped", || {
        settings(&*kit.udp()?, &OPTIONS)
    });
    report
}

/// Two tasks wait on a socket whose peer is gone; a datagram is sent, and then `look` is taken.
fn wake_refused(kit: &Kit<'_>, look: impl FnOnce(&dyn UdpSocket)) -> Result<(), Miss> {
    let (socket, _) = kit.bound()?;
    let (gone, nobody) = kit.bound()?;
    socket
        .connect(nobody)
        .map_err(|error| format!("connect: {error}"))?;
    drop(gone);
    let woken = both_are_woken(
        kit.driver,
        |cx| socket.poll_receive_ready(cx),
        || {
            kit.send(&*socket, b"a", nobody)?;
            look(&*socket);
            Ok(())
        },
    );
    match socket.poll_receive_ready(&mut noop()) {
        Poll::Ready(()) => woken.map_err(Miss::from),
        Poll::Pending => Err(Miss::Skipped("the network does not answer".into())),
    }
}

impl Kit<'_> {
    fn udp(&self) -> Result<Box<dyn UdpSocket>, String> {
        let socket = self.network.udp_socket(self.family());
        socket.map_err(|error| format!("udp_socket: {error}"))
    }

    fn bound(&self) -> Result<(Box<dyn UdpSocket>, SocketAddr), String> {
        let socket = self.udp()?;
        self.wait("poll_bind", |cx| socket.poll_bind(cx, self.local))?;
        let address = has_address_at(&*socket, self.local)?;
        Ok((socket, address))
    }

    fn send(&self, socket: &dyn UdpSocket, bytes: &[u8], to: SocketAddr) -> Result<(), String> {
        wait(self.driver, "poll_send_ready", |cx| {
            socket.poll_send_ready(cx)
        })?;
        self.wait("poll_send_to", |cx| socket.poll_send_to(cx, bytes, to))
    }

    fn receive(
        &self,
        socket: &dyn UdpSocket,
        bytes: &[u8],
        from: SocketAddr,
    ) -> Result<(), String> {
        let mut buf = vec![0; DATAGRAM_MAX];
        let received = self.wait("poll_receive_from", |cx| {
            socket.poll_receive_from(cx, &mut buf)
        })?;
        match received == (bytes.len(), from) && buf.starts_with(bytes) {
            true => Ok(()),
            false => Err(format!(
                "{} bytes from {from} came as {received:?}",
                bytes.len()
            )),
        }
    }
}
