//! Bodies in both directions and the futures around them, without an engine or a network.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use wasi_http::memory::{Frames, Full};
use wasi_http::*;
use wasi_io::{DynInputStream, DynOutputStream, Pollable, StreamError};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn poll(body: &mut impl Body) -> Poll<Option<Result<Frame, ErrorCode>>> {
    body.poll_frame(&mut Context::from_waker(Waker::noop()))
}

fn data(body: &mut impl Body) -> Vec<u8> {
    match poll(body) {
        Poll::Ready(Some(Ok(Frame::Data(data)))) => data.into(),
        _ => panic!("no data"),
    }
}

fn error(body: &mut impl Body) -> ErrorCode {
    match poll(body) {
        Poll::Ready(Some(Err(code))) => code,
        _ => panic!("no error"),
    }
}

fn is_over(body: &mut impl Body) -> bool {
    matches!(poll(body), Poll::Ready(None))
}

fn write(stream: &mut DynOutputStream, bytes: &[u8]) -> Result<(), StreamError> {
    stream.check_write()?;
    stream.write(bytes).unwrap()
}

fn code(error: StreamError) -> ErrorCode {
    match error {
        StreamError::LastOperationFailed(cause) => cause.downcast_ref().cloned().unwrap(),
        StreamError::Closed => panic!("closed"),
    }
}

fn trailers() -> Fields {
    let mut fields = Fields::new();
    fields.append("x-sum", "1").unwrap();
    fields
}

#[test]
fn a_body_that_is_written_and_finished_is_one_frame_of_known_length() {
    let (mut body, mut reader) = OutgoingBody::new(MessageKind::Response, None, 100);
    let mut stream = body.write().unwrap();
    assert!(body.write().is_none());
    write(&mut stream, b"hello ").unwrap();
    stream.flush().unwrap();
    write(&mut stream, b"world").unwrap();
    assert_eq!(reader.remaining(), None);
    drop(stream);
    body.finish(None).unwrap();

    assert_eq!(reader.remaining(), Some(11));
    assert!(!reader.is_end());
    assert_eq!(data(&mut reader), b"hello world");
    assert!(reader.is_end());
    assert!(is_over(&mut reader));
    assert!(is_over(&mut reader));
}

#[test]
fn bytes_that_are_copied_and_bytes_that_are_not_keep_their_order() {
    let (mut body, mut reader) = OutgoingBody::new(MessageKind::Response, None, 10_000);
    let mut stream = body.write().unwrap();
    let (small, large) = (vec![1; 100], vec![2; 3000]);
    let mut expected = Vec::new();
    for part in [&small, &large, &small, &small, &large, &small] {
        let frame = Ok(Frame::Data(part.clone().into()));
        let mut source = IncomingBody::new(Box::new(Frames::new([frame])));
        let mut source = source.stream().unwrap();
        assert_eq!(stream.splice(&mut source, 5000).unwrap(), part.len());
        expected.extend_from_slice(part);
    }
    drop(stream);
    body.finish(Some(trailers())).unwrap();
    assert_eq!(
        reader.remaining(),
        None,
        "trailers need a body of unknown length"
    );

    let mut content = Vec::new();
    let mut last = None;
    while let Poll::Ready(Some(Ok(frame))) = poll(&mut reader) {
        match frame {
            Frame::Data(data) => content.extend_from_slice(&data),
            Frame::Trailers(fields) => last = Some(fields),
        }
    }
    assert_eq!(content, expected);
    assert_eq!(last, Some(trailers()));
    assert!(reader.is_end());
}

#[test]
fn a_full_window_makes_the_writer_wait_for_the_reader() {
    let (mut body, mut reader) = OutgoingBody::new(MessageKind::Request, None, 8);
    let mut stream = body.write().unwrap();
    assert_eq!(stream.check_write().unwrap(), 8);
    stream.write(b"12345").unwrap().unwrap();
    assert_eq!(stream.check_write().unwrap(), 3);
    stream.write(b"678").unwrap().unwrap();
    assert_eq!(stream.check_write().unwrap(), 0);

    let counts = [Arc::<Count>::default(), Arc::<Count>::default()];
    for count in &counts {
        let waker = Waker::from(count.clone());
        let ready = stream.poll_ready(&mut Context::from_waker(&waker));
        assert!(ready.is_pending());
    }
    assert_eq!(data(&mut reader), b"12345678");
    assert_eq!(counts.map(|count| count.get()), [1, 1]);
    assert_eq!(stream.check_write().unwrap(), 8);
}

#[test]
fn each_end_wakes_the_reader() {
    let count = Arc::<Count>::default();
    let waker = Waker::from(count.clone());
    let (mut body, mut reader) = OutgoingBody::new(MessageKind::Request, None, 8);
    let mut poll = || reader.poll_frame(&mut Context::from_waker(&waker));
    assert!(poll().is_pending());
    let mut stream = body.write().unwrap();
    write(&mut stream, b"1").unwrap();
    assert_eq!(count.get(), 1);
    assert!(poll().is_ready());
    assert!(poll().is_pending());
    drop(stream);
    body.finish(None).unwrap();
    assert_eq!(count.get(), 2);
    assert!(matches!(poll(), Poll::Ready(None)));
}

#[test]
fn a_body_shorter_than_its_content_length_fails_on_both_ends() {
    let (mut body, mut reader) = OutgoingBody::new(MessageKind::Request, Some(5), 100);
    assert_eq!(reader.remaining(), Some(5));
    let mut stream = body.write().unwrap();
    write(&mut stream, b"123").unwrap();
    drop(stream);
    let expected = ErrorCode::HttpRequestBodySize(Some(3));
    assert_eq!(body.finish(None), Err(expected.clone()));
    assert_eq!(data(&mut reader), b"123");
    assert!(!reader.is_end());
    assert_eq!(error(&mut reader), expected);
    assert!(is_over(&mut reader));
}

#[test]
fn a_write_past_the_content_length_fails_the_body() {
    let (mut body, mut reader) = OutgoingBody::new(MessageKind::Response, Some(5), 100);
    let mut stream = body.write().unwrap();
    write(&mut stream, b"123").unwrap();
    assert_eq!(data(&mut reader), b"123");
    assert_eq!(reader.remaining(), Some(2));
    let expected = ErrorCode::HttpResponseBodySize(Some(6));
    assert_eq!(code(write(&mut stream, b"456").unwrap_err()), expected);
    let closed = stream.check_write();
    assert!(matches!(closed, Err(StreamError::Closed)));
    drop(stream);
    assert_eq!(body.finish(None), Err(expected.clone()));
    assert_eq!(error(&mut reader), expected);
}

#[test]
fn a_body_of_exactly_its_content_length_is_whole() {
    let (mut body, mut reader) = OutgoingBody::new(MessageKind::Response, Some(3), 100);
    let mut stream = body.write().unwrap();
    write(&mut stream, b"123").unwrap();
    assert_eq!(data(&mut reader), b"123");
    assert!(!reader.is_end(), "it may still fail");
    assert_eq!(stream.check_write().unwrap(), 100);
    drop(stream);
    body.finish(None).unwrap();
    assert!(reader.is_end());
}

#[test]
fn a_body_that_is_dropped_unfinished_is_an_error_after_its_bytes() {
    for (kind, expected) in [
        (MessageKind::Response, ErrorCode::HttpResponseIncomplete),
        (
            MessageKind::Request,
            ErrorCode::InternalError(Some("the request was given up".into())),
        ),
    ] {
        let (mut body, mut reader) = OutgoingBody::new(kind, None, 100);
        let mut stream = body.write().unwrap();
        write(&mut stream, b"123").unwrap();
        drop((stream, body));
        assert_eq!(reader.remaining(), None);
        assert_eq!(data(&mut reader), b"123");
        assert_eq!(error(&mut reader), expected);
        assert!(is_over(&mut reader));
    }
}

#[test]
fn a_reader_that_goes_away_closes_the_stream() {
    let (mut body, reader) = OutgoingBody::new(MessageKind::Response, Some(100), 4);
    let mut stream = body.write().unwrap();
    write(&mut stream, b"1234").unwrap();
    let count = Arc::<Count>::default();
    let waker = Waker::from(count.clone());
    assert!(
        stream
            .poll_ready(&mut Context::from_waker(&waker))
            .is_pending()
    );
    drop(reader);
    assert_eq!(count.get(), 1);
    let closed = stream.check_write();
    assert!(matches!(closed, Err(StreamError::Closed)));
    drop(stream);
    assert_eq!(body.finish(None), Ok(()));
}

#[test]
fn a_reader_that_has_all_of_the_content_goes_away_and_the_stream_stays_open() {
    for (read, open) in [(true, true), (false, false)] {
        let (mut body, mut reader) = OutgoingBody::new(MessageKind::Request, Some(4), 4);
        let mut stream = body.write().unwrap();
        write(&mut stream, b"1234").unwrap();
        if read {
            assert_eq!(data(&mut reader), b"1234");
        }
        drop(reader);
        assert_eq!(stream.flush().is_ok(), open);
        assert_eq!(stream.check_write().is_ok(), open);
        let more = write(&mut stream, b"5");
        assert!(more.is_err());
        if open {
            assert_eq!(
                code(more.unwrap_err()),
                ErrorCode::HttpRequestBodySize(Some(5))
            );
        }
    }
    let (mut body, reader) = OutgoingBody::new(MessageKind::Request, Some(0), 4);
    drop(reader);
    assert!(body.write().unwrap().check_write().is_ok());
    assert_eq!(body.finish(None), Ok(()));
}

/// A body under way: the guest's end of the other message writes it.
fn open() -> (OutgoingBody, IncomingBody) {
    let (writer, reader) = OutgoingBody::new(MessageKind::Request, None, 100);
    (writer, IncomingBody::new(Box::new(reader)))
}

#[test]
fn content_is_read_in_the_pieces_that_the_guest_asks_for() {
    let (mut writer, mut body) = open();
    let mut stream = body.stream().unwrap();
    assert!(body.stream().is_none());
    assert_eq!(stream.read(10).unwrap(), "");
    write(&mut writer.write().unwrap(), b"hello").unwrap();
    assert_eq!(stream.read(2).unwrap(), "he");
    assert_eq!(stream.read(10).unwrap(), "llo");
    assert_eq!(stream.read(10).unwrap(), "");
    writer.finish(Some(trailers())).unwrap();
    assert!(matches!(stream.read(10), Err(StreamError::Closed)));
    drop(stream);
    let mut future = body.finish();
    assert_eq!(future.get(), Some(Ok(Ok(Some(trailers())))));
    assert_eq!(future.get(), Some(Err(AlreadyTaken)));
}

#[test]
fn a_body_that_fails_says_why_to_the_stream_and_to_the_trailers() {
    let parts = [
        Ok(Frame::Data("ab".into())),
        Err(ErrorCode::ConnectionTerminated),
    ];
    let mut body = IncomingBody::new(Box::new(Frames::new(parts)));
    let mut stream = body.stream().unwrap();
    assert_eq!(stream.read(10).unwrap(), "ab");
    assert!(
        stream
            .poll_ready(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    );
    assert_eq!(
        code(stream.read(10).unwrap_err()),
        ErrorCode::ConnectionTerminated
    );
    assert!(matches!(stream.read(10), Err(StreamError::Closed)));
    drop(stream);
    let mut future = body.finish();
    assert_eq!(future.get(), Some(Ok(Err(ErrorCode::ConnectionTerminated))));
}

#[test]
fn trailers_come_without_the_content_being_read() {
    let (mut writer, mut body) = open();
    let mut output = writer.write().unwrap();
    write(&mut output, &[0; 100]).unwrap();
    let mut stream = body.stream().unwrap();
    assert_eq!(stream.read(7).unwrap().len(), 7);
    drop(stream);
    let mut future = body.finish();
    assert_eq!(future.get(), None);
    // What waited was dropped, and so is what comes now.
    let counts = [Arc::<Count>::default(), Arc::<Count>::default()];
    for count in &counts {
        let waker = Waker::from(count.clone());
        let ready = future.poll_ready(&mut Context::from_waker(&waker));
        assert!(ready.is_pending());
    }
    write(&mut output, &[0; 100]).unwrap();
    drop(output);
    assert_eq!(counts.each_ref().map(|count| count.get()), [1, 1]);
    assert_eq!(future.get(), None);
    writer.finish(None).unwrap();
    pollster::block_on(poll_fn(|cx| future.poll_ready(cx)));
    assert_eq!(future.get(), Some(Ok(Ok(None))));
}

#[test]
fn trailers_are_without_the_hosts_fields() {
    let mut fields = trailers();
    fields.append("Transfer-Encoding", "chunked").unwrap();
    let body = IncomingBody::new(Box::new(Frames::new([Ok(Frame::Trailers(fields))])));
    assert_eq!(body.finish().get(), Some(Ok(Ok(Some(trailers())))));
}

#[test]
fn a_long_body_that_nobody_reads_leaves_room_for_other_tasks() {
    let parts = (0..1000).map(|_| Ok(Frame::Data("a".into())));
    let body = IncomingBody::new(Box::new(Frames::new(parts)));
    let mut future = body.finish();
    assert_eq!(future.get(), None);
    pollster::block_on(poll_fn(|cx| future.poll_ready(cx)));
    assert_eq!(future.get(), Some(Ok(Ok(None))));
}

#[test]
fn a_body_that_is_dropped_is_not_wanted() {
    let (mut writer, mut body) = open();
    let mut output = writer.write().unwrap();
    let stream: DynInputStream = body.stream().unwrap();
    drop(stream);
    assert!(output.check_write().is_ok());
    drop(body);
    assert!(matches!(output.check_write(), Err(StreamError::Closed)));
}

fn response(content: &'static str) -> Response {
    Response {
        status: 201,
        headers: trailers(),
        body: Box::new(Full::new(content)),
    }
}

fn request() -> OutgoingRequest {
    let mut request = OutgoingRequest::new(Fields::new());
    request.set_authority(Some("example.com".into())).unwrap();
    request
}

#[test]
fn a_response_is_waited_for_and_taken_once() {
    // Ready when this body has ended; it wakes only the task that polled it last.
    let (mut answer, mut ended) = OutgoingBody::new(MessageKind::Request, None, 100);
    let mut future = FutureIncomingResponse::new(Box::pin(async move {
        poll_fn(|cx| ended.poll_frame(cx)).await;
        Ok(response("ok"))
    }));
    assert!(future.get().is_none());
    let count = Arc::<Count>::default();
    let waker = Waker::from(count.clone());
    assert!(
        future
            .poll_ready(&mut Context::from_waker(&waker))
            .is_pending()
    );
    // A look without a waker does not take the place of the one that waits.
    assert!(future.get().is_none());
    drop(answer.write());
    answer.finish(None).unwrap();
    assert_eq!(count.get(), 1);
    pollster::block_on(poll_fn(|cx| future.poll_ready(cx)));
    let mut taken = future.get().unwrap().unwrap().unwrap();
    assert_eq!(taken.status, 201);
    let mut body = taken.consume().unwrap();
    assert!(taken.consume().is_none());
    assert_eq!(body.stream().unwrap().read(10).unwrap(), "ok");
    assert!(matches!(future.get(), Some(Err(AlreadyTaken))));
}

#[test]
fn a_guest_without_a_client_is_denied() {
    let ctx = WasiHttpCtx::new();
    let refused = ctx.handle(request(), RequestOptions::default()).map(drop);
    assert_eq!(refused, Err(ErrorCode::HttpRequestDenied));
}

#[test]
fn a_service_may_answer_with_the_body_that_is_still_written() {
    let client = memory::Service::new(|request: Request, options: RequestOptions| {
        assert_eq!(options.connect_timeout, Some(7));
        Ok(Response {
            status: 200,
            headers: request.headers,
            body: request.body,
        })
    });
    let ctx = WasiHttpCtx::new().client(Arc::new(client));
    let mut request = request();
    let mut writer = request.body(ctx.window()).unwrap();
    let options = RequestOptions {
        connect_timeout: Some(7),
        ..RequestOptions::default()
    };
    let mut future = ctx.handle(request, options).unwrap();
    let mut response = future.get().unwrap().unwrap().unwrap();
    let mut body = response.consume().unwrap();
    let mut stream = body.stream().unwrap();
    let mut output = writer.write().unwrap();
    for part in ["a", "bc"] {
        write(&mut output, part.as_bytes()).unwrap();
        assert_eq!(stream.read(10).unwrap(), part);
    }
}

#[test]
fn an_outparam_gives_one_response_or_is_dropped() {
    let given = Arc::new(std::sync::Mutex::new(Vec::new()));
    let outparam = || {
        let given = given.clone();
        ResponseOutparam::new(move |response| {
            let status = response.map(|response: Response| response.status);
            given.lock().unwrap().push(status);
        })
    };
    outparam().set(Ok(OutgoingResponse::new(Fields::new())));
    outparam().set(Err(ErrorCode::LoopDetected));
    let mut early = OutgoingResponse::new(Fields::new());
    early.set_status(199).unwrap();
    outparam().set(Ok(early));
    drop(outparam());
    assert_eq!(
        *given.lock().unwrap(),
        [
            Ok(200),
            Err(ErrorCode::LoopDetected),
            Err(ErrorCode::HttpProtocolError)
        ]
    );
    assert_eq!(Arc::strong_count(&given), 1, "a dropped outparam lets go");
}

#[test]
fn informational_responses_go_to_the_host_that_takes_them() {
    let unsupported = ResponseOutparam::new(drop).send_informational(103, Fields::new());
    assert!(matches!(
        unsupported,
        Err(ErrorCode::InternalError(Some(_)))
    ));

    let (sender, sent) = std::sync::mpsc::channel();
    let mut outparam = ResponseOutparam::new(drop).informational(move |status, fields| {
        sender.send((status, fields)).unwrap();
        Ok(())
    });
    for (status, valid) in [
        (99, false),
        (100, true),
        (101, false),
        (199, true),
        (200, false),
    ] {
        let result = outparam.send_informational(status, trailers());
        let expected = valid.then_some(()).ok_or(ErrorCode::HttpProtocolError);
        assert_eq!(result, expected, "{status}");
    }
    drop(outparam);
    let sent: Vec<_> = sent.into_iter().collect();
    assert_eq!(sent, [(100, trailers()), (199, trailers())]);
}
