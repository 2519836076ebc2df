//! The query of a request: parameters, percent- and plus-decoded.

use crate::refusal::Refusal;

/// The part of a request's path after the `?`, not yet decoded.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// Wraps what stands after the `?`; empty where there is none.
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The decoded bytes of the parameter `name`, or `None` where it does not occur.
    ///
    /// Errors: 400 where the parameter occurs twice, or where any name or this
    /// parameter's value has a `%` without two hexadecimal digits after it.
    pub fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let mut found = None;
        for pair in self.0.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if decode(key)? != name.as_bytes() {
                continue;
            }
            if found.replace(decode(value)?).is_some() {
                return Err(Refusal::bad_request(format!(
                    "Parameter `{name}` is given twice."
                )));
            }
        }
        Ok(found)
    }

    /// As [`bytes`](Self::bytes), for a parameter that is text.
    ///
    /// Errors: as there, and 400 where the decoded value is not UTF-8.
    pub fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        self.bytes(name)?
            .map(String::from_utf8)
            .transpose()
            .map_err(|_| Refusal::bad_request(format!("Parameter `{name}` is not UTF-8.")))
    }
}

/// Decodes `application/x-www-form-urlencoded` text: `+` is a space, `%XX` a byte.
fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                match (digit(bytes.next()), digit(bytes.next())) {
                    (Some(high), Some(low)) => (high << 4 | low) as u8,
                    _ => {
                        return Err(Refusal::bad_request(
                            "The query has a `%` without two hexadecimal digits after it.",
                        ));
                    }
                }
            }
            byte => byte,
        });
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_percent_and_plus_decoded() {
        for (query, value) in [
            ("m=hello%20wasi", &b"hello wasi"[..]),
            ("m=hello+wasi", b"hello wasi"),
            ("m=a%2Bb", b"a+b"),
            ("m=a%2bb", b"a+b"),
            ("m=%00%ff", b"\0\xff"),
            ("m=a=b", b"a=b"),
            ("m=", b""),
            ("m", b""),
            ("x=%26&m=y&&z", b"y"),
            ("%6d=y", b"y"),
            ("m=\u{e9}", "\u{e9}".as_bytes()),
        ] {
            let found = Query::new(query).bytes("m").unwrap();
            assert_eq!(found.as_deref(), Some(value), "{query}");
        }
    }

    #[test]
    fn an_absent_parameter_is_none() {
        for query in ["", "mm=1", "M=1", "=m", "x=m&y"] {
            assert_eq!(Query::new(query).bytes("m").unwrap(), None, "{query}");
        }
    }

    #[test]
    fn broken_escapes_and_doubles_are_bad_requests() {
        for query in [
            "m=%", "m=%4", "m=%zz", "m=%+1", "m=%-1", "%=1&m=2", "m=1&m=1",
        ] {
            assert_eq!(
                Query::new(query).bytes("m").unwrap_err().status,
                400,
                "{query}"
            );
        }
    }

    #[test]
    fn text_must_be_utf8() {
        assert_eq!(
            Query::new("m=%e2%82%ac").text("m").unwrap().as_deref(),
            Some("€")
        );
        assert_eq!(Query::new("m=%ff").text("m").unwrap_err().status, 400);
    }
}
