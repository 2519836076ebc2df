//! The bindings, called as the engine calls them.
#![cfg(feature = "p2")]

use std::sync::Arc;
use std::task::{Context, Waker};
use wasi_io::Pollable;
use wasi_sockets::p2::bindings::wasi::sockets::network::{
    ErrorCode, Host as _, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress,
};
use wasi_sockets::p2::bindings::wasi::sockets::tcp::{HostTcpSocket as _, ShutdownType};
use wasi_sockets::p2::bindings::wasi::sockets::{
    instance_network::Host as _, ip_name_lookup, tcp_create_socket,
};
use wasi_sockets::p2::{WasiSocketsCtxView, WasiSocketsView, add_to_linker};
use wasi_sockets::{LoopbackNet, WasiSocketsCtx};
use wasmtime::Engine;
use wasmtime::component::{Linker, Resource, ResourceTable};

struct Guest {
    ctx: WasiSocketsCtx,
    table: ResourceTable,
}

impl WasiSocketsView for Guest {
    fn sockets(&mut self) -> WasiSocketsCtxView<'_> {
        WasiSocketsCtxView {
            ctx: &self.ctx,
            table: &mut self.table,
        }
    }
}

fn guest() -> Guest {
    let net = LoopbackNet::new().with_name("a.example", ["127.0.0.1".parse().unwrap()]);
    Guest {
        ctx: WasiSocketsCtx::new()
            .network(Arc::new(net))
            .allow_name_lookup(true),
        table: ResourceTable::new(),
    }
}

fn borrow<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

fn create(view: &mut WasiSocketsCtxView<'_>) -> Resource<wasi_sockets::DynTcpSocket> {
    let family = IpAddressFamily::Ipv4;
    tcp_create_socket::Host::create_tcp_socket(view, family)
        .unwrap()
        .unwrap()
}

#[test]
fn all_interfaces_are_linked_once() {
    let engine = Engine::default();
    let mut linker = Linker::<Guest>::new(&engine);
    add_to_linker(&mut linker).unwrap();
    assert!(
        add_to_linker(&mut linker).is_err(),
        "they are there already"
    );
}

#[test]
fn a_connection_from_create_to_drop_leaves_nothing_in_the_table() {
    let mut guest = guest();
    let mut view = guest.sockets();
    let net = view.instance_network().unwrap();
    let any = IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port: 0,
        address: (127, 0, 0, 1),
    });
    let server = create(&mut view);
    view.start_bind(borrow(&server), borrow(&net), any)
        .unwrap()
        .unwrap();
    view.finish_bind(borrow(&server)).unwrap().unwrap();
    view.start_listen(borrow(&server)).unwrap().unwrap();
    view.finish_listen(borrow(&server)).unwrap().unwrap();
    let address = view.local_address(borrow(&server)).unwrap().unwrap();

    let client = create(&mut view);
    view.start_connect(borrow(&client), borrow(&net), address)
        .unwrap()
        .unwrap();
    let (input, output) = view.finish_connect(borrow(&client)).unwrap().unwrap();
    let (socket, in2, out2) = view.accept(borrow(&server)).unwrap().unwrap();
    let mut noop = Context::from_waker(Waker::noop());
    let output_ready = view.table.get_mut(&output).unwrap().poll_ready(&mut noop);
    assert!(output_ready.is_ready());
    assert_eq!(view.set_hop_limit(borrow(&client), 3).unwrap(), Ok(()));
    assert_eq!(view.hop_limit(borrow(&client)).unwrap(), Ok(3));
    let refused = view.set_hop_limit(borrow(&client), 0).unwrap();
    assert_eq!(refused, Err(ErrorCode::InvalidArgument));
    assert_eq!(
        view.set_keep_alive_enabled(borrow(&client), true).unwrap(),
        Ok(())
    );
    assert_eq!(view.keep_alive_enabled(borrow(&client)).unwrap(), Ok(true));
    let shut = view.shutdown(borrow(&client), ShutdownType::Both).unwrap();
    assert_eq!(shut, Ok(()));

    for stream in [input, in2] {
        view.table.delete(stream).unwrap();
    }
    for stream in [output, out2] {
        view.table.delete(stream).unwrap();
    }
    for each in [server, client, socket] {
        wasi_sockets::p2::bindings::wasi::sockets::tcp::HostTcpSocket::drop(&mut view, each)
            .unwrap();
    }
    wasi_sockets::p2::bindings::wasi::sockets::network::HostNetwork::drop(&mut view, net).unwrap();
    assert!(guest.table.is_empty());
}

#[test]
fn a_stream_error_gives_back_its_code_and_another_error_none() {
    let mut guest = guest();
    let mut view = guest.sockets();
    let reset = wasi_io::Error::new(wasi_sockets::ErrorCode::ConnectionReset);
    let reset = view.table.push(reset).unwrap();
    let code = view.network_error_code(reset).unwrap();
    assert_eq!(code, Some(ErrorCode::ConnectionReset));
    let other = wasi_io::Error::new(std::fmt::Error);
    let other = view.table.push(other).unwrap();
    assert_eq!(view.network_error_code(other).unwrap(), None);
}

#[test]
fn a_name_is_looked_up() {
    use ip_name_lookup::{Host as _, HostResolveAddressStream as _};
    let mut guest = guest();
    let mut view = guest.sockets();
    let net = view.instance_network().unwrap();
    let stream = view
        .resolve_addresses(borrow(&net), "a.example".into())
        .unwrap()
        .unwrap();
    let mut next = || view.resolve_next_address(borrow(&stream)).unwrap().unwrap();
    assert!(matches!(next(), Some(IpAddress::Ipv4((127, 0, 0, 1)))));
    assert!(next().is_none());
    let refused = view.resolve_addresses(borrow(&net), "a b".into()).unwrap();
    assert!(matches!(refused, Err(ErrorCode::InvalidArgument)));
}

/// Apart, because both kinds of sockets have methods of the same names.
mod udp {
    use super::{borrow, guest};
    use std::net::SocketAddr;
    use wasi_sockets::p2::WasiSocketsView as _;
    use wasi_sockets::p2::bindings::wasi::sockets::instance_network::Host as _;
    use wasi_sockets::p2::bindings::wasi::sockets::network::{
        IpAddressFamily, IpSocketAddress, Ipv4SocketAddress,
    };
    use wasi_sockets::p2::bindings::wasi::sockets::udp::{
        HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, OutgoingDatagram,
    };
    use wasi_sockets::p2::bindings::wasi::sockets::udp_create_socket::Host as _;

    #[test]
    fn datagrams_from_create_to_drop_leave_nothing_in_the_table() {
        let mut guest = guest();
        let mut view = guest.sockets();
        let net = view.instance_network().unwrap();
        let any = IpSocketAddress::Ipv4(Ipv4SocketAddress {
            port: 0,
            address: (127, 0, 0, 1),
        });
        let [server, client] = [(); 2].map(|()| {
            let family = IpAddressFamily::Ipv4;
            let socket = view.create_udp_socket(family);
            let socket = socket.unwrap().unwrap();
            view.start_bind(borrow(&socket), borrow(&net), any)
                .unwrap()
                .unwrap();
            let bound = view.finish_bind(borrow(&socket)).unwrap();
            assert_eq!(bound, Ok(()));
            socket
        });
        let server_address = view.local_address(borrow(&server)).unwrap().unwrap();
        let (incoming, unused) = view.stream(borrow(&server), None).unwrap().unwrap();
        let (unused_2, outgoing) = view
            .stream(borrow(&client), Some(server_address))
            .unwrap()
            .unwrap();
        let peer = view.remote_address(borrow(&client)).unwrap();
        assert_eq!(SocketAddr::from(peer.unwrap()), server_address.into());

        let datagram = |remote_address| OutgoingDatagram {
            data: b"hello".to_vec(),
            remote_address,
        };
        let unpermitted = view.send(borrow(&outgoing), vec![datagram(None)]);
        assert!(unpermitted.is_err(), "a trap");
        assert!(view.check_send(borrow(&outgoing)).unwrap().unwrap() >= 3);
        let elsewhere = vec![
            datagram(None),
            datagram(Some(server_address)),
            datagram(Some(any)),
        ];
        let sent = view.send(borrow(&outgoing), elsewhere).unwrap();
        assert_eq!(sent, Ok(2));
        let received = view.receive(borrow(&incoming), u64::MAX).unwrap().unwrap();
        let client_address = view.local_address(borrow(&client)).unwrap().unwrap();
        assert_eq!(received.len(), 2);
        for datagram in received {
            assert_eq!(datagram.data, b"hello");
            let from = SocketAddr::from(datagram.remote_address);
            assert_eq!(from, client_address.into());
        }
        for (set, read) in [(7, Ok(7)), (0, Ok(7))] {
            let answer = view.set_unicast_hop_limit(borrow(&client), set).unwrap();
            assert_eq!(answer.is_ok(), set > 0);
            assert_eq!(view.unicast_hop_limit(borrow(&client)).unwrap(), read);
        }

        for stream in [incoming, unused_2] {
            HostIncomingDatagramStream::drop(&mut view, stream).unwrap();
        }
        for stream in [outgoing, unused] {
            HostOutgoingDatagramStream::drop(&mut view, stream).unwrap();
        }
        for socket in [server, client] {
            HostUdpSocket::drop(&mut view, socket).unwrap();
        }
        view.table.delete(net).unwrap();
        assert!(guest.table.is_empty());
    }
}
