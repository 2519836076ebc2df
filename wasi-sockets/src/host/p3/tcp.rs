use super::bindings::wasi::sockets::types::{
    Duration, ErrorCode, HostTcpSocket, HostTcpSocketWithStore, IpAddressFamily, IpSocketAddress,
};
use super::udp::Answer;
use super::{WasiSockets, WasiSocketsCtxView};
use crate::{DynTcpSocket, IncomingConnections, SocketOption};
use core::future::poll_fn;
use core::iter;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use wasi_io::p3::{read_via_stream, write_via_stream};
use wasi_io::{DynInputStream, DynOutputStream};
use wasmtime::component::{
    Access, Accessor, Destination, FutureReader, Resource, StreamProducer, StreamReader,
    StreamResult,
};
use wasmtime::{Result, StoreContextMut};

type Socket = Resource<DynTcpSocket>;
type End = FutureReader<Answer<()>>;

/// Gives a guest's stream the connections that come in.
struct Accept<T: 'static> {
    incoming: IncomingConnections,
    view: for<'a> fn(&'a mut T) -> WasiSocketsCtxView<'a>,
}

impl<T> StreamProducer<T> for Accept<T> {
    type Item = Socket;
    type Buffer = Option<Socket>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, T>,
        mut destination: Destination<'a, Socket, Self::Buffer>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let room = destination.remaining(&mut store) != Some(0);
        let accepted = match room {
            true => self.incoming.poll_accept(cx).map(Some),
            // The guest waits until there is a connection, which stays with the host.
            false => self.incoming.poll_acceptable(cx).map(|()| None),
        };
        match accepted {
            Poll::Ready(Some(socket)) => {
                let socket = (self.view)(store.data_mut()).table.push(socket)?;
                destination.set_buffer(Some(socket));
            }
            Poll::Ready(None) => {}
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl<T: Send + 'static> HostTcpSocketWithStore<T> for WasiSockets {
    async fn connect(
        accessor: &Accessor<T, Self>,
        socket: Socket,
        remote: IpSocketAddress,
    ) -> Result<Answer<()>> {
        let begun = accessor.with(|mut access| -> Result<_> {
            let socket = access.get().table.get_mut(&socket)?;
            Ok(socket.connect(remote.into()))
        })?;
        if let Err(code) = begun {
            return Ok(Err(code.into()));
        }
        poll_fn(|cx| {
            accessor.with(|mut access| -> Poll<Result<_>> {
                let socket = access.get().table.get_mut(&socket)?;
                let connected = ready!(socket.poll_connect(cx));
                Poll::Ready(Ok(connected.map_err(Into::into)))
            })
        })
        .await
    }

    async fn listen(
        mut access: Access<'_, T, Self>,
        socket: Socket,
    ) -> Result<Answer<StreamReader<Socket>>> {
        let view = access.getter();
        let listening = access.get().table.get_mut(&socket)?.listen().await;
        Ok(match listening {
            Ok(incoming) => Ok(StreamReader::new(&mut access, Accept { incoming, view })?),
            Err(code) => Err(code.into()),
        })
    }

    fn send(
        mut access: Access<'_, T, Self>,
        socket: Socket,
        mut data: StreamReader<u8>,
    ) -> Result<End> {
        match access.get().table.get_mut(&socket)?.take_output() {
            Ok(output) => {
                let output = DynOutputStream::new(output);
                write_via_stream(&mut access, data, output, ErrorCode::from)
            }
            Err(code) => {
                data.close(&mut access)?;
                failed(access, code)
            }
        }
    }

    fn receive(mut access: Access<'_, T, Self>, socket: Socket) -> Result<(StreamReader<u8>, End)> {
        match access.get().table.get_mut(&socket)?.take_input() {
            Ok(input) => {
                let input = DynInputStream::new(input);
                read_via_stream(&mut access, input, ErrorCode::from)
            }
            Err(code) => Ok((
                StreamReader::new(&mut access, iter::empty())?,
                failed(access, code)?,
            )),
        }
    }
}

/// The end of what did not begin.
fn failed<T: Send + 'static>(
    access: Access<'_, T, WasiSockets>,
    code: crate::ErrorCode,
) -> Result<End> {
    FutureReader::new(access, async move { wasmtime::error::Ok(Err(code.into())) })
}

impl HostTcpSocket for WasiSocketsCtxView<'_> {
    fn create(&mut self, family: IpAddressFamily) -> Result<Answer<Socket>> {
        Ok(match DynTcpSocket::new(self.ctx, family.into()) {
            Ok(socket) => Ok(self.table.push(socket)?),
            Err(code) => Err(code.into()),
        })
    }

    async fn bind(&mut self, socket: Socket, local: IpSocketAddress) -> Result<Answer<()>> {
        let bound = self.table.get_mut(&socket)?.bind(local.into()).await;
        Ok(bound.map_err(Into::into))
    }

    fn get_local_address(&mut self, socket: Socket) -> Result<Answer<IpSocketAddress>> {
        let address = self.table.get(&socket)?.local_address();
        Ok(address.map(Into::into).map_err(Into::into))
    }

    fn get_remote_address(&mut self, socket: Socket) -> Result<Answer<IpSocketAddress>> {
        let address = self.table.get(&socket)?.remote_address();
        Ok(address.map(Into::into).map_err(Into::into))
    }

    fn get_is_listening(&mut self, socket: Socket) -> Result<bool> {
        Ok(self.table.get(&socket)?.is_listening())
    }

    fn get_address_family(&mut self, socket: Socket) -> Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.address_family().into())
    }

    fn set_listen_backlog_size(&mut self, socket: Socket, value: u64) -> Result<Answer<()>> {
        let set = self.table.get_mut(&socket)?.set_listen_backlog_size(value);
        Ok(set.map_err(Into::into))
    }

    fn get_keep_alive_enabled(&mut self, socket: Socket) -> Result<Answer<bool>> {
        let value = self.tcp_option(socket, SocketOption::KeepAliveEnabled, u64::MAX)?;
        Ok(value.map(|value| value != 0))
    }

    fn set_keep_alive_enabled(&mut self, socket: Socket, value: bool) -> Result<Answer<()>> {
        self.set_tcp_option(socket, SocketOption::KeepAliveEnabled, value.into())
    }

    fn get_keep_alive_idle_time(&mut self, socket: Socket) -> Result<Answer<Duration>> {
        self.tcp_option(socket, SocketOption::KeepAliveIdleTime, u64::MAX)
    }

    fn set_keep_alive_idle_time(&mut self, socket: Socket, value: Duration) -> Result<Answer<()>> {
        self.set_tcp_option(socket, SocketOption::KeepAliveIdleTime, value)
    }

    fn get_keep_alive_interval(&mut self, socket: Socket) -> Result<Answer<Duration>> {
        self.tcp_option(socket, SocketOption::KeepAliveInterval, u64::MAX)
    }

    fn set_keep_alive_interval(&mut self, socket: Socket, value: Duration) -> Result<Answer<()>> {
        self.set_tcp_option(socket, SocketOption::KeepAliveInterval, value)
    }

    fn get_keep_alive_count(&mut self, socket: Socket) -> Result<Answer<u32>> {
        self.tcp_option(socket, SocketOption::KeepAliveCount, u32::MAX)
    }

    fn set_keep_alive_count(&mut self, socket: Socket, value: u32) -> Result<Answer<()>> {
        self.set_tcp_option(socket, SocketOption::KeepAliveCount, value.into())
    }

    fn get_hop_limit(&mut self, socket: Socket) -> Result<Answer<u8>> {
        self.tcp_option(socket, SocketOption::HopLimit, u8::MAX)
    }

    fn set_hop_limit(&mut self, socket: Socket, value: u8) -> Result<Answer<()>> {
        self.set_tcp_option(socket, SocketOption::HopLimit, value.into())
    }

    fn get_receive_buffer_size(&mut self, socket: Socket) -> Result<Answer<u64>> {
        self.tcp_option(socket, SocketOption::ReceiveBufferSize, u64::MAX)
    }

    fn set_receive_buffer_size(&mut self, socket: Socket, value: u64) -> Result<Answer<()>> {
        self.set_tcp_option(socket, SocketOption::ReceiveBufferSize, value)
    }

    fn get_send_buffer_size(&mut self, socket: Socket) -> Result<Answer<u64>> {
        self.tcp_option(socket, SocketOption::SendBufferSize, u64::MAX)
    }

    fn set_send_buffer_size(&mut self, socket: Socket, value: u64) -> Result<Answer<()>> {
        self.set_tcp_option(socket, SocketOption::SendBufferSize, value)
    }

    fn drop(&mut self, socket: Socket) -> Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}
