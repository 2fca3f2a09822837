//! Families of addresses: URI templates (RFC 6570), as far as telling whether an address is of one.

use regex::Regex;

/// Longest template that is read; a longer one has no addresses.
const MAX_LEN: usize = 2_048;

/// A template, ready to be compared.
#[derive(Debug)]
pub(crate) struct Template(Option<Regex>);

impl Template {
    pub(crate) fn new(template: &str) -> Self {
        let pattern = (template.len() <= MAX_LEN).then(|| pattern(template));
        Self(pattern.and_then(|pattern| Regex::new(&pattern).ok()))
    }

    /// Whether an address may have been made of it.
    pub(crate) fn matches(&self, uri: &str) -> bool {
        self.0.as_ref().is_some_and(|regex| regex.is_match(uri))
    }
}

fn pattern(template: &str) -> String {
    let mut pattern = String::from("^");
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        pattern.push_str(&regex::escape(literal));
        let Some((place, after)) = after.split_once('}') else {
            pattern.push_str(&regex::escape(&format!("{{{after}")));
            rest = "";
            break;
        };
        pattern.push_str(match place.chars().next() {
            // What may hold anything, and what may be left out.
            Some('+' | '#') => ".+",
            Some('/' | ';' | '?' | '&' | '.') => ".*",
            _ if place.ends_with('*') => ".+",
            _ => "[^/?#]+",
        });
        rest = after;
    }
    pattern.push_str(&regex::escape(rest));
    pattern.push('$');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_a_family_when_its_places_can_be_filled_in() {
        for (template, uri, is) in [
            ("test://template/{id}/data", "test://template/123/data", true),
            ("test://template/{id}/data", "test://template/1/2/data", false),
            ("test://template/{id}/data", "test://template//data", false),
            ("file:///{+path}", "file:///a/b.txt", true),
            ("file:///{path*}", "file:///a/b.txt", true),
            ("db://{name}{?limit}", "db://users?limit=5", true),
            ("db://{name}{?limit}", "db://users", true),
            ("a.b://{x}", "aXb://1", false),
            ("a{", "a{", true),
        ] {
            assert_eq!(Template::new(template).matches(uri), is, "{template} {uri}");
        }
    }
}
