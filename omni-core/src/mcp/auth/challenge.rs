//! What a server says when it does not let somebody in.

/// The parts of a `Bearer` challenge that count here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    /// Where the metadata of the resource is.
    pub(super) resource_metadata: Option<String>,
    /// What a token must be for.
    pub(super) scope: Option<String>,
    /// `invalid_token`, `insufficient_scope`, …
    pub(super) error: Option<String>,
}

impl Challenge {
    /// The first `Bearer` challenge of these headers; an empty one where there is none.
    pub(super) fn of<'a>(headers: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = headers.into_iter().flat_map(read);
        all.find(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, found)| found).unwrap_or_default()
    }

    /// Whether the token is good and not for enough.
    pub(super) fn is_insufficient_scope(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }

    fn set(&mut self, name: &str, value: String) {
        let slot = match name.to_ascii_lowercase().as_str() {
            "resource_metadata" => &mut self.resource_metadata,
            "scope" => &mut self.scope,
            "error" => &mut self.error,
            _ => return,
        };
        slot.get_or_insert(value);
    }
}

/// Every challenge of a header, with its scheme.
fn read(header: &str) -> Vec<(String, Challenge)> {
    let mut all: Vec<(String, Challenge)> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (token, after) = split_token(rest);
        if token.is_empty() {
            return all;
        }
        match after.trim_start().strip_prefix('=') {
            Some(value) => {
                let (value, after) = value_of(value.trim_start());
                if let Some((_, challenge)) = all.last_mut() {
                    challenge.set(token, value);
                }
                rest = after;
            }
            None => {
                all.push((token.to_owned(), Challenge::default()));
                rest = after;
            }
        }
    }
}

fn split_token(text: &str) -> (&str, &str) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c);
    text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()))
}

/// A parameter's value, quoted or not, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(header: &str) -> (Option<String>, Option<String>, Option<String>) {
        let Challenge { resource_metadata, scope, error } = Challenge::of([header]);
        (resource_metadata, scope, error)
    }

    #[test]
    fn a_bearer_challenge_is_found_among_others_in_any_spelling() {
        let url = || Some("https://a.example/.well-known/x?a=1,2".to_owned());
        for header in [
            r#"Bearer resource_metadata="https://a.example/.well-known/x?a=1,2", scope="a b""#,
            r#"bearer scope="a b" , resource_metadata = "https://a.example/.well-known/x?a=1,2""#,
            r#"Basic realm="Bearer scope=\"x\"", Bearer realm="m", scope="a b", resource_metadata="https://a.example/.well-known/x?a=1,2""#,
            r#"Negotiate, BEARER Scope="a b",resource_metadata="https://a.example/.well-known/x?a=1,2", DPoP scope="c""#,
        ] {
            assert_eq!(of(header), (url(), Some("a b".into()), None), "{header}");
        }
        assert_eq!(of("Bearer error=insufficient_scope, scope=a").2.as_deref(), Some("insufficient_scope"));
        assert_eq!(of(r#"Basic scope="x""#), (None, None, None));
        assert_eq!(of("Bearer"), (None, None, None));
        assert_eq!(of(r#"Bearer scope="never ends"#).1.as_deref(), Some("never ends"));
        assert_eq!(of(r#"Bearer scope="first", scope="second""#).1.as_deref(), Some("first"));
    }

    proptest! {
        #[test]
        fn no_header_is_too_odd_to_read(header in "\\PC{0,200}") {
            Challenge::of([header.as_str()]);
        }
    }
}
