//! The headers of answers.

use crate::console;
use crate::refusal::ALLOW;

/// The header that says that the addresses are not the resolver's.
const FALLBACK: &str = "x-agent-fallback";

/// A header's name and its value, both always valid.
pub type Header = (&'static str, String);

/// Those of a text.
pub fn text() -> Vec<Header> {
    vec![
        ("content-type", "text/plain; charset=utf-8".into()),
        // What a peer sends must not become a page of this origin.
        ("x-content-type-options", "nosniff".into()),
    ]
}

/// Those of the console; `nonce` is as in [`console::policy`].
pub fn page(nonce: &str) -> Vec<Header> {
    vec![
        ("content-type", "text/html; charset=utf-8".into()),
        ("x-content-type-options", "nosniff".into()),
        ("content-security-policy", console::policy(nonce)),
        ("referrer-policy", "no-referrer".into()),
        // The nonce is for once, and the same path has another form.
        ("cache-control", "no-store".into()),
        ("vary", "accept".into()),
    ]
}

/// Those that an answer of this status has beside the ones of its content. `notice` is why the
/// addresses are not what the resolver said, and `length` that of a content that is there as a
/// whole, and is sent.
pub fn more(status: u16, notice: Option<String>, length: Option<usize>) -> Vec<Header> {
    let allow = (status == 405).then(|| ("allow", ALLOW.into()));
    let notice = notice.map(|notice| (FALLBACK, notice));
    let length = length.map(|length| ("content-length", length.to_string()));
    [allow, notice, length].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_its_status_asks_for() {
        for (status, notice, length, expected) in [
            (200, None, None, vec![]),
            (405, None, None, vec![("allow", "GET, HEAD")]),
            (
                200,
                Some("n"),
                Some(0),
                vec![("x-agent-fallback", "n"), ("content-length", "0")],
            ),
        ] {
            let more = more(status, notice.map(Into::into), length);
            let more: Vec<_> = more.iter().map(|(name, it)| (*name, it.as_str())).collect();
            assert_eq!(more, expected, "{status}");
        }
    }
}
