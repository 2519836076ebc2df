use super::WasiWebSocketCtxView;
use super::bindings::agave::websocket::types::{
    self, CloseStatus, ErrorCode, Message, MessageType, Method, Scheme,
};
use crate::GuestFields;
use crate::websocket::{self, Connection, OutgoingMessage, UpgradeRequest};
use alloc::string::String;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::result::Result as Answer;
use wasi_io::p2::{DynPollable, subscribe_owned};
use wasi_io::{DynInputStream, DynOutputStream};
use wasmtime::Result;
use wasmtime::component::Resource;

impl types::Host for WasiWebSocketCtxView<'_> {
    fn websocket_error_code(
        &mut self,
        error: Resource<wasi_io::Error>,
    ) -> Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?;
        let code = error.downcast_ref::<websocket::ErrorCode>();
        Ok(code.cloned().map(Into::into))
    }
}

impl types::HostConnection for WasiWebSocketCtxView<'_> {
    fn subprotocol(&mut self, connection: Resource<Connection>) -> Result<Option<String>> {
        Ok(self.table.get(&connection)?.subprotocol().map(Into::into))
    }

    fn receive(
        &mut self,
        connection: Resource<Connection>,
    ) -> Result<Answer<Option<Message>, ErrorCode>> {
        let message = self.table.get_mut(&connection)?.receive();
        Ok(message
            .map(|message| message.map(Into::into))
            .map_err(Into::into))
    }

    async fn blocking_receive(
        &mut self,
        connection: Resource<Connection>,
    ) -> Result<Answer<Message, ErrorCode>> {
        let connection = self.table.get_mut(&connection)?;
        let message = poll_fn(|cx| connection.poll_receive(cx)).await;
        Ok(message.map(Into::into).map_err(Into::into))
    }

    fn receive_stream(
        &mut self,
        connection: Resource<Connection>,
    ) -> Result<Answer<Option<(MessageType, Resource<DynInputStream>)>, ErrorCode>> {
        Ok(match self.table.get_mut(&connection)?.receive_stream() {
            Ok(Some((kind, stream))) => {
                let stream = self.table.push_child(stream, &connection)?;
                Ok(Some((kind.into(), stream)))
            }
            Ok(None) => Ok(None),
            Err(code) => Err(code.into()),
        })
    }

    fn subscribe_receive(
        &mut self,
        connection: Resource<Connection>,
    ) -> Result<Resource<DynPollable>> {
        let event = self.table.get(&connection)?.readable();
        subscribe_owned(self.table, event)
    }

    fn check_send(&mut self, connection: Resource<Connection>) -> Result<Answer<u64, ErrorCode>> {
        let longest = self.table.get_mut(&connection)?.check_send();
        Ok(longest.map(|len| len as u64).map_err(Into::into))
    }

    fn send(
        &mut self,
        connection: Resource<Connection>,
        message: Message,
    ) -> Result<Answer<(), ErrorCode>> {
        let sent = self.table.get_mut(&connection)?.send(message.into());
        Ok(sent.map_err(Into::into))
    }

    async fn blocking_send(
        &mut self,
        connection: Resource<Connection>,
        message: Message,
    ) -> Result<Answer<(), ErrorCode>> {
        let connection = self.table.get_mut(&connection)?;
        let mut message = Some(message.into());
        let sent = poll_fn(|cx| connection.poll_send(cx, &mut message)).await;
        Ok(sent.map_err(Into::into))
    }

    fn send_stream(
        &mut self,
        connection: Resource<Connection>,
        kind: MessageType,
    ) -> Result<Answer<Resource<OutgoingMessage>, ErrorCode>> {
        let begun = self.table.get_mut(&connection)?.send_stream(kind.into());
        Ok(match begun {
            Ok(message) => Ok(self.table.push_child(message, &connection)?),
            Err(code) => Err(code.into()),
        })
    }

    fn subscribe_send(
        &mut self,
        connection: Resource<Connection>,
    ) -> Result<Resource<DynPollable>> {
        let event = self.table.get(&connection)?.writable();
        subscribe_owned(self.table, event)
    }

    fn close(
        &mut self,
        connection: Resource<Connection>,
        status: Option<CloseStatus>,
    ) -> Result<Answer<(), ErrorCode>> {
        let connection = self.table.get_mut(&connection)?;
        let closed = connection.close(status.map(Into::into));
        Ok(closed.map_err(Into::into))
    }

    fn ended(&mut self, connection: Resource<Connection>) -> Result<Option<ErrorCode>> {
        Ok(self.table.get_mut(&connection)?.ended().map(Into::into))
    }

    fn drop(&mut self, connection: Resource<Connection>) -> Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl types::HostOutgoingMessage for WasiWebSocketCtxView<'_> {
    fn write(
        &mut self,
        message: Resource<OutgoingMessage>,
    ) -> Result<Answer<Resource<DynOutputStream>, ()>> {
        Ok(match self.table.get_mut(&message)?.write() {
            Some(stream) => Ok(self.table.push_child(stream, &message)?),
            None => Err(()),
        })
    }

    fn finish(&mut self, message: Resource<OutgoingMessage>) -> Result<Answer<(), ErrorCode>> {
        // With the stream still there this fails, and the guest traps.
        let finished = self.table.delete(message)?.finish();
        Ok(finished.map_err(Into::into))
    }

    fn drop(&mut self, message: Resource<OutgoingMessage>) -> Result<()> {
        self.table.delete(message)?;
        Ok(())
    }
}

impl types::HostUpgradeRequest for WasiWebSocketCtxView<'_> {
    fn method(&mut self, request: Resource<UpgradeRequest>) -> Result<Method> {
        Ok(self.table.get(&request)?.method.clone().into())
    }

    fn path_with_query(&mut self, request: Resource<UpgradeRequest>) -> Result<Option<String>> {
        Ok(self.table.get(&request)?.path_with_query.clone())
    }

    fn scheme(&mut self, request: Resource<UpgradeRequest>) -> Result<Option<Scheme>> {
        Ok(self.table.get(&request)?.scheme.clone().map(Into::into))
    }

    fn authority(&mut self, request: Resource<UpgradeRequest>) -> Result<Option<String>> {
        Ok(self.table.get(&request)?.authority.clone())
    }

    fn headers(&mut self, request: Resource<UpgradeRequest>) -> Result<Resource<GuestFields>> {
        let fields = GuestFields::immutable(self.table.get(&request)?.headers.clone());
        Ok(self.table.push_child(fields, &request)?)
    }

    fn subprotocols(&mut self, request: Resource<UpgradeRequest>) -> Result<Vec<String>> {
        Ok(self.table.get(&request)?.subprotocols.clone())
    }

    fn accept(
        &mut self,
        request: Resource<UpgradeRequest>,
        subprotocol: Option<String>,
        headers: Option<Resource<GuestFields>>,
    ) -> Result<Answer<Resource<Connection>, ErrorCode>> {
        let headers = self.take_fields(headers)?;
        let request = self.table.delete(request)?;
        Ok(match request.accept(self.ctx, subprotocol, headers) {
            Ok(connection) => Ok(self.table.push(connection)?),
            Err(code) => Err(code.into()),
        })
    }

    fn refuse(
        &mut self,
        request: Resource<UpgradeRequest>,
        status: u16,
        headers: Option<Resource<GuestFields>>,
        body: Option<Vec<u8>>,
    ) -> Result<Answer<(), ErrorCode>> {
        let headers = self.take_fields(headers)?;
        let request = self.table.delete(request)?;
        let refused = request.refuse(status, headers, body.unwrap_or_default().into());
        Ok(refused.map_err(Into::into))
    }

    fn drop(&mut self, request: Resource<UpgradeRequest>) -> Result<()> {
        self.table.delete(request)?;
        Ok(())
    }
}
