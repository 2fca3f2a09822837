//! Links: only to web pages, and only so that one sees where they lead.

use url::{Host, Url};

use crate::view::text::{BREAK, clean};

/// A web address: http or https, with a host.
#[must_use]
pub fn web(address: &str) -> Option<Url> {
    let url = Url::parse(address.trim()).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
    // A name before an @ looks like the host and is not.
    (is_web && url.username().is_empty() && url.password().is_none()).then_some(url)
}

/// The host of an address with its port, as people see it.
pub(super) fn host(url: &Url) -> String {
    let name = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    url.port().map_or(name.clone(), |port| format!("{name}:{port}"))
}

/// An address in which nothing ends the link that it is in.
pub(super) fn address(url: &Url) -> String {
    let mut safe = String::new();
    for c in url.as_str().chars() {
        match c {
            '(' | ')' | '<' | '>' | '|' | '\\' | '`' | '"' | '\'' => {
                safe.push_str(&format!("%{:02X}", u32::from(c)));
            }
            other => safe.push(other),
        }
    }
    safe
}

/// Whether a label says itself where the link leads, and nowhere else.
pub(super) fn says_host(label: &str, url: &Url) -> bool {
    let host = host(url);
    let mut named = hosts(label).peekable();
    named.peek().is_some() && named.all(|name| is_same(&name, &host))
}

/// Whether a label names a host that the link does not lead to.
pub(super) fn is_deceptive(label: &str, url: Option<&Url>) -> bool {
    let host = url.map(host).unwrap_or_default();
    hosts(label).any(|name| !is_same(&name, &host))
}

fn is_same(name: &str, host: &str) -> bool {
    name == host || name.strip_prefix("www.") == Some(host)
}

/// What in a label looks like a host: words with dots between, the last one of letters.
fn hosts(label: &str) -> impl Iterator<Item = String> {
    let label: String = clean(label).replace(BREAK, "").to_lowercase();
    let words: Vec<String> = label
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | ':')))
        .map(|word| word.trim_matches(['.', '-', ':']))
        .filter(|word| is_host(word))
        .map(str::to_owned)
        .collect();
    words.into_iter()
}

fn is_host(word: &str) -> bool {
    let name = word.split(':').next().unwrap_or_default();
    let parts: Vec<&str> = name.split('.').collect();
    let is_name = |part: &&str| !part.is_empty();
    let top = parts.last().copied().unwrap_or_default();
    let is_number = parts.len() == 4 && parts.iter().all(|part| part.parse::<u8>().is_ok());
    let is_named = parts.len() > 1 && top.chars().count() > 1 && top.chars().all(char::is_alphabetic);
    parts.iter().all(is_name) && (is_named || is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_pages_are_linked_to() {
        for wrong in
            ["javascript:alert(1)", "slack://open", "file:///etc", "data:text/html,a", "/a", "https://a@b.c", ""]
        {
            assert!(web(wrong).is_none(), "{wrong}");
        }
        assert_eq!(address(&web("https://a.b/(c)|<d>").unwrap()), "https://a.b/%28c%29%7C%3Cd%3E");
    }

    #[test]
    fn a_label_says_where_a_link_leads_only_if_it_names_that_host_alone() {
        let url = web("https://example.com/x").unwrap();
        for label in ["example.com", "https://example.com/a", "**www.example.com**"] {
            assert!(says_host(label, &url) && !is_deceptive(label, Some(&url)), "{label}");
        }
        for label in ["click here", "good.org", "example.com.evil.net", "example.com or good.org", "еxample.com"] {
            assert!(!says_host(label, &url), "{label}");
        }
        assert!(is_deceptive("good.org", Some(&url)) && !is_deceptive("click", Some(&url)));
    }
}
