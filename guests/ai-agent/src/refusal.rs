//! Answers that are not what the client asked for.

/// A status other than 200, and the sentence that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, without a line's end.
    pub message: String,
}

impl Refusal {
    fn new(status: u16, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, message }
    }

    /// 400: a parameter is missing or malformed.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// 400: the path is a WebSocket's, and the request is not for one.
    ///
    /// 426 would say it better, but goes with the field `Upgrade`, which is not a guest's to
    /// send; RFC 6455, section 4.2.1, has 400.
    pub fn upgrade_missing() -> Self {
        Self::bad_request("This route is a WebSocket, and the request does not ask for one.")
    }

    /// 403: a page of another origin asks for a WebSocket.
    pub fn forbidden() -> Self {
        Self::new(
            403,
            "The WebSocket is for pages of its own origin, and for clients that are no browser.",
        )
    }

    /// 404: the path is no route.
    pub fn not_found() -> Self {
        Self::new(
            404,
            "No such route. There are /health, /?host=H&port=P, \
             /tcp/send?host=H&port=P&msg=TEXT and the WebSocket /ws.",
        )
    }

    /// How it is told in a response.
    pub fn body(&self) -> String {
        format!("{}\n", self.message)
    }

    /// How it is told in a message, which has no status beside it.
    pub fn line(&self) -> String {
        format!("{} {}", self.status, self.message)
    }

    /// 405: the path is a route, the method is not one of [`ALLOW`].
    pub fn method_not_allowed() -> Self {
        Self::new(405, format!("This route answers {ALLOW} only."))
    }

    /// 502: the peer could not be reached, or what it sent cannot be passed on.
    pub fn bad_gateway(message: impl Into<String>) -> Self {
        Self::new(502, message)
    }

    /// 504: the peer did not answer in time.
    pub fn gateway_timeout(message: impl Into<String>) -> Self {
        Self::new(504, message)
    }
}

/// The methods of every route, as the `Allow` header lists them.
pub const ALLOW: &str = "GET, HEAD";
