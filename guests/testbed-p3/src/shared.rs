//! What the requests of an instance share.

use crate::bindings::wasi::http::types::{ErrorCode, Response};
use crate::bindings::wasi::random::random::get_random_u64;
use crate::reply::text;
use crate::request::Request;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

thread_local! {
    static REQUESTS: Cell<u64> = const { Cell::new(0) };
    static INSTANCE: u64 = get_random_u64();
    static OPENED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static WAITING: RefCell<Vec<(String, Waker)>> = const { RefCell::new(Vec::new()) };
}

/// Counts a request.
pub fn count() {
    REQUESTS.set(REQUESTS.get() + 1);
}

/// Says which instance this is and how many requests it has had.
pub fn counted() -> Result<Response, ErrorCode> {
    let instance = INSTANCE.with(|it| *it);
    text(
        200,
        &format!("instance {instance:016x} request {}\n", REQUESTS.get()),
    )
}

/// Opens the gate of the name `gate`, and says how many requests that lets go on.
pub fn open(request: &Request) -> Result<Response, ErrorCode> {
    let name = request.param("gate").unwrap_or_default();
    let (here, others) = WAITING
        .take()
        .into_iter()
        .partition(|(gate, _)| *gate == name);
    WAITING.set(others);
    OPENED.with_borrow_mut(|opened| opened.push(name));
    let here: Vec<(String, Waker)> = here;
    let line = format!("opened for {}\n", here.len());
    here.into_iter().for_each(|(_, waker)| waker.wake());
    text(200, &line)
}

/// Whether a gate was opened.
pub fn is_open(name: &str) -> bool {
    OPENED.with_borrow(|opened| opened.iter().any(|it| it == name))
}

/// Waits until another request opens the gate.
pub async fn opened(name: &str) {
    poll_fn(|context| match is_open(name) {
        true => Poll::Ready(()),
        false => {
            let waits = (name.to_owned(), context.waker().clone());
            WAITING.with_borrow_mut(|waiting| waiting.push(waits));
            Poll::Pending
        }
    })
    .await;
}
