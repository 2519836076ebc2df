//! Routes with many streams and futures at once, inside of the instance.

use crate::bindings::wasi::http::types::{self, ErrorCode, Fields, Response};
use crate::bindings::{wit_future, wit_stream};
use crate::reply::text;
use crate::request::Request;
use std::cell::Cell;
use std::rc::Rc;
use wit_bindgen::{StreamResult, spawn_local};

/// Opens `n` streams, all of them before any is used; writes one byte into each, each in a
/// task of its own, and reads them in the opposite order.
pub async fn pairs(request: &Request) -> Result<Response, ErrorCode> {
    let n = request.number("n", 1000);
    let mut pairs: Vec<_> = (0..n).map(|_| wit_stream::new::<u8>()).collect();
    let written = Rc::new(Cell::new(0u64));
    let mut readers = Vec::new();
    for (number, (mut writer, reader)) in pairs.drain(..).enumerate() {
        let written = written.clone();
        spawn_local(async move {
            if writer.write_one(number as u8).await.is_none() {
                written.set(written.get() + 1);
            }
        });
        readers.push((number as u8, reader));
    }
    let (mut right, mut ended) = (0u64, 0u64);
    for (number, mut reader) in readers.into_iter().rev() {
        right += u64::from(reader.next().await == Some(number));
        let (end, _) = reader.read(Vec::with_capacity(1)).await;
        ended += u64::from(end == StreamResult::Dropped);
    }
    text(
        200,
        &format!(
            "streams {n} right {right} ended {ended} written {}\n",
            written.get()
        ),
    )
}

/// Makes `n` requests with bodies and trailers, all of them before any is dropped unsent: the
/// host has two streams' worth of ends for each. Tells how many writers saw that nobody reads
/// any longer, and of how many requests it was said that they were not sent.
pub async fn requests(request: &Request) -> Result<Response, ErrorCode> {
    let n = request.number("n", 1000);
    let counts = Rc::new([const { Cell::new(0u64) }; 2]);
    let add = |counts: &[Cell<u64>; 2], which: usize, yes: bool| {
        counts[which].set(counts[which].get() + u64::from(yes));
    };
    let mut made = Vec::new();
    for _ in 0..n {
        let (mut body, contents) = wit_stream::new();
        let (_, trailers) = wit_future::new(|| Ok(None));
        let (unsent, sent) = types::Request::new(Fields::new(), Some(contents), trailers, None);
        let counts = counts.clone();
        spawn_local(async move {
            let left = body.write_all(vec![0; 1024]).await;
            add(&counts, 0, left.len() == 1024);
        });
        made.push((unsent, sent));
    }
    // All are offered before one is dropped.
    wit_bindgen::yield_async().await;
    let sents: Vec<_> = made.into_iter().map(|(_, sent)| sent).collect();
    for sent in sents {
        add(&counts, 1, sent.await.is_err());
    }
    let [refused, unsent] = [0, 1].map(|which| counts[which].get());
    text(
        200,
        &format!("requests {n} refused {refused} unsent {unsent}\n"),
    )
}
