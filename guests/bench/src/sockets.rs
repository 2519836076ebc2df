use crate::bindings::exports::agave::bench::sockets::Guest;
use crate::bindings::wasi::io::streams::{InputStream, OutputStream};
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress,
};
use crate::bindings::wasi::sockets::tcp::{ShutdownType, TcpSocket};
use crate::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::{Bench, write_all};

impl Guest for Bench {
    fn echo(port: u64, piece: u64, times: u64) -> u64 {
        let connection = Connection::open(port);
        let bytes = vec![b'e'; piece as usize];
        let mut total = 0;
        for _ in 0..times {
            write_all(&connection.output, &bytes);
            let mut left = piece;
            while left > 0 {
                left -= connection.read(left);
            }
            total += piece;
        }
        total
    }

    fn send(port: u64, piece: u64, times: u64) -> u64 {
        let connection = Connection::open(port);
        let bytes = vec![b's'; piece as usize];
        for _ in 0..times {
            write_all(&connection.output, &bytes);
        }
        connection.output.blocking_flush().expect("blocking-flush");
        let shut = connection.socket.shutdown(ShutdownType::Send);
        shut.expect("shutdown");
        // The peer answers when it has all of them.
        connection.read(1);
        piece * times
    }

    fn receive(port: u64, piece: u64, times: u64) -> u64 {
        let connection = Connection::open(port);
        write_all(&connection.output, &(piece * times).to_le_bytes());
        let mut bytes = 0;
        while bytes < piece * times {
            bytes += connection.read(piece);
        }
        bytes
    }
}

/// A connection; the streams go before their socket.
struct Connection {
    input: InputStream,
    output: OutputStream,
    socket: TcpSocket,
}

impl Connection {
    fn open(port: u64) -> Self {
        let socket = create_tcp_socket(IpAddressFamily::Ipv4).expect("create-tcp-socket");
        let peer = IpSocketAddress::Ipv4(Ipv4SocketAddress {
            port: port as u16,
            address: (127, 0, 0, 1),
        });
        let started = socket.start_connect(&instance_network(), peer);
        started.expect("start-connect");
        let pollable = socket.subscribe();
        loop {
            match socket.finish_connect() {
                Err(ErrorCode::WouldBlock) => pollable.block(),
                result => {
                    let (input, output) = result.expect("finish-connect");
                    drop(pollable);
                    return Self {
                        input,
                        output,
                        socket,
                    };
                }
            }
        }
    }

    /// Reads at most `max` bytes, and says how many.
    fn read(&self, max: u64) -> u64 {
        let read = self.input.blocking_read(max);
        read.expect("blocking-read").len() as u64
    }
}
