//! Fields as a guest makes and changes them.

use crate::fields::{FIELD_OVERHEAD, check_name, check_value, parse_length};
use crate::{Fields, HeaderError};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// A `fields` resource: fields, and what the guest may do with them.
///
/// Some names are the host's: they belong to the connection or to the message's framing and
/// target, and a guest that could set them could make two HTTP implementations disagree about
/// where a message ends. These are `Connection` and the fields that it may list (RFC 9110,
/// section 7.6.1; RFC 9113, section 8.2.2): `Keep-Alive`, `Proxy-Connection`,
/// `Transfer-Encoding`, `Upgrade`, and `TE` with another value than `trailers`;
/// `HTTP2-Settings` (RFC 7540, section 3.2.1); `Host`, which the authority gives; and
/// `Proxy-Authenticate` and `Proxy-Authorization` (RFC 9110, section 11.7), as the host talks
/// to the proxy. What a guest receives is without them.
#[derive(Clone, Debug)]
pub struct GuestFields {
    fields: Fields,
    /// The most that [`Fields::size`] may be, or `None` for immutable fields.
    limit: Option<usize>,
}

impl GuestFields {
    /// The constructor: no fields, of which [`Fields::size`] may become `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            fields: Fields::new(),
            limit: Some(limit),
        }
    }

    /// `from-list`: as [`GuestFields::append`] for each of `entries`.
    ///
    /// # Errors
    /// Those of [`GuestFields::append`].
    pub fn from_list(
        limit: usize,
        entries: impl IntoIterator<Item = (String, Vec<u8>), IntoIter: ExactSizeIterator>,
    ) -> Result<Self, HeaderError> {
        let entries = entries.into_iter();
        if entries.len() > limit / FIELD_OVERHEAD {
            return Err(HeaderError::SizeExceeded);
        }
        let mut this = Self {
            fields: Fields::with_capacity(entries.len()),
            limit: Some(limit),
        };
        for (name, value) in entries {
            this.append(name, value)?;
        }
        Ok(this)
    }

    /// Fields of a message, to look at. They are shared, not copied.
    pub fn immutable(fields: Fields) -> Self {
        Self {
            fields,
            limit: None,
        }
    }

    /// `clone`: fields like these that can be changed, up to `limit` bytes. They are copied
    /// when they are.
    pub fn to_mutable(&self, limit: usize) -> Self {
        Self {
            fields: self.fields.clone(),
            limit: Some(limit),
        }
    }

    /// The fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The fields, for a message that takes them.
    pub fn into_fields(self) -> Fields {
        self.fields
    }

    /// `set`: `values` instead of those that `name` has, at the end of the fields. After an
    /// error nothing has changed.
    ///
    /// # Errors
    /// Those of [`GuestFields::append`].
    pub fn set(&mut self, name: String, values: Vec<Vec<u8>>) -> Result<(), HeaderError> {
        let limit = self.mutable()?;
        check_name(&name)?;
        values.iter().try_for_each(|value| check_value(value))?;
        check_length(&name, values.iter().map(Vec::as_slice))?;
        if values.iter().any(|value| is_forbidden(&name, value)) || is_forbidden_name(&name) {
            return Err(HeaderError::Forbidden);
        }
        let replaced = self.fields.get_all(&name).map(|value| value.len());
        let size = self.fields.size() - sum(&name, replaced);
        let added = sum(&name, values.iter().map(Vec::len));
        if size.saturating_add(added) > limit {
            return Err(HeaderError::SizeExceeded);
        }
        self.fields.remove(&name);
        for value in values {
            self.fields.push(name.clone().into(), value.into());
        }
        Ok(())
    }

    /// `delete`: removes all values of `name`, if there are any.
    ///
    /// # Errors
    /// - [`HeaderError::Immutable`]: the fields are a message's.
    /// - [`HeaderError::InvalidSyntax`]: `name` is not a field's name.
    pub fn delete(&mut self, name: &str) -> Result<(), HeaderError> {
        self.mutable()?;
        check_name(name)?;
        self.fields.remove(name);
        Ok(())
    }

    /// `get-and-delete`: removes all values of `name` and gives them, in order.
    ///
    /// # Errors
    /// Those of [`GuestFields::delete`].
    pub fn take(&mut self, name: &str) -> Result<Vec<Bytes>, HeaderError> {
        self.mutable()?;
        check_name(name)?;
        let values = self.fields.get_all(name).cloned().collect();
        self.fields.remove(name);
        Ok(values)
    }

    /// `append` of 0.3: as [`GuestFields::append`], but a name that is there already has the case
    /// in which it is there first.
    ///
    /// # Errors
    /// Those of [`GuestFields::append`].
    pub fn append_alike(&mut self, name: String, value: Vec<u8>) -> Result<(), HeaderError> {
        let known = (self.fields.iter().map(|(known, _)| known))
            .find(|known| known.eq_ignore_ascii_case(&name))
            .filter(|known| *known != name)
            .map(String::from);
        self.append(known.unwrap_or(name), value)
    }

    /// `append`: one more value of `name`, at the end of the fields.
    ///
    /// # Errors
    /// - [`HeaderError::Immutable`]: the fields are a message's.
    /// - [`HeaderError::InvalidSyntax`]: the name or the value is not one of HTTP's, or the
    ///   field makes `Content-Length` anything but one number (RFC 9110, section 8.6).
    /// - [`HeaderError::Forbidden`]: the field is the host's.
    /// - [`HeaderError::SizeExceeded`]: with it the fields would be larger than the limit.
    pub fn append(&mut self, name: String, value: Vec<u8>) -> Result<(), HeaderError> {
        let limit = self.mutable()?;
        check_name(&name)?;
        check_value(&value)?;
        let known = self.fields.get_all(&name).map(|known| &**known);
        check_length(&name, known.chain([&*value]))?;
        if is_forbidden(&name, &value) {
            return Err(HeaderError::Forbidden);
        }
        let size = self.fields.size();
        if size.saturating_add(sum(&name, [value.len()])) > limit {
            return Err(HeaderError::SizeExceeded);
        }
        self.fields.push(name.into(), value.into());
        Ok(())
    }

    fn mutable(&self) -> Result<usize, HeaderError> {
        self.limit.ok_or(HeaderError::Immutable)
    }
}

/// The size of fields of this name whose values have these lengths.
fn sum(name: &str, lengths: impl IntoIterator<Item = usize>) -> usize {
    (lengths.into_iter()).fold(0, |sum: usize, len| {
        sum.saturating_add(name.len() + len + FIELD_OVERHEAD)
    })
}

fn check_length<'a>(name: &str, values: impl Iterator<Item = &'a [u8]>) -> Result<(), HeaderError> {
    if !name.eq_ignore_ascii_case("content-length") {
        return Ok(());
    }
    let mut values = values.map(parse_length);
    let first = values.next();
    match first != Some(None) && values.all(|value| Some(value) == first) {
        true => Ok(()),
        false => Err(HeaderError::InvalidSyntax),
    }
}

fn is_forbidden_name(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "connection",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn is_forbidden(name: &str, value: &[u8]) -> bool {
    is_forbidden_name(name)
        || (name.eq_ignore_ascii_case("te") && !value.eq_ignore_ascii_case(b"trailers"))
}

/// Removes what a guest is not to see, as it could send it on.
pub(crate) fn strip_forbidden(fields: &mut Fields) {
    fields.retain(|name, value| !is_forbidden(name, value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const LIMIT: usize = 1024;

    fn one(name: &str, value: &str) -> Result<GuestFields, HeaderError> {
        GuestFields::from_list(LIMIT, vec![(name.into(), value.into())])
    }

    #[test]
    fn each_way_in_checks_names_and_values() {
        use HeaderError::{Forbidden, InvalidSyntax};
        for (name, value, expected) in [
            ("accept", "*/*", Ok(())),
            ("X-Empty", "", Ok(())),
            ("te", "trailers", Ok(())),
            ("Content-Length", "12", Ok(())),
            ("a b", "1", Err(InvalidSyntax)),
            ("", "1", Err(InvalidSyntax)),
            ("a", "1\r\nb: 2", Err(InvalidSyntax)),
            ("a", "\0", Err(InvalidSyntax)),
            ("content-length", "-1", Err(InvalidSyntax)),
            ("content-length", "1, 1", Err(InvalidSyntax)),
            ("Host", "example.com", Err(Forbidden)),
            ("CONNECTION", "close", Err(Forbidden)),
            ("keep-alive", "1", Err(Forbidden)),
            ("Proxy-Connection", "close", Err(Forbidden)),
            ("proxy-authenticate", "Basic", Err(Forbidden)),
            ("proxy-authorization", "Basic", Err(Forbidden)),
            ("transfer-encoding", "chunked", Err(Forbidden)),
            ("upgrade", "h2c", Err(Forbidden)),
            ("HTTP2-Settings", "a", Err(Forbidden)),
            ("TE", "gzip", Err(Forbidden)),
        ] {
            let listed = one(name, value).map(drop);
            assert_eq!(listed, expected, "from-list {name:?} {value:?}");
            let mut fields = GuestFields::new(LIMIT);
            let appended = fields.append(name.into(), value.into());
            assert_eq!(appended, expected, "append {name:?} {value:?}");
            let mut fields = GuestFields::new(LIMIT);
            let set = fields.set(name.into(), vec![value.into()]);
            assert_eq!(set, expected, "set {name:?} {value:?}");
            assert_eq!(fields.fields().len(), usize::from(expected.is_ok()));
        }
    }

    #[test]
    fn set_replaces_all_values_or_none() {
        let mut fields = one("a", "1").unwrap();
        fields.append("b".into(), "2".into()).unwrap();
        fields.append("A".into(), "3".into()).unwrap();
        let refused = fields.set("a".into(), vec!["4".into(), "\n".into()]);
        assert_eq!(refused, Err(HeaderError::InvalidSyntax));
        assert_eq!(fields.fields().len(), 3);
        fields
            .set("a".into(), vec!["4".into(), "5".into()])
            .unwrap();
        let values: Vec<_> = fields.fields().get_all("A").collect();
        assert_eq!(values, ["4", "5"]);
        assert_eq!(fields.fields().len(), 3);
        fields.set("a".into(), vec![]).unwrap();
        assert!(!fields.fields().contains("a"));
        fields.delete("B").unwrap();
        fields.delete("B").unwrap();
        assert_eq!(fields.delete("b b"), Err(HeaderError::InvalidSyntax));
        assert!(fields.fields().is_empty());
        assert_eq!(
            fields.set("host".into(), vec![]),
            Err(HeaderError::Forbidden)
        );
    }

    #[test]
    fn what_is_appended_has_the_case_of_the_first() {
        let mut fields = one("X-a", "1").unwrap();
        for (name, value) in [("x-A", "2"), ("b", "3"), ("X-A", "4"), ("B", "5")] {
            fields.append_alike(name.into(), value.into()).unwrap();
        }
        let names: Vec<_> = fields.fields().iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["X-a", "X-a", "b", "X-a", "b"]);
        fields.delete("x-a").unwrap();
        fields.append_alike("x-A".into(), "6".into()).unwrap();
        assert_eq!(fields.fields().iter().last().unwrap().0, "x-A");
    }

    #[test]
    fn what_is_taken_is_removed_in_order() {
        let mut fields = one("a", "1").unwrap();
        fields.append("b".into(), "2".into()).unwrap();
        fields.append("A".into(), "3".into()).unwrap();
        assert_eq!(fields.take("a").unwrap(), ["1", "3"]);
        assert_eq!(fields.take("a").unwrap(), [""; 0]);
        assert_eq!(fields.fields().len(), 1);
        assert_eq!(fields.take("b b"), Err(HeaderError::InvalidSyntax));
    }

    #[test]
    fn a_message_has_one_content_length() {
        let mut fields = one("content-length", "3").unwrap();
        let again = fields.append("Content-Length".into(), "4".into());
        assert_eq!(again, Err(HeaderError::InvalidSyntax));
        fields.append("content-length".into(), "3".into()).unwrap();
        fields
            .set("content-length".into(), vec!["4".into()])
            .unwrap();
        assert_eq!(fields.fields().content_length(), Ok(Some(4)));
    }

    #[test]
    fn immutable_fields_stay_and_their_clone_can_change() {
        let mut fields = GuestFields::immutable(one("a", "1").unwrap().into_fields());
        let refused = Err(HeaderError::Immutable);
        assert_eq!(fields.append("b".into(), "2".into()), refused);
        assert_eq!(fields.append("".into(), "\n".into()), refused);
        assert_eq!(fields.set("a".into(), vec![]), refused);
        assert_eq!(fields.delete("a"), refused);
        assert_eq!(fields.take("a"), Err(HeaderError::Immutable));
        let mut copy = fields.to_mutable(LIMIT);
        copy.delete("a").unwrap();
        assert!(copy.fields().is_empty());
        assert_eq!(fields.fields().get("a").unwrap(), "1");
    }

    #[test]
    fn the_size_is_limited_to_the_byte() {
        let limit = 2 * (FIELD_OVERHEAD + 3);
        let mut fields = GuestFields::new(limit);
        fields.append("a".into(), "12".into()).unwrap();
        assert_eq!(
            fields.append("b".into(), "123".into()),
            Err(HeaderError::SizeExceeded)
        );
        fields.append("b".into(), "12".into()).unwrap();
        assert_eq!(
            fields.append("c".into(), "".into()),
            Err(HeaderError::SizeExceeded)
        );
        fields.set("a".into(), vec!["34".into()]).unwrap();
        assert_eq!(
            fields.set("a".into(), vec!["345".into()]),
            Err(HeaderError::SizeExceeded)
        );
        assert_eq!(fields.fields().get("a").unwrap(), "34");
        assert_eq!(fields.fields().size(), limit);
        let many = vec![("a".into(), vec![]); 100];
        let refused = GuestFields::from_list(limit, many).map(drop);
        assert_eq!(refused, Err(HeaderError::SizeExceeded));
    }

    #[test]
    fn what_a_guest_receives_is_without_the_hosts_fields() {
        let mut fields = Fields::new();
        for name in ["Host", "a", "Transfer-Encoding", "te", "b"] {
            fields.append(name, "gzip").unwrap();
        }
        strip_forbidden(&mut fields);
        let names: Vec<_> = fields.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
