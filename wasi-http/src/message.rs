//! Requests and responses as a guest sees them.

use crate::guest_fields::strip_forbidden;
use crate::{
    Body, ErrorCode, Fields, IncomingBody, MessageKind, Method, OutgoingBody, Request, Response,
    Scheme, memory, uri,
};
use alloc::boxed::Box;
use alloc::string::String;

/// An argument that HTTP does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not valid in HTTP")]
pub struct Invalid;

fn check(valid: bool) -> Result<(), Invalid> {
    valid.then_some(()).ok_or(Invalid)
}

/// An `incoming-request`.
pub struct IncomingRequest {
    /// The method.
    pub method: Method,
    /// The scheme, where it is known.
    pub scheme: Option<Scheme>,
    /// Host and port of the request's target, where they are known.
    pub authority: Option<String>,
    /// The path with its query; `None` is an empty one.
    pub path_with_query: Option<String>,
    /// The header fields, without those that are the host's.
    pub headers: Fields,
    body: Option<Box<dyn Body>>,
}

impl IncomingRequest {
    /// The guest's view of `request`, without the fields that are the host's
    /// ([`GuestFields`](crate::GuestFields)).
    pub fn new(mut request: Request) -> Self {
        strip_forbidden(&mut request.headers);
        Self {
            method: request.method,
            scheme: request.scheme,
            authority: request.authority,
            path_with_query: request.path_with_query,
            headers: request.headers,
            body: Some(request.body),
        }
    }

    /// `consume`: the body; `None` from the second call on.
    pub fn consume(&mut self) -> Option<IncomingBody> {
        self.body.take().map(IncomingBody::new)
    }
}

/// An `incoming-response`.
pub struct IncomingResponse {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The header fields, without those that are the host's.
    pub headers: Fields,
    body: Option<Box<dyn Body>>,
}

impl IncomingResponse {
    /// The guest's view of `response`, without the fields that are the host's.
    pub fn new(mut response: Response) -> Self {
        strip_forbidden(&mut response.headers);
        Self {
            status: response.status,
            headers: response.headers,
            body: Some(response.body),
        }
    }

    /// `consume`: the body; `None` from the second call on.
    pub fn consume(&mut self) -> Option<IncomingBody> {
        self.body.take().map(IncomingBody::new)
    }
}

/// The body of a message that is not sent yet: `None` while the guest has not asked for it.
type Pending = Option<Box<dyn Body>>;

fn open(
    body: &mut Pending,
    kind: MessageKind,
    headers: &Fields,
    window: usize,
) -> Option<OutgoingBody> {
    if body.is_some() {
        return None;
    }
    // A message whose length is not one number is refused when it is sent.
    let expected = headers.content_length().unwrap_or_default();
    let (writer, reader) = OutgoingBody::new(kind, expected, window);
    *body = Some(Box::new(reader));
    Some(writer)
}

/// What a request says before its content, as the guest sets it.
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The scheme; `None` is for the client to choose.
    pub scheme: Option<Scheme>,
    /// Host and port of the request's target.
    pub authority: Option<String>,
    /// The path with its query; `None` is an empty one.
    pub path_with_query: Option<String>,
    /// The header fields.
    pub headers: Fields,
}

impl RequestHead {
    /// A `GET` of nothing yet.
    pub fn new(headers: Fields) -> Self {
        Self {
            method: Method::Get,
            scheme: None,
            authority: None,
            path_with_query: None,
            headers,
        }
    }

    /// `set-method`. A name that has a case of its own becomes that.
    ///
    /// # Errors
    /// [`Invalid`]: not a token (RFC 9110, section 9.1).
    pub fn set_method(&mut self, method: Method) -> Result<(), Invalid> {
        if let Method::Other(name) = &method {
            check(uri::is_method(name))?;
        }
        self.method = match method {
            Method::Other(name) => Method::from(name),
            method => method,
        };
        Ok(())
    }

    /// `set-scheme`. `http` and `https`, in any case, become those cases.
    ///
    /// # Errors
    /// [`Invalid`]: not a scheme (RFC 3986, section 3.1), or longer than 64 bytes.
    pub fn set_scheme(&mut self, scheme: Option<Scheme>) -> Result<(), Invalid> {
        if let Some(Scheme::Other(name)) = &scheme {
            check(uri::is_scheme(name))?;
        }
        self.scheme = scheme.map(|scheme| match scheme {
            Scheme::Other(name) => Scheme::from(name),
            scheme => scheme,
        });
        Ok(())
    }

    /// `set-authority`.
    ///
    /// # Errors
    /// [`Invalid`]: not a host with an optional port, and user information before it or not
    /// (RFC 3986, section 3.2).
    pub fn set_authority(&mut self, authority: Option<String>) -> Result<(), Invalid> {
        check((authority.as_deref()).is_none_or(uri::is_authority_of_anybody))?;
        self.authority = authority;
        Ok(())
    }

    /// `set-path-with-query`. An empty one becomes `/`.
    ///
    /// # Errors
    /// [`Invalid`]: it has characters that no URI has (RFC 3986, sections 3.3 and 3.4).
    pub fn set_path_with_query(&mut self, path: Option<String>) -> Result<(), Invalid> {
        check(path.as_deref().is_none_or(uri::is_relative))?;
        self.path_with_query = path.map(|path| match path.is_empty() {
            true => String::from("/"),
            false => path,
        });
        Ok(())
    }

    /// The length of the content that a request like this announces, 0 where it does not say.
    ///
    /// # Errors
    /// - [`ErrorCode::HttpRequestMethodInvalid`]: `CONNECT`, as there are no tunnels.
    /// - [`ErrorCode::HttpRequestUriInvalid`]: no authority, or one with user information (RFC
    ///   9110, section 4.2.4); a relative path; or the path is `*` and the method not `OPTIONS`
    ///   (RFC 9112, section 3.2.4).
    /// - [`ErrorCode::HttpProtocolError`]: `Content-Length` is not one number.
    pub fn check(&self) -> Result<u64, ErrorCode> {
        if self.method == Method::Connect {
            return Err(ErrorCode::HttpRequestMethodInvalid);
        }
        let path = self.path_with_query.as_deref().unwrap_or_default();
        let authority_needed = !matches!(self.scheme, Some(Scheme::Other(_)));
        let valid = match self.authority.as_deref() {
            Some(authority) => !authority.contains('@'),
            None => !authority_needed,
        };
        if !valid || !uri::is_target(path) || (path == "*" && self.method != Method::Options) {
            return Err(ErrorCode::HttpRequestUriInvalid);
        }
        content_length(&self.headers)
    }

    /// The request, with its content.
    pub fn with_body(self, body: Box<dyn Body>) -> Request {
        Request {
            method: self.method,
            scheme: self.scheme,
            authority: self.authority,
            path_with_query: self.path_with_query,
            headers: self.headers,
            body,
            grant: None,
        }
    }
}

/// An `outgoing-request`.
pub struct OutgoingRequest {
    pub(crate) head: RequestHead,
    body: Pending,
}

impl OutgoingRequest {
    /// A `GET` of nothing yet.
    pub fn new(headers: Fields) -> Self {
        Self {
            head: RequestHead::new(headers),
            body: None,
        }
    }

    /// `body`: the guest's end, in which up to `window` bytes wait; `None` from the second
    /// call on.
    pub fn body(&mut self, window: usize) -> Option<OutgoingBody> {
        let headers = &self.head.headers;
        open(&mut self.body, MessageKind::Request, headers, window)
    }

    /// `set-method`, as [`RequestHead::set_method`].
    ///
    /// # Errors
    /// Those of [`RequestHead::set_method`].
    pub fn set_method(&mut self, method: Method) -> Result<(), Invalid> {
        self.head.set_method(method)
    }

    /// `set-scheme`, as [`RequestHead::set_scheme`].
    ///
    /// # Errors
    /// Those of [`RequestHead::set_scheme`].
    pub fn set_scheme(&mut self, scheme: Option<Scheme>) -> Result<(), Invalid> {
        self.head.set_scheme(scheme)
    }

    /// `set-authority`.
    ///
    /// # Errors
    /// [`Invalid`]: not a host with an optional port (RFC 3986, section 3.2). User information
    /// is refused as well (RFC 9110, section 4.2.4).
    pub fn set_authority(&mut self, authority: Option<String>) -> Result<(), Invalid> {
        check(authority.as_deref().is_none_or(uri::is_authority))?;
        self.head.set_authority(authority)
    }

    /// `set-path-with-query`. An empty one becomes `/`.
    ///
    /// # Errors
    /// [`Invalid`]: it begins with something else than `/` or `?` and is not `*`, or has
    /// characters that no URI has (RFC 3986, sections 3.3 and 3.4).
    pub fn set_path_with_query(&mut self, path: Option<String>) -> Result<(), Invalid> {
        check(path.as_deref().is_none_or(uri::is_path_with_query))?;
        self.head.set_path_with_query(path)
    }

    /// The request, to be sent. The guest may still be writing its body.
    ///
    /// # Errors
    /// Those of [`RequestHead::check`], and [`ErrorCode::HttpRequestBodySize`]:
    /// `Content-Length` is more than 0, and the guest has not asked for the body.
    pub fn into_request(self) -> Result<Request, ErrorCode> {
        let length = self.head.check()?;
        let body = match self.body {
            Some(body) => body,
            None if length > 0 => return Err(MessageKind::Request.size_error(0)),
            None => Box::new(memory::Empty),
        };
        Ok(self.head.with_body(body))
    }
}

/// `set-status-code` of 0.3.
///
/// # Errors
/// [`Invalid`]: not 100 to 599 (RFC 9110, section 15).
#[cfg(feature = "p3")]
pub(crate) fn check_status(status: u16) -> Result<(), Invalid> {
    check((100..=599).contains(&status))
}

/// Whether a response like this can be sent, and the length that its `Content-Length` says, 0
/// where it has none.
///
/// # Errors
/// [`ErrorCode::HttpProtocolError`]: the status is that of an informational response, 100 to
/// 199, or `Content-Length` is not one number.
pub(crate) fn check_response(status: u16, headers: &Fields) -> Result<u64, ErrorCode> {
    match status < 200 {
        true => Err(ErrorCode::HttpProtocolError),
        false => content_length(headers),
    }
}

/// 0 where there is none.
fn content_length(headers: &Fields) -> Result<u64, ErrorCode> {
    match headers.content_length() {
        Ok(length) => Ok(length.unwrap_or(0)),
        Err(_) => Err(ErrorCode::HttpProtocolError),
    }
}

/// An `outgoing-response`.
pub struct OutgoingResponse {
    pub(crate) status: u16,
    pub(crate) headers: Fields,
    body: Pending,
}

impl OutgoingResponse {
    /// With status 200.
    pub fn new(headers: Fields) -> Self {
        Self {
            status: 200,
            headers,
            body: None,
        }
    }

    /// `body`: as [`OutgoingRequest::body`].
    pub fn body(&mut self, window: usize) -> Option<OutgoingBody> {
        open(&mut self.body, MessageKind::Response, &self.headers, window)
    }

    /// `set-status-code`.
    ///
    /// # Errors
    /// [`Invalid`]: not a number of three digits, 100 to 999 (RFC 9110, section 15).
    pub fn set_status(&mut self, status: u16) -> Result<(), Invalid> {
        check((100..=999).contains(&status))?;
        self.status = status;
        Ok(())
    }

    /// The response, to be sent. The guest may still be writing its body.
    ///
    /// Where `Content-Length` is more than 0 and the guest has not asked for the body, reading
    /// the body fails with [`ErrorCode::HttpResponseBodySize`]; an answer to `HEAD` is like
    /// this, and its body is not read.
    ///
    /// # Errors
    /// [`ErrorCode::HttpProtocolError`]: the status is that of an informational response, 100
    /// to 199, or `Content-Length` is not one number.
    pub fn into_response(self) -> Result<Response, ErrorCode> {
        let length = check_response(self.status, &self.headers)?;
        let body = match self.body {
            Some(body) => body,
            None if length > 0 => {
                let code = MessageKind::Response.size_error(0);
                Box::new(memory::Frames::new([Err(code)]))
            }
            None => Box::new(memory::Empty),
        };
        Ok(Response {
            status: self.status,
            headers: self.headers,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setters_refuse_what_http_does_not_allow_and_keep_the_old_value() {
        let mut request = OutgoingRequest::new(Fields::new());
        request.set_method(Method::Other("PURGE".into())).unwrap();
        assert_eq!(
            request.set_method(Method::Other("A B".into())),
            Err(Invalid)
        );
        assert_eq!(request.head.method, Method::Other("PURGE".into()));
        request.set_method(Method::Other("POST".into())).unwrap();
        assert_eq!(request.head.method, Method::Post);

        request
            .set_scheme(Some(Scheme::Other("HTTPS".into())))
            .unwrap();
        assert_eq!(request.head.scheme, Some(Scheme::Https));
        let refused = request.set_scheme(Some(Scheme::Other("a b".into())));
        assert_eq!(refused, Err(Invalid));
        request.set_scheme(None).unwrap();
        assert_eq!(request.head.scheme, None);

        request.set_authority(Some("a:80".into())).unwrap();
        assert_eq!(request.set_authority(Some("a/".into())), Err(Invalid));
        assert_eq!(request.head.authority.as_deref(), Some("a:80"));

        request.set_path_with_query(Some("/a?b".into())).unwrap();
        assert_eq!(request.set_path_with_query(Some("a".into())), Err(Invalid));
        assert_eq!(request.head.path_with_query.as_deref(), Some("/a?b"));
        request.set_path_with_query(None).unwrap();

        let mut response = OutgoingResponse::new(Fields::new());
        for (status, valid) in [(99, false), (100, true), (999, true), (1000, false)] {
            assert_eq!(response.set_status(status).is_ok(), valid, "{status}");
        }
        assert_eq!(response.status, 999);
    }

    #[test]
    fn a_request_that_cannot_be_sent_says_why() {
        let request = |change: fn(&mut OutgoingRequest)| {
            let mut request = OutgoingRequest::new(Fields::new());
            request.set_authority(Some("a".into())).unwrap();
            change(&mut request);
            request.into_request().map(drop)
        };
        assert_eq!(request(|_| ()), Ok(()));
        assert_eq!(
            request(|request| request.head.method = Method::Connect),
            Err(ErrorCode::HttpRequestMethodInvalid)
        );
        assert_eq!(
            request(|request| request.head.authority = None),
            Err(ErrorCode::HttpRequestUriInvalid)
        );
        assert_eq!(
            request(|request| {
                request.head.authority = None;
                request.head.scheme = Some(Scheme::Other("unix".into()));
            }),
            Ok(())
        );
        assert_eq!(
            request(|request| request.head.path_with_query = Some("*".into())),
            Err(ErrorCode::HttpRequestUriInvalid)
        );
        assert_eq!(
            request(|request| {
                request.head.path_with_query = Some("*".into());
                request.head.method = Method::Options;
            }),
            Ok(())
        );
        assert_eq!(
            request(|request| request.head.headers.append("content-length", "1").unwrap()),
            Err(ErrorCode::HttpRequestBodySize(Some(0)))
        );
        assert_eq!(
            request(|request| request.head.headers.append("content-length", "x").unwrap()),
            Err(ErrorCode::HttpProtocolError)
        );
    }

    #[test]
    fn a_head_takes_more_than_can_be_sent() {
        let head = |authority: &str, path: &str| {
            let mut head = RequestHead::new(Fields::new());
            head.set_authority(Some(authority.into())).unwrap();
            head.set_path_with_query(Some(path.into())).unwrap();
            (head.check(), head.path_with_query)
        };
        let refused = Err(ErrorCode::HttpRequestUriInvalid);
        for (authority, path, expected) in [
            ("a", "", Ok(0)),
            ("a", "?b", Ok(0)),
            ("a", "/é", Ok(0)),
            ("a", "b/c", refused.clone()),
            ("a", "../..", refused.clone()),
            ("user@a", "/", refused.clone()),
            ("user:pass@a:80", "/", refused),
        ] {
            let (checked, stored) = head(authority, path);
            assert_eq!(checked, expected, "{authority} {path}");
            let as_given = if path.is_empty() { "/" } else { path };
            assert_eq!(stored.as_deref(), Some(as_given));
        }
        let mut head = RequestHead::new(Fields::new());
        assert_eq!(head.set_authority(Some(":@".into())), Err(Invalid));
        assert_eq!(head.set_path_with_query(Some("/a b".into())), Err(Invalid));
    }

    #[test]
    fn a_response_is_final_and_its_body_is_asked_for_once() {
        let mut response = OutgoingResponse::new(Fields::new());
        response.set_status(103).unwrap();
        let refused = response.into_response().map(drop);
        assert_eq!(refused, Err(ErrorCode::HttpProtocolError));

        let mut response = OutgoingResponse::new(Fields::new());
        assert!(response.body(1).is_some());
        assert!(response.body(1).is_none());

        let response = OutgoingResponse::new(Fields::new())
            .into_response()
            .unwrap();
        assert!(response.body.is_end());
    }
}
