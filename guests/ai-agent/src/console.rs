//! The page that speaks to the WebSocket.

/// The page, with `NONCE` where its script and its style say that they are its own.
const PAGE: &str = include_str!("console.html");

/// The page. `nonce` is as in [`policy`].
pub fn page(nonce: &str) -> String {
    PAGE.replace("NONCE", nonce)
}

/// The page's Content-Security-Policy: its own script and style, a connection to where it
/// came from, and nothing else. `nonce` is new for each answer, and hexadecimal.
pub fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// Random bytes as a nonce.
pub fn nonce(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_and_style_have_the_nonce_of_the_policy() {
        let nonce = nonce(&[0, 0xab, 0xff]);
        assert_eq!(nonce, "00abff");
        let page = page(&nonce);
        assert!(page.contains("<script nonce=\"00abff\">"));
        assert!(page.contains("<style nonce=\"00abff\">"));
        assert!(!page.contains("NONCE"));
        let policy = policy(&nonce);
        assert!(policy.contains("script-src 'nonce-00abff';"), "{policy}");
        assert!(policy.contains("style-src 'nonce-00abff';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn the_page_refers_to_nothing_outside_and_makes_no_markup_of_data() {
        for what in [
            "src=",
            "href=",
            "http:",
            "https:",
            "@import",
            "url(",
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "style=",
            "onclick=\"",
        ] {
            assert!(!PAGE.contains(what), "{what}");
        }
    }
}
