//! Routes that make requests.

use crate::bindings::wasi::clocks::monotonic_clock::wait_for;
use crate::bindings::wasi::http::client;
use crate::bindings::wasi::http::types::{
    self, ErrorCode, Fields, Method, RequestOptions, Response, Scheme,
};
use crate::bindings::{wit_future, wit_stream};
use crate::reply::text;
use crate::request::{Query, Request, TrailersReader, copy, taken};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use wit_bindgen::{FutureReader, StreamReader};

type Sent = FutureReader<Result<(), ErrorCode>>;

/// Makes the request with its own method, `x-` headers, body and trailers to `url`, and
/// answers with the status, `x-` headers, body and trailers of the response, all as they
/// come.
pub async fn proxy(request: Request) -> Result<Response, ErrorCode> {
    let method = request.inner.get_method();
    let has_body = !matches!(method, Method::Get | Method::Head);
    let headers = request.fields(passed_on);
    let Request { query, inner, .. } = request;
    let (stream, trailers) = types::Request::consume_body(inner, taken());
    let made = make(
        &query,
        method,
        headers,
        has_body.then_some(stream),
        trailers,
    );
    let (outgoing, sent) = match made {
        Ok(made) => made,
        Err(what) => return text(502, &format!("{what}\n")),
    };
    wit_bindgen::spawn_local(async move {
        if let Err(code) = sent.await {
            eprintln!("testbed proxy: the request was not sent: {code:?}");
        }
    });
    let response = match client::send(outgoing).await {
        Ok(response) => response,
        Err(code) => return text(502, &format!("{code:?}\n")),
    };
    let status = response.get_status_code();
    let headers = copy(&response.get_headers(), passed_on);
    let (stream, trailers) = Response::consume_body(response, taken());
    let (answer, _) = Response::new(headers, Some(stream), trailers);
    match answer.set_status_code(status) {
        Ok(()) => Ok(answer),
        Err(()) => text(500, "status refused\n"),
    }
}

fn passed_on(name: &str) -> bool {
    name.starts_with("x-") || ["content-type", "trailer"].contains(&name)
}

/// Begins a request to `url`, drops it after `ms`, and answers.
pub async fn abandon(request: &Request) -> Result<Response, ErrorCode> {
    let ms = request.number("ms", 100);
    let (writer, stream) = wit_stream::new();
    let (_trailers, trailers) = wit_future::new(|| Ok(None));
    let made = make(
        &request.query,
        Method::Post,
        Fields::new(),
        Some(stream),
        trailers,
    );
    let (outgoing, sent) = match made {
        Ok(made) => made,
        Err(what) => return text(502, &format!("{what}\n")),
    };
    {
        let mut send = pin!(client::send(outgoing));
        let mut timer = pin!(wait_for(ms.saturating_mul(1_000_000)));
        let answered = poll_fn(|context| match send.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending => timer.as_mut().poll(context).map(|()| false),
        });
        if answered.await {
            return text(502, "answered\n");
        }
    }
    drop(writer);
    text(200, &format!("abandoned {}\n", sent.await.is_err()))
}

/// A request to the parameter `url`, within the limits that the parameters set.
fn make(
    query: &Query,
    method: Method,
    headers: Fields,
    stream: Option<StreamReader<u8>>,
    trailers: TrailersReader,
) -> Result<(types::Request, Sent), String> {
    let url = query.param("url").ok_or("no url")?;
    let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.into()),
    };
    let options = RequestOptions::new();
    let limit = |name| query.param(name)?.parse::<u64>().ok();
    let nanoseconds = |name| limit(name).map(|ms| ms.saturating_mul(1_000_000));
    options
        .set_connect_timeout(nanoseconds("connect"))
        .and_then(|()| options.set_first_byte_timeout(nanoseconds("first")))
        .and_then(|()| options.set_between_bytes_timeout(nanoseconds("between")))
        .map_err(|error| format!("timeout {error:?}"))?;
    let (outgoing, sent) = types::Request::new(headers, stream, trailers, Some(options));
    let refused = |what: &'static str| move |()| format!("{what} refused");
    outgoing.set_method(&method).map_err(refused("method"))?;
    outgoing
        .set_scheme(Some(&scheme))
        .map_err(refused("scheme"))?;
    outgoing
        .set_authority(Some(authority))
        .map_err(refused("authority"))?;
    outgoing
        .set_path_with_query(Some(if path.is_empty() { "/" } else { path }))
        .map_err(refused("path"))?;
    Ok((outgoing, sent))
}
