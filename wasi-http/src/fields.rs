//! Header and trailer fields, in order.

use alloc::borrow::{Cow, ToOwned};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use wasi_error::http::HeaderError;

/// What each field counts for beside its name and value, in bytes (RFC 9113, section 6.5.2):
/// so a limit on the size of all fields is one on their number as well.
pub const FIELD_OVERHEAD: usize = 32;

/// The longest name, in bytes.
const NAME_MAX: usize = u16::MAX as usize;

/// Header or trailer fields: names and values in the order of the wire. Names keep their case
/// and are compared without it; a name may come more than once.
///
/// A clone shares the memory until one of both is changed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields {
    list: Arc<Vec<Field>>,
    size: usize,
}

#[derive(Clone)]
struct Field {
    name: Cow<'static, str>,
    value: Bytes,
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name) && self.value == other.value
    }
}

impl Eq for Field {}

impl Field {
    fn size(&self) -> usize {
        self.name.len() + self.value.len() + FIELD_OVERHEAD
    }
}

impl Fields {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// No fields, with room for `count`.
    pub fn with_capacity(count: usize) -> Self {
        Self {
            list: Arc::new(Vec::with_capacity(count)),
            size: 0,
        }
    }

    /// How many fields there are; a name with two values counts twice.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// There is no field.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The bytes of all names and values, and [`FIELD_OVERHEAD`] for each field.
    pub fn size(&self) -> usize {
        self.size
    }

    /// All names and values, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Bytes)> + '_ {
        self.list
            .iter()
            .map(|field| (field.name.as_ref(), &field.value))
    }

    /// All names and values, in order, to keep. The values are not copied unless the fields
    /// are shared with a clone.
    pub fn into_entries(self) -> impl ExactSizeIterator<Item = (Cow<'static, str>, Bytes)> {
        Arc::unwrap_or_clone(self.list)
            .into_iter()
            .map(|field| (field.name, field.value))
    }

    /// The values of `name`, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Bytes> + 'a {
        self.iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// There is a field of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Adds a field at the end.
    ///
    /// # Errors
    /// [`HeaderError::InvalidSyntax`]: the name or the value is not one of HTTP's
    /// ([`Fields::is_name`], [`Fields::is_value`]).
    pub fn append(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Bytes>,
    ) -> Result<(), HeaderError> {
        let (name, value) = (name.into(), value.into());
        check_name(&name)?;
        check_value(&value)?;
        self.push(name, value);
        Ok(())
    }

    /// As [`Fields::append`], for a field that an HTTP implementation has checked already.
    /// Common names in lower case are not allocated.
    pub fn append_valid(&mut self, name: &str, value: impl Into<Bytes>) {
        let name = known(name).map_or_else(|| Cow::Owned(name.to_owned()), Cow::Borrowed);
        self.push(name, value.into());
    }

    /// Removes the fields of this name and says whether there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        self.retain(|known, _| !known.eq_ignore_ascii_case(name))
    }

    /// Removes the fields that `keep` is false for and says whether there were any.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &Bytes) -> bool) -> bool {
        // Most often nothing is removed, and a shared list is not copied for that.
        let Some(first) = self.iter().position(|(name, value)| !keep(name, value)) else {
            return false;
        };
        let (list, size) = (Arc::make_mut(&mut self.list), &mut self.size);
        let mut index = 0;
        list.retain(|field| {
            let kept = index < first || (index > first && keep(&field.name, &field.value));
            index += 1;
            if !kept {
                *size -= field.size();
            }
            kept
        });
        true
    }

    /// The length that `Content-Length` gives, in bytes (RFC 9110, section 8.6).
    ///
    /// # Errors
    /// [`HeaderError::InvalidSyntax`]: it is not a number, is larger than 2^64 - 1, or comes
    /// with two values that differ.
    pub fn content_length(&self) -> Result<Option<u64>, HeaderError> {
        let mut length = None;
        for value in self.get_all("content-length") {
            let this = parse_length(value).ok_or(HeaderError::InvalidSyntax)?;
            if length.replace(this).is_some_and(|other| other != this) {
                return Err(HeaderError::InvalidSyntax);
            }
        }
        Ok(length)
    }

    /// `name` is a token (RFC 9110, section 5.6.2) of 1 to 65535 bytes.
    pub fn is_name(name: &str) -> bool {
        (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(is_token_byte)
    }

    /// `value` has only visible characters, bytes from 0x80, spaces and tabs (RFC 9110,
    /// section 5.5). It may be empty.
    pub fn is_value(value: &[u8]) -> bool {
        value
            .iter()
            .all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
    }

    /// Adds a field that was checked.
    pub(crate) fn push(&mut self, name: Cow<'static, str>, value: Bytes) {
        let field = Field { name, value };
        self.size += field.size();
        Arc::make_mut(&mut self.list).push(field);
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A character of a token (RFC 9110, section 5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    matches!(byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\''
        | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

pub(crate) fn check_name(name: &str) -> Result<(), HeaderError> {
    match Fields::is_name(name) {
        true => Ok(()),
        false => Err(HeaderError::InvalidSyntax),
    }
}

pub(crate) fn check_value(value: &[u8]) -> Result<(), HeaderError> {
    match Fields::is_value(value) {
        true => Ok(()),
        false => Err(HeaderError::InvalidSyntax),
    }
}

/// `1*DIGIT`.
pub(crate) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        length.checked_mul(10)?.checked_add(digit.into())
    })
}

/// The names that most messages have, so that they need no memory of their own.
fn known(name: &str) -> Option<&'static str> {
    const NAMES: [&str; 40] = [
        "accept",
        "accept-encoding",
        "accept-language",
        "accept-ranges",
        "access-control-allow-origin",
        "age",
        "alt-svc",
        "authorization",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-security-policy",
        "content-type",
        "cookie",
        "date",
        "etag",
        "expires",
        "forwarded",
        "host",
        "if-modified-since",
        "if-none-match",
        "last-modified",
        "link",
        "location",
        "origin",
        "range",
        "referer",
        "retry-after",
        "sec-fetch-dest",
        "sec-fetch-mode",
        "sec-fetch-site",
        "server",
        "set-cookie",
        "strict-transport-security",
        "traceparent",
        "user-agent",
        "vary",
        "via",
    ];
    NAMES.iter().find(|known| **known == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    fn fields(list: &[(&'static str, &'static str)]) -> Fields {
        let mut fields = Fields::new();
        for (name, value) in list {
            fields.append(*name, *value).unwrap();
        }
        fields
    }

    #[test]
    fn fields_keep_order_and_case_and_are_found_without_case() {
        let fields = fields(&[("B", "1"), ("a", "2"), ("b", "3")]);
        let list: Vec<_> = fields.iter().map(|(name, _)| name).collect();
        assert_eq!(list, ["B", "a", "b"]);
        let list: Vec<_> = fields
            .clone()
            .into_entries()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(list, ["B", "a", "b"]);
        let values: Vec<_> = fields.get_all("b").collect();
        assert_eq!(values, ["1", "3"]);
        assert_eq!(fields.get("A").unwrap(), "2");
        assert!(!fields.contains("c"));
        assert_eq!(fields.size(), 6 + 3 * FIELD_OVERHEAD);
    }

    #[test]
    fn names_are_tokens_and_values_have_no_control_characters() {
        for (name, valid) in [
            ("a", true),
            ("X-Y_z.9", true),
            ("!#$%&'*+-.^_`|~", true),
            ("", false),
            (" a", false),
            ("a b", false),
            ("a:", false),
            ("a\r\nb", false),
            ("a\0", false),
            ("é", false),
            ("a/b", false),
            ("(a)", false),
        ] {
            assert_eq!(Fields::is_name(name), valid, "{name:?}");
            assert_eq!(Fields::new().append(name, "").is_ok(), valid, "{name:?}");
        }
        assert!(Fields::is_name(&"a".repeat(65535)));
        assert!(!Fields::is_name(&"a".repeat(65536)));
        for byte in 0..=u8::MAX {
            let valid = byte == b'\t' || !byte.is_ascii_control();
            assert_eq!(Fields::is_value(&[b'a', byte]), valid, "{byte}");
            let mut fields = Fields::new();
            assert_eq!(fields.append("a", alloc::vec![byte]).is_ok(), valid);
            assert_eq!(fields.is_empty(), !valid);
        }
    }

    #[test]
    fn a_clone_does_not_follow_the_original() {
        let mut one = fields(&[("a", "1"), ("b", "2"), ("A", "3")]);
        let two = one.clone();
        assert!(one.remove("a"));
        assert!(!one.remove("a"));
        assert_eq!(one, fields(&[("b", "2")]));
        assert_eq!(two, fields(&[("a", "1"), ("b", "2"), ("a", "3")]));
        assert_eq!(one.size(), 2 + FIELD_OVERHEAD);
        assert_eq!(two.size(), 6 + 3 * FIELD_OVERHEAD);
    }

    #[test]
    fn retain_asks_once_for_each_field() {
        let mut one = fields(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
        let mut asked = String::new();
        one.retain(|name, _| {
            asked.push_str(name);
            name == "a" || name == "d"
        });
        assert_eq!(asked, "abcd");
        assert_eq!(one, fields(&[("a", "1"), ("d", "4")]));
    }

    #[test]
    fn a_content_length_is_one_number() {
        for (values, length) in [
            (&[][..], Ok(None)),
            (&["0"], Ok(Some(0))),
            (&["18446744073709551615"], Ok(Some(u64::MAX))),
            (&["18446744073709551616"], Err(HeaderError::InvalidSyntax)),
            (&["7", "7"], Ok(Some(7))),
            (&["7", "8"], Err(HeaderError::InvalidSyntax)),
            (&["7, 7"], Err(HeaderError::InvalidSyntax)),
            (&["+7"], Err(HeaderError::InvalidSyntax)),
            (&[""], Err(HeaderError::InvalidSyntax)),
        ] {
            let mut fields = Fields::new();
            for value in values {
                fields.append("Content-Length", *value).unwrap();
            }
            assert_eq!(fields.content_length(), length, "{values:?}");
        }
    }

    #[test]
    fn a_common_name_is_not_allocated() {
        let mut fields = Fields::new();
        fields.append_valid("content-type", "text/plain");
        fields.append_valid("x-mine", "1");
        assert!(matches!(fields.list[0].name, Cow::Borrowed(_)));
        assert!(matches!(fields.list[1].name, Cow::Owned(_)));
        assert_eq!(
            format!("{fields:?}"),
            r#"{"content-type": b"text/plain", "x-mine": b"1"}"#
        );
    }
}
