//! Streams of the host, many and given up: over files in a preopen `/`, which is empty.

use crate::bindings::wit_stream;
use crate::checks::Checks;
use crate::filesystem::{OK, READ, file, open, preopen, read};
use crate::next;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use wit_bindgen::StreamResult;

pub async fn run(checks: &mut Checks) {
    many(checks).await;
    large(checks).await;
    given_up(checks).await;
}

/// Thousands at once, which are read by turns.
async fn many(checks: &mut Checks) {
    const MANY: usize = 4000;
    let root = preopen("/");
    let content: Vec<u8> = (0..MANY + 8).map(|n| (n % 251) as u8).collect();
    let file = file(&root, "many", &content).await;
    let mut streams: Vec<_> = (0..MANY).map(|n| file.read_via_stream(n as u64)).collect();
    let mut right = 0;
    for round in 0..4 {
        for (n, (stream, _)) in streams.iter_mut().enumerate() {
            let at = n + round * 2;
            right += usize::from(next(stream, 2).await == content[at..at + 2]);
        }
    }
    checks.eq("read-via-stream: thousands at once", right, MANY * 4);
    // Half of them are at their end sooner or later, and the rest is given up.
    let mut ended = 0;
    for (n, (stream, outcome)) in streams.into_iter().enumerate() {
        match n % 2 {
            0 => drop(stream),
            _ => drop(stream.collect().await),
        }
        ended += usize::from(outcome.await.is_ok());
    }
    checks.eq("read-via-stream: thousands of ends", ended, MANY);
    root.unlink_file_at("many".into()).await.expect("to remove");
}

/// More than any buffer holds, written and read at the same time as other things.
async fn large(checks: &mut Checks) {
    const LEN: usize = 8 << 20;
    let root = preopen("/");
    let content: Vec<u8> = (0..LEN).map(|n| (n / 7 % 251) as u8).collect();
    let large = file(&root, "large", b"").await;
    let (mut writer, contents) = wit_stream::new();
    let written = large.write_via_stream(contents, 0);
    let left = writer.write_all(content.clone()).await;
    checks.eq("write-via-stream: 8 MiB are taken", left.len(), 0);
    drop(writer);
    checks.eq("write-via-stream: 8 MiB", written.await, OK);
    let (bytes, outcome) = read(&large, 0).await;
    checks.that("read-via-stream: 8 MiB", bytes == content);
    checks.eq("read-via-stream: 8 MiB, to the end", outcome, OK);

    // From one stream of the host into another, not through this guest's memory.
    let copy = file(&root, "copy", b"").await;
    let (contents, outcome) = large.read_via_stream(0);
    let written = copy.write_via_stream(contents, 0);
    checks.eq(
        "write-via-stream: of a stream of the host",
        written.await,
        OK,
    );
    checks.eq("read-via-stream: into one", outcome.await, OK);
    checks.that(
        "write-via-stream: copied",
        read(&copy, 0).await.0 == content,
    );
    for name in ["large", "copy"] {
        root.unlink_file_at(name.into()).await.expect("to remove");
    }
}

/// Reads and writes that are cancelled, and ends that are dropped.
async fn given_up(checks: &mut Checks) {
    let root = preopen("/");
    let both = file(&root, "half", &[7; 100_000]).await;
    // Of a writer of which nothing comes.
    let (mut writer, contents) = wit_stream::new();
    let written = both.write_via_stream(contents, 0);
    let left = writer.write_all(vec![1; 1000]).await;
    checks.eq("write-via-stream: the first half", left.len(), 0);
    let mut outcome = pin!(written.into_future());
    let early = poll_fn(|context| Poll::Ready(outcome.as_mut().poll(context).is_ready())).await;
    checks.eq("write-via-stream: no outcome before the end", early, false);
    drop(writer);
    checks.eq("write-via-stream: ended half-way", outcome.await, OK);
    checks.that(
        "write-via-stream: half is written",
        read(&both, 0).await.0 == [[1; 1000].as_slice(), &[7; 99_000]].concat(),
    );
    // Outcomes that nobody waits for.
    let (mut writer, contents) = wit_stream::new();
    drop(both.write_via_stream(contents, 0));
    checks.eq(
        "write-via-stream: nobody waits",
        writer.write_all(vec![2; 10]).await.len(),
        0,
    );
    drop(writer);
    let (stream, outcome) = both.read_via_stream(0);
    drop(outcome);
    checks.eq(
        "read-via-stream: nobody waits",
        stream.collect().await.len(),
        100_000,
    );
    // A read that is begun and cancelled: what it took is told, and the next goes on there.
    let reader = open(&root, "half", READ).await.expect("a file");
    let (mut stream, outcome) = reader.read_via_stream(0);
    let mut seen = Vec::new();
    for _ in 0..50 {
        let (result, bytes) = {
            let mut read = pin!(stream.read(Vec::with_capacity(1000)));
            let ready = poll_fn(|context| Poll::Ready(read.as_mut().poll(context)));
            match ready.await {
                Poll::Ready(read) => read,
                Poll::Pending => read.as_mut().cancel(),
            }
        };
        checks.that(
            "read-via-stream: a cancelled read",
            result != StreamResult::Dropped,
        );
        seen.extend(bytes);
    }
    loop {
        match next(&mut stream, 10_000).await {
            end if end.is_empty() => break,
            more => seen.extend(more),
        }
    }
    checks.that(
        "read-via-stream: nothing is lost by cancelling",
        seen == read(&both, 0).await.0,
    );
    checks.eq("read-via-stream: the end", outcome.await, OK);
    root.unlink_file_at("half".into()).await.expect("to remove");
}
