//! Which form of an answer a client prefers (RFC 9110, section 12.5.1).

/// The forms that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `text/plain`: unless the other is preferred.
    Text,
    /// `text/html`
    Html,
}

impl Form {
    /// What a request prefers that has these values of `Accept`, of one field or several.
    pub fn preferred<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let (mut html, mut text) = (Weight::default(), Weight::default());
        for field in fields {
            // What is no text names no type.
            let field = str::from_utf8(field).unwrap_or_default();
            for range in field.split(',') {
                html.take("html", range);
                text.take("plain", range);
            }
        }
        match html.q > text.q {
            true => Self::Html,
            false => Self::Text,
        }
    }
}

/// How much a type is wanted, from the most specific range that it is in.
#[derive(Default)]
struct Weight {
    /// 3 for the type itself, 2 for `text/*`, 1 for `*/*`.
    specific: u8,
    /// In thousandths.
    q: u16,
}

impl Weight {
    /// Takes one range of the field into account, for `text/SUBTYPE`.
    fn take(&mut self, subtype: &str, range: &str) {
        let mut parts = range.split(';').map(str::trim);
        let Some((main, sub)) = parts.next().and_then(|it| it.split_once('/')) else {
            return;
        };
        let is = |part: &str, name| part.eq_ignore_ascii_case(name);
        let mut specific = match () {
            () if is(main, "text") && is(sub, subtype) => 3,
            () if is(main, "text") && sub == "*" => 2,
            () if main == "*" && sub == "*" => 1,
            () => return,
        };
        let mut q = 1000;
        for parameter in parts {
            match parameter.split_once('=') {
                Some((name, value)) if is(name, "q") => q = thousandths(value).unwrap_or(0),
                // Both are sent in UTF-8.
                Some((name, value))
                    if is(name, "charset") && is(value.trim_matches('"'), "utf-8") => {}
                // Of another kind of the type, which there is not.
                Some(_) => specific = 0,
                None => {}
            }
        }
        if specific > self.specific {
            *self = Self { specific, q };
        }
    }
}

/// A `qvalue` (RFC 9110, section 12.4.2), in thousandths.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = part.bytes().all(|b| b.is_ascii_digit()) && part.len() <= 3;
    let q = match whole {
        "0" if digits => format!("{part:0<3}").parse().ok()?,
        "1" if digits => 1000,
        _ => return None,
    };
    Some(q)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_preferred_only_where_it_is_wanted_more_than_text() {
        let chromium = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,\
                        image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7";
        for (fields, form) in [
            (&[][..], Form::Text),
            (&[""], Form::Text),
            (&["*/*"], Form::Text),
            (&["text/*"], Form::Text),
            (&["application/json"], Form::Text),
            (&["text/html"], Form::Html),
            (&["TEXT/HTML"], Form::Html),
            (&[chromium], Form::Html),
            (&["text/html;charset=utf-8"], Form::Html),
            (&["text/html;level=1"], Form::Text),
            (&["text/html, text/plain"], Form::Text),
            (&["text/plain;q=0.5, text/html"], Form::Html),
            (&["text/plain;q=0.5", "text/html ; q=0.6"], Form::Html),
            (&["text/html;q=0.5, text/plain"], Form::Text),
            (&["text/html;q=0.5, */*"], Form::Text),
            (&["*/*, text/plain;q=0.1"], Form::Html),
            (&["text/*;q=0.4, */*;q=0.9, text/html;q=0.5"], Form::Html),
            (&["text/html;q=0"], Form::Text),
            (&["text/html;q=0.001"], Form::Html),
            (&["text/html;q=2"], Form::Text),
            (&["text/html;q=0.0001"], Form::Text),
            (&["text/html;q=.5"], Form::Text),
            (&["text"], Form::Text),
        ] {
            let bytes = fields.iter().map(|it| it.as_bytes());
            assert_eq!(Form::preferred(bytes), form, "{fields:?}");
        }
        assert_eq!(Form::preferred([&b"text/html\xff"[..]]), Form::Text);
    }
}
