//! What the host tells this program in its arguments and environment. Who starts it by hand
//! need tell it nothing.

use crate::bindings::wasi::cli::environment::get_environment;
use std::sync::OnceLock;

/// The value of this variable is for the row `environment` to find as it is.
pub const GREETING: (&str, &str) = ("AGAVE_DEMO", "a = b, c=d; grüße");

/// These arguments are for the row `arguments` to find as they are, the first as their mark.
pub const WORDS: [&str; 5] = ["--agave-demo", "two words", "grüße", "", "\"quoted\""];

/// The interfaces that the host does not have, such as `wasi:http/types`, with spaces between.
/// Calling one of them is a trap.
const ABSENT: &str = "AGAVE_DEMO_ABSENT";

/// Where to send the HTTP request to; without it, to a server of this program's own.
const HTTP: &str = "AGAVE_DEMO_HTTP";

/// The URL of who echoes messages; without it, a server of this program's own.
const WEBSOCKET: &str = "AGAVE_DEMO_WEBSOCKET";

fn variable(name: &str) -> Option<&'static str> {
    static VARIABLES: OnceLock<Vec<(String, String)>> = OnceLock::new();
    let variables = VARIABLES.get_or_init(get_environment);
    let found = variables.iter().find(|variable| variable.0 == name);
    found.map(|variable| variable.1.as_str())
}

/// Whether the host has `interface`.
pub fn has(interface: &str) -> bool {
    let absent = variable(ABSENT).unwrap_or_default();
    !absent.split(' ').any(|name| name == interface)
}

/// Who answers the HTTP request.
pub fn http_authority() -> Option<&'static str> {
    variable(HTTP)
}

/// Who echoes messages.
pub fn websocket_url() -> Option<&'static str> {
    variable(WEBSOCKET)
}
