//! Routes that wait, or don't come back.

use crate::bindings::wasi::clocks::monotonic_clock::wait_for;
use crate::bindings::wasi::http::types::{ErrorCode, Fields, Response};
use crate::bindings::wit_stream;
use crate::reply::{Body, text};
use crate::request::Request;
use crate::shared;
use std::thread;
use std::time::Duration;

/// Waits in the way of 0.3, where other requests go on.
pub async fn pause(ms: u64) {
    wait_for(ms.saturating_mul(1_000_000)).await;
}

/// Waits in the way of 0.2, in `poll`: nothing else of the instance goes on.
fn stop(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}

pub async fn sleep(request: &Request) -> Result<Response, ErrorCode> {
    pause(request.number("ms", 100)).await;
    text(200, "slept\n")
}

pub fn block(request: &Request) -> Result<Response, ErrorCode> {
    stop(request.number("ms", 100));
    text(200, "blocked\n")
}

/// Waits for `/open` of the same gate, in the way of 0.3 or, with `how=block`, of 0.2.
pub async fn gate(request: &Request) -> Result<Response, ErrorCode> {
    let name = request.param("gate").unwrap_or_default();
    match request.param("how").as_deref() {
        Some("block") => {
            while !shared::is_open(&name) {
                stop(5);
            }
        }
        _ => shared::opened(&name).await,
    }
    text(200, "opened\n")
}

pub fn spin() -> ! {
    let mut turns = 0u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

/// Traps, after `ms` where that is given.
pub async fn trap(request: &Request) -> ! {
    match request.number("ms", 0) {
        0 => (),
        ms => pause(ms).await,
    }
    core::arch::wasm32::unreachable()
}

/// Waits for what nobody writes.
pub async fn never() -> Result<Response, ErrorCode> {
    let (_writer, mut reader) = wit_stream::new::<u8>();
    reader.next().await;
    text(500, "never came\n")
}

/// Answers, goes on for `ms`, and says on standard error that it did.
pub fn after(request: &Request) -> Result<Response, ErrorCode> {
    let ms = request.number("ms", 100);
    let (response, mut body, _) = Body::start(Fields::new());
    wit_bindgen::spawn_local(async move {
        if body.write(b"answered\n".to_vec()).await.is_ok() {
            body.finish(None).await;
        }
        pause(ms).await;
        eprintln!("testbed after done");
    });
    Ok(response)
}
