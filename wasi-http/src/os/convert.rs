//! Our messages as hyper's, and hyper's as ours.

use super::body::{HyperBody, boxed};
use super::pool::Origin;
use crate::{Body, Fields, Method, Request, Response, Scheme};
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version, header};
use hyper::body::Incoming;
use std::borrow::ToOwned;
use std::string::String;
use std::vec::Vec;
use wasi_error::http::ErrorCode;
use wasi_sockets::HttpGrant;

/// The longest path with its query, in bytes, that a [`Uri`] can hold.
const PATH_MAX: usize = u16::MAX as usize - 1;

/// Where a request goes.
pub(super) struct Target {
    pub(super) origin: Origin,
    pub(super) grant: Option<HttpGrant>,
    authority: Authority,
    path: PathAndQuery,
}

impl Target {
    /// Writes the target into `request`, as the connection's version of HTTP wants it.
    pub(super) fn address(
        &self,
        request: &mut http::Request<HyperBody>,
        http2: bool,
    ) -> Result<(), ErrorCode> {
        if !http2 {
            *request.uri_mut() = Uri::from(self.path.clone());
            if !request.headers().contains_key(header::HOST) {
                request.headers_mut().insert(header::HOST, self.host()?);
            }
            return Ok(());
        }
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(match self.origin.tls {
            true => http::uri::Scheme::HTTPS,
            false => http::uri::Scheme::HTTP,
        });
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(self.path.clone());
        *request.uri_mut() =
            Uri::from_parts(parts).map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
        // It has `:authority` (RFC 9113, section 8.3.1).
        request.headers_mut().remove(header::HOST);
        Ok(())
    }

    fn host(&self) -> Result<HeaderValue, ErrorCode> {
        HeaderValue::from_str(self.authority.as_str()).map_err(|_| ErrorCode::HttpRequestUriInvalid)
    }
}

fn target(
    scheme: Option<Scheme>,
    authority: Option<String>,
    path: Option<String>,
) -> Result<Target, ErrorCode> {
    let tls = match scheme {
        Some(Scheme::Http) => false,
        Some(Scheme::Https) | None => true,
        Some(Scheme::Other(_)) => return Err(ErrorCode::HttpRequestUriInvalid),
    };
    let invalid = |_| ErrorCode::HttpRequestUriInvalid;
    let authority = authority.ok_or(ErrorCode::HttpRequestUriInvalid)?;
    let authority = Authority::from_maybe_shared(Bytes::from(authority)).map_err(invalid)?;
    let host = authority.host();
    // User information has no place here (RFC 9110, section 4.2.4); the crate leaves out a
    // port that is none.
    let port = match authority.as_str().strip_prefix(host) {
        Some("" | ":") if tls => 443,
        Some("" | ":") => 80,
        Some(rest) => rest
            .strip_prefix(':')
            .filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|port| port.parse().ok())
            .ok_or(ErrorCode::HttpRequestUriInvalid)?,
        None => return Err(ErrorCode::HttpRequestUriInvalid),
    };
    let bare = (host.strip_prefix('[')).and_then(|host| host.strip_suffix(']'));
    let host = bare.unwrap_or(host).to_ascii_lowercase();
    if host.is_empty() {
        return Err(ErrorCode::HttpRequestUriInvalid);
    }
    Ok(Target {
        origin: Origin { tls, host, port },
        grant: None,
        authority,
        path: path_and_query(path.unwrap_or_default())?,
    })
}

fn path_and_query(mut path: String) -> Result<PathAndQuery, ErrorCode> {
    if path.len() >= PATH_MAX {
        return Err(ErrorCode::HttpRequestUriTooLong);
    }
    match path.bytes().next() {
        None => return Ok(PathAndQuery::from_static("/")),
        Some(b'?') => path.insert(0, '/'),
        Some(b'/') => {}
        _ if path == "*" => {}
        _ => return Err(ErrorCode::HttpRequestUriInvalid),
    }
    // The crate would cut a fragment off.
    match path.contains('#') {
        true => Err(ErrorCode::HttpRequestUriInvalid),
        false => PathAndQuery::from_maybe_shared(Bytes::from(path))
            .map_err(|_| ErrorCode::HttpRequestUriInvalid),
    }
}

/// A request for hyper to send, and where to.
pub(super) fn request_to_hyper(
    request: Request,
) -> Result<(Target, http::Request<HyperBody>), ErrorCode> {
    let mut target = target(request.scheme, request.authority, request.path_with_query)?;
    target.grant = request.grant;
    let method = method_to_http(request.method)?;
    if method == http::Method::CONNECT {
        return Err(ErrorCode::HttpRequestMethodInvalid);
    }
    if request.headers.content_length().is_err() {
        // hyper would send it as it is.
        return Err(ErrorCode::HttpProtocolError);
    }
    let too_many =
        ErrorCode::HttpRequestHeaderSectionSize(u32::try_from(request.headers.size()).ok());
    let mut headers = HeaderMap::with_capacity(request.headers.len().min(MAP_ROOM) + 1);
    // First (RFC 9110, section 7.2), and no other.
    headers.insert(header::HOST, target.host()?);
    extend(&mut headers, &request.headers, |name| name != header::HOST).map_err(|_| too_many)?;
    let mut message = http::Request::new(HyperBody::from(request.body));
    *message.method_mut() = method;
    *message.headers_mut() = headers;
    Ok((target, message))
}

fn method_to_http(method: Method) -> Result<http::Method, ErrorCode> {
    Ok(match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Delete => http::Method::DELETE,
        Method::Connect => http::Method::CONNECT,
        Method::Options => http::Method::OPTIONS,
        Method::Trace => http::Method::TRACE,
        Method::Patch => http::Method::PATCH,
        Method::Other(token) => http::Method::from_bytes(token.as_bytes())
            .map_err(|_| ErrorCode::HttpRequestMethodInvalid)?,
    })
}

fn method_from_http(method: &http::Method) -> Method {
    match *method {
        http::Method::GET => Method::Get,
        http::Method::HEAD => Method::Head,
        http::Method::POST => Method::Post,
        http::Method::PUT => Method::Put,
        http::Method::DELETE => Method::Delete,
        http::Method::CONNECT => Method::Connect,
        http::Method::OPTIONS => Method::Options,
        http::Method::TRACE => Method::Trace,
        http::Method::PATCH => Method::Patch,
        _ => Method::Other(method.as_str().to_owned()),
    }
}

/// A request that a server received over a connection of `scheme`. The authority is that of
/// the target where it has one, otherwise that of the `host` header, which stays among the
/// fields like all others.
///
/// # Errors
/// [`ErrorCode::HttpProtocolError`]: a `host` header is missing in HTTP/1.1, or there is more
/// than one, or it is not a host and a port (RFC 9112, section 3.2). The answer is a 400.
pub fn request_from_hyper(
    request: http::Request<Incoming>,
    scheme: Scheme,
) -> Result<Request, ErrorCode> {
    let (parts, body) = request.into_parts();
    let headers = fields(&parts.headers);
    let named = match parts.headers.get(header::HOST) {
        None if parts.version == Version::HTTP_11 => return Err(ErrorCode::HttpProtocolError),
        None => None,
        Some(_) => {
            let mut hosts = headers.get_all("host");
            let host = hosts.next().cloned().unwrap_or_default();
            if hosts.next().is_some() {
                return Err(ErrorCode::HttpProtocolError);
            }
            // Empty is for targets without an authority.
            match host.is_empty() {
                true => None,
                false => match Authority::from_maybe_shared(host) {
                    Ok(host) if !host.as_str().contains('@') => Some(host),
                    _ => return Err(ErrorCode::HttpProtocolError),
                },
            }
        }
    };
    let authority = parts.uri.authority().or(named.as_ref());
    Ok(Request {
        method: method_from_http(&parts.method),
        scheme: Some(scheme),
        authority: authority.map(|authority| authority.as_str().to_owned()),
        path_with_query: parts
            .uri
            .path_and_query()
            .map(|path| path.as_str().to_owned()),
        headers,
        grant: None,
        body: boxed(body, |body| body),
    })
}

/// A response for a server to send.
///
/// # Errors
/// [`ErrorCode::HttpProtocolError`]: the status code is not one of 100 to 999.
/// [`ErrorCode::HttpResponseHeaderSectionSize`]: it has more than some 24,000 header fields.
pub fn response_to_hyper(response: Response) -> Result<http::Response<HyperBody>, ErrorCode> {
    let status = StatusCode::from_u16(response.status);
    let headers = header_map(&response.headers).map_err(|TooMany| {
        ErrorCode::HttpResponseHeaderSectionSize(u32::try_from(response.headers.size()).ok())
    })?;
    let mut message = http::Response::new(HyperBody::from(response.body));
    *message.status_mut() = status.map_err(|_| ErrorCode::HttpProtocolError)?;
    *message.headers_mut() = headers;
    Ok(message)
}

/// A response that a client received.
pub(super) fn response_from_hyper<B: Body>(
    response: http::Response<Incoming>,
    body: impl FnOnce(Incoming) -> B,
) -> Response {
    let (parts, incoming) = response.into_parts();
    Response {
        status: parts.status.as_u16(),
        headers: fields(&parts.headers),
        body: boxed(incoming, body),
    }
}

/// The fields of `map`, names in lower case.
pub fn fields(map: &HeaderMap) -> Fields {
    let mut fields = Fields::with_capacity(map.len());
    // One buffer for all the values: the map does not give away its own.
    let mut values = Vec::with_capacity(map.values().map(HeaderValue::len).sum());
    for value in map.values() {
        values.extend_from_slice(value.as_bytes());
    }
    let mut values = Bytes::from(values);
    for (name, value) in map {
        fields.append_valid(name.as_str(), values.split_to(value.len()));
    }
    fields
}

/// More fields than a [`HeaderMap`] can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many fields")]
pub struct TooMany;

/// Up to here a map is given its room at once.
const MAP_ROOM: usize = 1024;

/// `fields` as a map, which shares their values.
///
/// # Errors
/// [`TooMany`]: there are more than some 24,000.
pub fn header_map(fields: &Fields) -> Result<HeaderMap, TooMany> {
    let mut map = HeaderMap::with_capacity(fields.len().min(MAP_ROOM));
    extend(&mut map, fields, |_| true)?;
    Ok(map)
}

fn extend(
    map: &mut HeaderMap,
    fields: &Fields,
    wanted: impl Fn(&HeaderName) -> bool,
) -> Result<(), TooMany> {
    for (name, value) in fields.iter() {
        // `Fields` has the same rules for both.
        let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_maybe_shared(value.clone()),
        ) else {
            continue;
        };
        if wanted(&name) {
            map.try_append(name, value).map_err(|_| TooMany)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    fn origin(scheme: Scheme, authority: &str) -> Result<(bool, String, u16), ErrorCode> {
        let target = target(Some(scheme), Some(authority.into()), None)?;
        Ok((target.origin.tls, target.origin.host, target.origin.port))
    }

    #[test]
    fn an_authority_is_a_host_and_a_port_or_none() {
        for (scheme, authority, host, port) in [
            (Scheme::Http, "a.example", "a.example", 80),
            (Scheme::Https, "A.Example:", "a.example", 443),
            (Scheme::Http, "a.example:8080", "a.example", 8080),
            (Scheme::Http, "[::1]:81", "::1", 81),
            (Scheme::Https, "127.0.0.1", "127.0.0.1", 443),
        ] {
            let tls = scheme == Scheme::Https;
            assert_eq!(origin(scheme, authority), Ok((tls, host.into(), port)));
        }
        for authority in [
            "",
            ":80",
            "u@a.example",
            "u:p@a.example:80",
            "a.example:65536",
            "a.example:x",
            "a.example:+1",
            "a b",
            "a/b",
            "a\r\nb",
        ] {
            let code = Err(ErrorCode::HttpRequestUriInvalid);
            assert_eq!(origin(Scheme::Http, authority), code, "{authority:?}");
        }
        let other = Scheme::Other("ftp".into());
        assert_eq!(origin(other, "a"), Err(ErrorCode::HttpRequestUriInvalid));
        assert!(target(Some(Scheme::Http), None, None).is_err());
    }

    #[test]
    fn a_path_starts_at_the_root() {
        let path = |path: &str| path_and_query(path.into()).map(|path| format!("{path}"));
        for (given, sent) in [("", "/"), ("/a?b=c", "/a?b=c"), ("?q", "/?q"), ("*", "*")] {
            assert_eq!(path(given).as_deref(), Ok(sent));
        }
        for invalid in ["a", "//a b", "/a#b", "/a\r\nb", "http://a/"] {
            assert_eq!(
                path(invalid),
                Err(ErrorCode::HttpRequestUriInvalid),
                "{invalid:?}"
            );
        }
        let long = format!("/{}", "a".repeat(PATH_MAX));
        assert_eq!(path(&long), Err(ErrorCode::HttpRequestUriTooLong));
    }

    #[test]
    fn fields_survive_the_way_there_and_back() {
        let mut ours = Fields::new();
        for (name, value) in [("a", "1"), ("host", "x"), ("a", ""), ("b", "\u{fc} 2")] {
            ours.append(name, value).unwrap();
        }
        let map = header_map(&ours).unwrap();
        assert_eq!(map.get_all("a").iter().count(), 2);
        let back = fields(&map);
        assert_eq!(back.len(), 4);
        for name in ["a", "host", "b"] {
            let (one, two) = (ours.get_all(name), back.get_all(name));
            assert!(one.eq(two), "{name}");
        }
    }

    #[test]
    fn a_value_is_shared_with_the_map() {
        let value = Bytes::from(Vec::from("v".repeat(100)));
        let mut ours = Fields::new();
        ours.append("a", value.clone()).unwrap();
        let map = header_map(&ours).unwrap();
        assert_eq!(map["a"].as_bytes().as_ptr(), value.as_ptr());
    }

    #[test]
    fn more_fields_than_a_map_holds_are_an_error() {
        let mut ours = Fields::new();
        for n in 0..40_000 {
            ours.append_valid(&format!("x-{n}"), "");
        }
        assert_eq!(header_map(&ours), Err(TooMany));
    }
}
