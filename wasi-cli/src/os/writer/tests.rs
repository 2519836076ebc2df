use super::*;
use core::task::Waker;
use std::io::ErrorKind;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

/// Tells what is to be written, then waits for leave to have written it.
struct Gate {
    tell: Sender<Vec<u8>>,
    leave: Receiver<io::Result<()>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A test that has seen enough hangs up.
        let _ = self.tell.send(bytes.to_vec());
        self.leave.recv().unwrap_or(Ok(()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn gate() -> (Arc<Thread>, Receiver<Vec<u8>>, Sender<io::Result<()>>) {
    let ((tell, told), (give, leave)) = (mpsc::channel(), mpsc::channel());
    (Arc::new(Thread::new(Gate { tell, leave })), told, give)
}

fn put(writer: &Writer, bytes: &[u8]) -> DynOutputStream {
    let mut stream = writer.stream();
    assert!(stream.check_write().unwrap() >= bytes.len());
    stream.write(bytes).unwrap().unwrap();
    stream
}

fn is_ready(stream: &mut DynOutputStream) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    stream.poll_ready(&mut cx).is_ready()
}

fn wait(stream: &mut DynOutputStream) {
    pollster::block_on(poll_fn(|cx| stream.poll_ready(cx)));
}

#[test]
fn streams_write_in_the_order_of_their_calls_also_after_they_are_dropped() {
    let (thread, told, give) = gate();
    let writer = Writer::on(thread);
    drop(put(&writer, b"a"));
    assert_eq!(told.recv_timeout(LONG).unwrap(), b"a");
    drop(put(&writer, b"b"));
    drop(put(&writer, b"c"));
    drop(writer);
    give.send(Ok(())).unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), b"bc");
    drop(give);
    // The thread ends, and the sink with it.
    assert!(told.recv_timeout(LONG).is_err());
}

#[test]
fn a_flush_ends_when_the_bytes_before_it_are_written() {
    let (thread, told, give) = gate();
    let writer = Writer::on(thread);
    let mut stream = put(&writer, b"a");
    told.recv_timeout(LONG).unwrap();
    stream.flush().unwrap();
    assert!(!is_ready(&mut stream));
    assert_eq!(stream.check_write().unwrap(), 0);
    let mut other = put(&writer, b"b");
    assert!(is_ready(&mut other), "another stream is not held up");
    give.send(Ok(())).unwrap();
    wait(&mut stream);
    assert!(stream.check_write().unwrap() > 0);
    assert_eq!(told.recv_timeout(LONG).unwrap(), b"b");
    give.send(Ok(())).unwrap();
    pollster::block_on(writer.written()).unwrap();
}

#[test]
fn nobody_who_can_write_waits_for_the_sink_and_the_buffer_is_bounded() {
    let (thread, told, give) = gate();
    let writer = Writer::on(thread);
    let mut stream = writer.stream();
    let mut taken = 0;
    loop {
        let permit = stream.check_write().unwrap();
        if permit == 0 {
            break;
        }
        stream.write(&alloc::vec![7; permit]).unwrap().unwrap();
        taken += permit;
    }
    assert_eq!(taken, CAPACITY);
    assert!(!is_ready(&mut stream));
    // What the sink takes makes room.
    let first = told.recv_timeout(LONG).unwrap().len();
    give.send(Ok(())).unwrap();
    wait(&mut stream);
    assert_eq!(stream.check_write().unwrap(), first.div_ceil(2));
}

#[test]
fn the_permits_of_all_streams_together_are_bounded() {
    let (thread, _told, _give) = gate();
    let writer = Writer::on(thread);
    let mut streams: Vec<_> = (0..1000).map(|_| writer.stream()).collect();
    let permits: Vec<_> = streams
        .iter_mut()
        .map(|s| s.check_write().unwrap())
        .collect();
    assert_eq!(permits.iter().sum::<usize>(), CAPACITY);
    for (stream, permit) in streams.iter_mut().zip(permits) {
        stream.write(&alloc::vec![7; permit]).unwrap().unwrap();
    }
    let state = writer.0.state.lock();
    assert_eq!((state.taken, state.permitted), (CAPACITY as u64, 0));
}

#[test]
fn a_permit_that_is_given_back_is_there_for_others() {
    type GiveBack = fn(DynOutputStream) -> Option<DynOutputStream>;
    let ways: [(&str, GiveBack); 2] = [
        ("dropped", |_| None),
        ("flushed", |mut stream| {
            stream.flush().unwrap();
            Some(stream)
        }),
    ];
    for (way, give_back) in ways {
        let (thread, _told, _give) = gate();
        let writer = Writer::on(thread);
        let mut streams: Vec<_> = (0..20).map(|_| writer.stream()).collect();
        for stream in &mut streams {
            stream.check_write().unwrap();
        }
        let mut last = streams.pop().unwrap();
        assert_eq!(last.check_write().unwrap(), 0, "{way}");
        let first = streams.remove(0);
        let waiter = thread::spawn(move || {
            wait(&mut last);
            last.check_write().unwrap()
        });
        let _kept = give_back(first);
        assert!(waiter.join().unwrap() > 0, "{way}");
    }
}

#[test]
fn a_sink_that_fails_closes_the_output() {
    for (kind, closed) in [
        (ErrorKind::BrokenPipe, true),
        (ErrorKind::StorageFull, false),
    ] {
        let (thread, told, give) = gate();
        let writer = Writer::on(thread);
        let mut stream = put(&writer, b"a");
        stream.flush().unwrap();
        told.recv_timeout(LONG).unwrap();
        give.send(Err(kind.into())).unwrap();
        wait(&mut stream);
        match stream.check_write() {
            Err(StreamError::Closed) => assert!(closed, "{kind}"),
            Err(StreamError::LastOperationFailed(cause)) => {
                assert!(!closed, "{kind}");
                assert_eq!(cause.downcast_ref::<io::Error>().unwrap().kind(), kind);
            }
            Ok(permit) => panic!("{kind}: {permit}"),
        }
        let again = writer.stream().check_write();
        assert!(matches!(again, Err(StreamError::Closed)), "{kind}: once");
        pollster::block_on(writer.written()).unwrap();
    }
}

#[test]
fn a_failure_that_no_guest_saw_is_told_to_who_waits_for_the_rest() {
    for (kind, closed) in [
        (ErrorKind::BrokenPipe, true),
        (ErrorKind::StorageFull, false),
    ] {
        let (thread, _told, give) = gate();
        let writer = Writer::on(thread);
        drop(put(&writer, b"a"));
        give.send(Err(kind.into())).unwrap();
        let error = pollster::block_on(writer.written()).unwrap_err();
        assert_eq!(matches!(error, StreamError::Closed), closed, "{kind}");
        pollster::block_on(writer.written()).unwrap();
    }
}

#[test]
fn a_broken_pipe_that_is_held_is_told_to_the_host_alone() {
    let (thread, told, give) = gate();
    let writer = Writer::on(thread).hold_broken_pipe();
    let mut stream = put(&writer, b"a");
    let mut flushed = put(&writer, b"b");
    assert!(stream.check_write().unwrap() > 0);
    flushed.flush().unwrap();
    told.recv_timeout(LONG).unwrap();
    give.send(Err(ErrorKind::BrokenPipe.into())).unwrap();
    pollster::block_on(writer.broken_pipe());
    // What it had a permit for goes nowhere.
    stream.write(b"c").unwrap().unwrap();
    for stream in [&mut stream, &mut flushed, &mut writer.stream()] {
        assert_eq!(stream.check_write().unwrap(), 0);
        stream.flush().unwrap();
        assert!(!is_ready(stream));
    }
    let error = pollster::block_on(writer.written()).unwrap_err();
    assert!(matches!(error, StreamError::Closed));
}

#[test]
fn any_other_failure_is_told_to_the_guest_also_where_broken_pipes_are_held() {
    let (thread, told, give) = gate();
    let writer = Writer::on(thread).hold_broken_pipe();
    let mut stream = put(&writer, b"a");
    stream.flush().unwrap();
    told.recv_timeout(LONG).unwrap();
    give.send(Err(ErrorKind::StorageFull.into())).unwrap();
    wait(&mut stream);
    let answer = stream.check_write();
    assert!(matches!(answer, Err(StreamError::LastOperationFailed(_))));
}

#[test]
fn outputs_on_one_thread_take_turns() {
    let (thread, told, give) = gate();
    let (a, b) = (Writer::on(thread.clone()), Writer::on(thread));
    put(&a, b"a1");
    assert_eq!(told.recv_timeout(LONG).unwrap(), b"a1");
    // While the sink is busy: one more turn of `b` before what `a` adds.
    put(&b, b"b1");
    put(&a, b"a2");
    put(&a, b"a3");
    put(&b, b"b2");
    for expected in [&b"b1b2"[..], b"a2a3"] {
        give.send(Ok(())).unwrap();
        assert_eq!(told.recv_timeout(LONG).unwrap(), expected);
    }
}

#[test]
fn what_need_not_wait_is_written_at_once_and_never_before_what_waits() {
    let (thread, told, give) = gate();
    let (tell, direct) = mpsc::channel();
    let room = Arc::new(Mutex::new(3));
    let thread = Arc::into_inner(thread).unwrap().with_direct({
        let room = room.clone();
        move |bytes: &[u8]| {
            let mut room = room.lock();
            let written = bytes.len().min(*room);
            *room -= written;
            tell.send(bytes[..written].to_vec()).unwrap();
            written
        }
    });
    let thread = Arc::new(thread);
    let (writer, other) = (Writer::on(thread.clone()), Writer::on(thread));
    let mut stream = put(&writer, b"ab");
    assert_eq!(direct.try_recv().unwrap(), b"ab");
    stream.flush().unwrap();
    assert!(is_ready(&mut stream), "it is written");

    // One more byte goes at once, the rest to the thread.
    put(&writer, b"cde");
    assert_eq!(direct.try_recv().unwrap(), b"c");
    assert_eq!(told.recv_timeout(LONG).unwrap(), b"de");
    *room.lock() = 100;
    put(&writer, b"f");
    put(&other, b"g");
    assert!(direct.try_recv().is_err(), "the thread still writes");
    // It has seen neither, and takes turns.
    for expected in [b"g", b"f"] {
        give.send(Ok(())).unwrap();
        assert_eq!(told.recv_timeout(LONG).unwrap(), expected);
    }
    give.send(Ok(())).unwrap();
    for writer in [&writer, &other] {
        pollster::block_on(writer.written()).unwrap();
    }
    put(&other, b"h");
    assert_eq!(direct.try_recv().unwrap(), b"h");
    assert!(told.try_recv().is_err());
}

struct Panics;

impl Write for Panics {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        panic!("as a sink should not")
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_that_panics_has_failed() {
    let writer = Writer::new(Panics);
    let mut stream = put(&writer, b"a");
    stream.flush().unwrap();
    wait(&mut stream);
    let answer = stream.check_write();
    assert!(matches!(answer, Err(StreamError::LastOperationFailed(_))));
}
