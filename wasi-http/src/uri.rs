//! What is valid in a request's line and target.

use crate::fields::is_token_byte;

/// The longest method, authority, or path with its query, in bytes; there is no rule, and
/// HTTP implementations have limits like this one.
const LEN_MAX: usize = u16::MAX as usize - 2;
/// The longest scheme, in bytes.
const SCHEME_MAX: usize = 64;

/// A token (RFC 9110, section 9.1).
pub(crate) fn is_method(method: &str) -> bool {
    (1..=LEN_MAX).contains(&method.len()) && method.bytes().all(is_token_byte)
}

/// RFC 3986, section 3.1.
pub(crate) fn is_scheme(scheme: &str) -> bool {
    scheme.len() <= SCHEME_MAX
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && (scheme.bytes()).all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// The host, with the brackets of an IPv6 address, and the rest: the port behind its colon, or
/// nothing.
fn split(authority: &str) -> (&str, &str) {
    let host = match authority.starts_with('[') {
        true => authority.find(']').map(|end| end + 1),
        false => authority.find(':'),
    };
    authority.split_at(host.unwrap_or(authority.len()))
}

/// The host and the port of a valid authority, where it has one.
pub(crate) fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    let (host, port) = split(authority);
    let port = port.strip_prefix(':').unwrap_or_default();
    (host, port.parse().ok())
}

/// RFC 3986, section 3.2, with a host that is not empty. User information, which a sender of
/// HTTP leaves out (RFC 9110, section 4.2.4), is not valid.
pub(crate) fn is_authority(authority: &str) -> bool {
    if authority.len() > LEN_MAX {
        return false;
    }
    let (host, port) = split(authority);
    let valid_host = match host.strip_prefix('[') {
        Some(literal) => literal.strip_suffix(']').is_some_and(is_ip_literal),
        None => !host.is_empty() && is_reg_name(host),
    };
    let valid_port = match port.strip_prefix(':') {
        Some(digits) => {
            digits.bytes().all(|byte| byte.is_ascii_digit())
                && (digits.is_empty() || digits.parse::<u16>().is_ok())
        }
        None => port.is_empty(),
    };
    valid_host && valid_port
}

/// As [`is_authority`], and user information may come before it (RFC 3986, section 3.2.1).
pub(crate) fn is_authority_of_anybody(authority: &str) -> bool {
    match authority.rsplit_once('@') {
        Some((user, rest)) => {
            authority.len() <= LEN_MAX && (user.split(':').all(is_reg_name)) && is_authority(rest)
        }
        None => is_authority(authority),
    }
}

/// RFC 3986, section 3.2.2; `IPvFuture`, of which there is none, is not valid.
fn is_ip_literal(host: &str) -> bool {
    host.parse::<core::net::Ipv6Addr>().is_ok()
}

fn is_reg_name(host: &str) -> bool {
    let mut rest = host.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                tail
            }
            (byte, tail) if byte.is_ascii_alphanumeric() => tail,
            (byte, tail) if b"-._~!$&'()*+,;=".contains(byte) => tail,
            _ => return false,
        };
    }
    true
}

/// Empty, `*` (RFC 9112, section 3.2.4), or a path that begins with `/`, a query that begins
/// with `?`, or both (RFC 3986, sections 3.3 and 3.4). What browsers leave as it is, such as
/// `|` or a lone `%`, is taken too.
pub(crate) fn is_path_with_query(path: &str) -> bool {
    path.len() <= LEN_MAX
        && is_target(path)
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\"#<>`".contains(&byte))
}

/// As [`is_path_with_query`], for a target as it is given: a path may also be relative (RFC
/// 3986, section 4.2), and bytes that are not ASCII, and DEL, are left as they are.
pub(crate) fn is_relative(path: &str) -> bool {
    path.len() <= LEN_MAX
        && (path.bytes())
            .all(|byte| byte >= 0x7f || (byte.is_ascii_graphic() && !b"\"#<>`".contains(&byte)))
}

/// What can be sent begins with `/` or `?`, or is empty or `*`.
pub(crate) fn is_target(path: &str) -> bool {
    path.is_empty() || path == "*" || path.starts_with(['/', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_tokens() {
        for (method, valid) in [
            ("PURGE", true),
            ("m-search", true),
            ("", false),
            ("GET /", false),
            ("GET\r\n", false),
            ("GÉT", false),
        ] {
            assert_eq!(is_method(method), valid, "{method:?}");
        }
    }

    #[test]
    fn schemes_follow_the_uri_syntax() {
        for (scheme, valid) in [
            ("ws", true),
            ("coap+tcp", true),
            ("a.b-9", true),
            ("", false),
            ("9p", false),
            ("a b", false),
            ("http:", false),
            ("h\u{e9}", false),
        ] {
            assert_eq!(is_scheme(scheme), valid, "{scheme:?}");
        }
        assert!(!is_scheme(&"a".repeat(65)));
    }

    #[test]
    fn authorities_are_a_host_and_a_port() {
        for (authority, valid) in [
            ("example.com", true),
            ("example.com:80", true),
            ("example.com:", true),
            ("127.0.0.1:65535", true),
            ("[::1]", true),
            ("[::1]:8080", true),
            ("a%20b", true),
            ("", false),
            (":80", false),
            ("example.com:65536", false),
            ("example.com:+80", false),
            ("example.com:80:80", false),
            ("::1", false),
            ("[::1", false),
            ("[::1]x", false),
            ("[1.2.3.4]", false),
            ("user@example.com", false),
            ("user:pass@example.com", false),
            ("a/b", false),
            ("a b", false),
            ("a%2", false),
            ("a\r\n", false),
        ] {
            assert_eq!(is_authority(authority), valid, "{authority:?}");
        }
    }

    #[test]
    fn user_information_may_come_before_a_host() {
        for (authority, valid) in [
            ("a", true),
            ("user@a:80", true),
            ("user:pass%20@a", true),
            ("@a", true),
            ("user@[::1]:80", true),
            (":@", false),
            ("@@", false),
            ("@:", false),
            ("a@b@c", false),
            ("a b@c", false),
            ("user@", false),
            ("", false),
        ] {
            assert_eq!(is_authority_of_anybody(authority), valid, "{authority:?}");
        }
    }

    #[test]
    fn a_relative_path_has_the_characters_of_a_path() {
        for (path, valid) in [
            ("a/b/c", true),
            ("../..", true),
            ("/é", true),
            ("", true),
            ("a b", false),
            ("a\r\n", false),
            ("/#a", false),
            ("/`", false),
        ] {
            assert_eq!(is_relative(path), valid, "{path:?}");
        }
        assert!(!is_relative(&"a".repeat(LEN_MAX + 1)));
    }

    #[test]
    fn paths_begin_with_a_slash_or_a_question_mark() {
        for (path, valid) in [
            ("", true),
            ("/", true),
            ("*", true),
            ("/a/b?c=d&e=%20", true),
            ("?a", true),
            ("/?a={1|2}", true),
            ("a", false),
            ("**", false),
            ("/a b", false),
            ("/#a", false),
            ("/a\r\nHost: b", false),
            ("/\0", false),
            ("/é", false),
            ("http://example.com/", false),
        ] {
            assert_eq!(is_path_with_query(path), valid, "{path:?}");
        }
        assert!(is_path_with_query(&alloc::format!(
            "/{}",
            "a".repeat(65532)
        )));
        assert!(!is_path_with_query(&alloc::format!(
            "/{}",
            "a".repeat(65533)
        )));
    }
}
