//! UTF-8 that comes in parts.

/// Looks at text part by part; a part may end within a character.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8 {
    /// The first bytes of a character whose others have not come.
    begun: [u8; 4],
    len: usize,
}

/// It is not UTF-8, and nothing that follows makes it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

impl Utf8 {
    /// Looks at the next part.
    pub(super) fn push(&mut self, mut part: &[u8]) -> Result<(), Invalid> {
        while self.len > 0 {
            let Some((&byte, rest)) = part.split_first() else {
                return Ok(());
            };
            part = rest;
            let (character, len) = (&mut self.begun, self.len + 1);
            // There is room: no character of four bytes is unfinished.
            character[self.len] = byte;
            self.len = unfinished(&character[..len])?.len();
        }
        let begun = unfinished(part)?;
        self.begun[..begun.len()].copy_from_slice(begun);
        self.len = begun.len();
        Ok(())
    }

    /// Whether the text may end here.
    pub(super) fn is_whole(&self) -> bool {
        self.len == 0
    }
}

/// What begins a character at the end of `text` and does not finish it: up to three bytes.
fn unfinished(text: &[u8]) -> Result<&[u8], Invalid> {
    match core::str::from_utf8(text) {
        Ok(_) => Ok(&[]),
        Err(error) if error.error_len().is_none() => Ok(&text[error.valid_up_to()..]),
        Err(_) => Err(Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_the_same_however_it_is_cut() {
        for (text, whole) in [
            ("aé€😀".as_bytes(), Ok(true)),
            (b"", Ok(true)),
            (b"a\xf0\x9f\x98", Ok(false)),
            (b"a\xe2\x82", Ok(false)),
            (b"\xff", Err(Invalid)),
            (b"\xc0\x80", Err(Invalid)),
            // A surrogate, and more than Unicode has.
            (b"\xed\xa0\x80", Err(Invalid)),
            (b"\xf4\x90\x80\x80", Err(Invalid)),
            (b"\xf0\x9f\x98a", Err(Invalid)),
            (b"\x80", Err(Invalid)),
        ] {
            for size in 1..=text.len().max(1) {
                let mut utf8 = Utf8::default();
                let pushed = text.chunks(size).try_for_each(|part| utf8.push(part));
                assert_eq!(
                    pushed.map(|()| utf8.is_whole()),
                    whole,
                    "{text:x?} by {size}"
                );
            }
        }
    }
}
