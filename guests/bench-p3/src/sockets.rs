use crate::bindings::wasi::sockets::types::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket,
};
use crate::bindings::wit_stream;
use crate::piece::Piece;
use wit_bindgen::{FutureReader, StreamReader, StreamWriter};

pub async fn echo(port: u64, piece: u64, times: u64) -> u64 {
    let mut connection = Connection::open(port).await;
    let mut buffer = Piece::new(piece);
    for _ in 0..times {
        buffer.write(&mut connection.output).await;
        let mut left = piece;
        while left > 0 {
            left -= buffer.read(&mut connection.input, left).await;
        }
    }
    connection.end().await;
    piece * times
}

pub async fn send(port: u64, piece: u64, times: u64) -> u64 {
    let mut connection = Connection::open(port).await;
    let mut buffer = Piece::new(piece);
    for _ in 0..times {
        buffer.write(&mut connection.output).await;
    }
    // The peer answers when it has all of them.
    let mut input = connection.end().await;
    Piece::new(1).read(&mut input, 1).await;
    piece * times
}

pub async fn receive(port: u64, piece: u64, times: u64) -> u64 {
    let mut connection = Connection::open(port).await;
    let count = (piece * times).to_le_bytes();
    let left = connection.output.write_all(count.into()).await;
    assert!(left.is_empty(), "send");
    let mut buffer = Piece::new(piece);
    let mut bytes = 0;
    while bytes < piece * times {
        bytes += buffer.read(&mut connection.input, piece).await;
    }
    connection.end().await;
    bytes
}

struct Connection {
    output: StreamWriter<u8>,
    sent: FutureReader<Result<(), ErrorCode>>,
    input: StreamReader<u8>,
    _socket: TcpSocket,
}

impl Connection {
    async fn open(port: u64) -> Self {
        let socket = TcpSocket::create(IpAddressFamily::Ipv4).expect("create");
        let peer = IpSocketAddress::Ipv4(Ipv4SocketAddress {
            port: port as u16,
            address: (127, 0, 0, 1),
        });
        socket.connect(peer).await.expect("connect");
        let (output, data) = wit_stream::new();
        let sent = socket.send(data);
        let (input, _) = socket.receive();
        Self {
            output,
            sent,
            input,
            _socket: socket,
        }
    }

    /// Sends no more, and gives what is still received from.
    async fn end(self) -> StreamReader<u8> {
        drop(self.output);
        self.sent.await.expect("send");
        self.input
    }
}
