//! The text of rules.

use super::range::Range;
use super::rule::{Direction, Pattern, Rule};
use crate::lookup::Host;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(direction) = self.direction {
            write!(f, "{}:", direction.as_str())?;
        }
        let ports = (self.first_port, self.last_port);
        match &self.host {
            Pattern::Any => f.write_str("*")?,
            // A dot tells a host from a direction.
            Pattern::Name(name) if self.direction.is_none() && direction(name).is_some() => {
                write!(f, "{name}.")?;
            }
            Pattern::Name(name) => f.write_str(name)?,
            Pattern::Below(name) => write!(f, "*.{name}")?,
            Pattern::Range(range) if range.is_ipv6() && ports != Self::PORTS => {
                write!(f, "[{range}]")?;
            }
            Pattern::Range(range) => write!(f, "{range}")?,
        }
        match ports {
            Self::PORTS => Ok(()),
            (first, last) if first == last => write!(f, ":{first}"),
            (first, last) => write!(f, ":{first}-{last}"),
        }
    }
}

/// A text that is no [`Rule`]. Its message says what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    text: String,
    advice: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no rule: {}",
            self.text.escape_debug(),
            self.advice
        )
    }
}

impl core::error::Error for RuleError {}

fn direction(word: &str) -> Option<Direction> {
    Direction::ALL
        .into_iter()
        .find(|direction| direction.as_str() == word)
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        parse(text).map_err(|advice| RuleError {
            text: text.chars().take(100).collect(),
            advice,
        })
    }
}

/// The rule, or what to write.
fn parse(text: &str) -> Result<Rule, String> {
    if text.contains("://") {
        return Err("write HOST or HOST:PORT, without a scheme".to_owned());
    }
    let (direction, rest) = match text.split_once(':') {
        Some((word, rest)) => match direction(word) {
            Some(direction) => (Some(direction), rest),
            None => (None, text),
        },
        None => (None, text),
    };
    if let Some(direction) = direction
        && rest
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-')
    {
        let word = direction.as_str();
        return Err(format!(
            "write `{word}:HOST:PORT`, with `*` for any host, or `{word}.:PORT` for the host of \
             that name"
        ));
    }
    let (host, ports) = split(rest)?;
    let mut rule = Rule::about(direction, pattern(host)?);
    if let Some(ports) = ports {
        (rule.first_port, rule.last_port) = range_of_ports(ports)?;
    }
    Ok(rule)
}

/// The host, without brackets, and the text of its ports.
fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(inner) = text.strip_prefix('[') {
        let Some((host, rest)) = inner.split_once(']') else {
            return Err("write `]` behind the IPv6 address".to_owned());
        };
        let address = host.split('/').next().unwrap_or(host);
        if address.parse::<Ipv6Addr>().is_err() {
            return Err("brackets are for IPv6 addresses, such as `[::1]:80`".to_owned());
        }
        return match rest.strip_prefix(':') {
            Some(ports) => Ok((host, Some(ports))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err("write `[ADDRESS]:PORT` or `[ADDRESS/BITS]:PORT`".to_owned()),
        };
    }
    match text.split_once(':') {
        // More than one colon is IPv6.
        Some((_, rest)) if rest.contains(':') => Ok((text, None)),
        Some((host, ports)) => Ok((host, Some(ports))),
        None => Ok((text, None)),
    }
}

fn pattern(host: &str) -> Result<Pattern, String> {
    if host.is_empty() {
        return Err("write a name, an address, a range or `*` for the host".to_owned());
    }
    if host == "*" {
        return Ok(Pattern::Any);
    }
    if let Some((address, prefix)) = host.split_once('/') {
        return range(address, prefix).map(Pattern::Range);
    }
    if let Some(below) = host.strip_prefix("*.") {
        return match Host::parse(below) {
            Ok(Host::Name(name)) => Ok(Pattern::Below(name)),
            _ => Err("write `*.` and a host name, such as `*.example.com`".to_owned()),
        };
    }
    if host.contains('*') {
        return Err("`*` stands alone or for the first labels, as in `*.example.com`".to_owned());
    }
    match Host::parse(host) {
        Ok(Host::Address(address)) => Ok(Pattern::Range(Range::one(address))),
        Ok(Host::Name(name)) => Ok(Pattern::Name(name)),
        Err(_) if !host.is_ascii() => {
            Err("write the name in punycode, such as `xn--bcher-kva.example`".to_owned())
        }
        Err(_) if host.contains(':') => {
            Err("write an IPv6 address, in brackets where a port follows: `[::1]:80`".to_owned())
        }
        Err(_) => Err(
            "the host is a name of letters, digits, `-`, `_` and dots that does not end in a \
             number, an address such as `192.0.2.1`, a range such as `10.0.0.0/8`, or `*`"
                .to_owned(),
        ),
    }
}

fn range(address: &str, prefix: &str) -> Result<Range, String> {
    let Ok(first) = address.parse::<IpAddr>() else {
        return Err("before `/` stands an address, such as `10.0.0.0/8`".to_owned());
    };
    if prefix.contains(':') {
        return Err("write `[ADDRESS/BITS]:PORT` for a range of IPv6".to_owned());
    }
    let Some(prefix) = number::<u8>(prefix) else {
        return Err("behind `/` stands a number of bits: up to 32, for IPv6 128".to_owned());
    };
    Range::new(first, prefix).ok_or_else(|| {
        let most = if first.is_ipv4() { 32 } else { 128 };
        match prefix <= most {
            true => format!(
                "the address has bits behind the first {prefix}: write the first address of the \
                 range, or `{address}` alone"
            ),
            false => format!("this address has {most} bits"),
        }
    })
}

fn range_of_ports(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if 0 < first && first <= last => Ok((first, last)),
        (Some(first), Some(last)) if 0 < last && last < first => Err(format!(
            "the ports go from the lower to the higher: write {last}-{first}"
        )),
        _ => Err("behind the host stands a port or two, 1 to 65535: `443`, `8000-8080`".to_owned()),
    }
}

/// Digits only: `parse` takes a sign.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    #[test]
    fn a_rule_is_read_and_written() {
        for (text, written) in [
            ("api.example.com", "api.example.com"),
            ("API.Example.com.:443", "api.example.com:443"),
            ("localhost:8000-8080", "localhost:8000-8080"),
            ("a:80-80", "a:80"),
            ("a:1-65535", "a:1-65535"),
            ("a:0443", "a:443"),
            ("*", "*"),
            ("*:53", "*:53"),
            ("*.Example.com:443", "*.example.com:443"),
            ("*.com", "*.com"),
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1/32", "192.0.2.1"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("10.0.0.0/8:80-81", "10.0.0.0/8:80-81"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("[::1]:80", "[::1]:80"),
            ("::1:80", "::1:80"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("[2001:db8::/32]:1-2", "[2001:db8::/32]:1-2"),
            ("::/0", "::/0"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:10.0.0.0/104]:80", "10.0.0.0/8:80"),
            ("connect:a:80", "connect:a:80"),
            ("udp:*:53", "udp:*:53"),
            ("udp:::1", "udp:::1"),
            ("listen:[::]:8080", "listen:[::]:8080"),
            ("listen:*", "listen:*"),
            // Hosts that are named like a direction.
            ("udp", "udp."),
            ("listen.:80", "listen.:80"),
            ("udp:udp:80", "udp:udp:80"),
        ] {
            let rule: Rule = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(rule.to_string(), written, "{text}");
            assert_eq!(written.parse(), Ok(rule), "{text}");
        }
    }

    #[test]
    fn what_is_no_rule_says_what_to_write() {
        let long = "a".repeat(255);
        for (text, advice) in [
            ("", "a name, an address, a range or `*`"),
            (":80", "a name, an address, a range or `*`"),
            ("https://example.com", "without a scheme"),
            ("udp://example.com", "without a scheme"),
            ("example.com/path", "before `/` stands an address"),
            ("connect:", "`connect:HOST:PORT`"),
            ("udp:53", "`udp.:PORT`"),
            ("listen:80-90", "`listen:HOST:PORT`"),
            ("tcp:example.com:80", "an IPv6 address, in brackets"),
            ("CONNECT:a:80", "an IPv6 address, in brackets"),
            ("a:0", "1 to 65535"),
            ("a:", "1 to 65535"),
            ("a:-", "1 to 65535"),
            ("a:+80", "1 to 65535"),
            ("a:65536", "1 to 65535"),
            ("a:1-65536", "1 to 65535"),
            ("a:0-5", "1 to 65535"),
            ("a:80-", "1 to 65535"),
            ("a:80-81-82", "1 to 65535"),
            ("a:http", "1 to 65535"),
            ("a:81-80", "write 80-81"),
            ("[::1", "`]`"),
            ("[::1]80", "`[ADDRESS]:PORT`"),
            ("[::1]:", "1 to 65535"),
            ("[127.0.0.1]:80", "brackets are for IPv6"),
            ("[a]:80", "brackets are for IPv6"),
            ("*.", "`*.example.com`"),
            ("*.*.com", "`*.example.com`"),
            ("*.10.0.0.1", "`*.example.com`"),
            ("a.*.com", "`*.example.com`"),
            ("*a.com", "`*.example.com`"),
            ("10.0.0.1/8", "or `10.0.0.1` alone"),
            ("10.0.0.0/33", "this address has 32 bits"),
            ("::/129", "this address has 128 bits"),
            ("10.0.0.0/", "up to 32"),
            ("10.0.0.0/+8", "up to 32"),
            ("10.0.0.0/256", "up to 32"),
            ("10.0.0.0/8/8", "up to 32"),
            ("2001:db8::/32:80", "`[ADDRESS/BITS]:PORT`"),
            ("127.1", "does not end in a number"),
            ("0x7f000001", "does not end in a number"),
            ("a b", "letters, digits"),
            ("-a", "letters, digits"),
            ("a,b", "letters, digits"),
            ("user@example.com", "letters, digits"),
            ("b\u{fc}cher.example", "punycode"),
            (&long, "letters, digits"),
        ] {
            let error = text.parse::<Rule>().map(|rule| rule.to_string());
            let told = error.unwrap_err().to_string();
            assert!(told.contains(advice), "{told}");
            assert!(told.len() < 400, "{told}");
        }
    }

    #[test]
    fn a_range_of_ports_has_its_ends_and_no_more() {
        let rule: Rule = "a:8000-8080".parse().unwrap();
        let ports = [0, 7999, 8000, 8080, 8081];
        let has: Vec<_> = ports
            .into_iter()
            .filter(|port| rule.has_port(*port))
            .collect();
        assert_eq!(has, [8000, 8080]);
        let rule: Rule = "a".parse().unwrap();
        assert!(ports.into_iter().all(|port| rule.has_port(port)));
    }
}
