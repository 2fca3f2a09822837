//! Families of addresses: URI templates (RFC 6570), as far as telling whether an address is of one.

/// Longest template that is read, and most places of one to fill in; one that has more has no addresses.
const MAX_LEN: usize = 2_048;
const MAX_PLACES: usize = 32;

/// Whether an address may have been made of a template. Nothing is prepared: of thousands of templates nearly all begin
/// otherwise than the address does, and what is prepared of each would have to be kept.
pub(crate) fn has(template: &str, uri: &str) -> bool {
    if template.len() > MAX_LEN || template.matches('{').count() > MAX_PLACES {
        return false;
    }
    let (mut ends, mut rest) = (vec![0], template);
    while let Some((literal, place, after)) = first_place(rest) {
        ends = filled(&past(ends, literal, uri), place, uri);
        rest = after;
    }
    past(ends, rest, uri).contains(&uri.len())
}

/// What comes before the first place of a template, that place, and what comes after it.
fn first_place(template: &str) -> Option<(&str, &str, &str)> {
    let (literal, after) = template.split_once('{')?;
    let (place, after) = after.split_once('}')?;
    Some((literal, place, after))
}

/// How far in an address one may be after a literal, if before it one was at one of `ends`.
fn past(ends: Vec<usize>, literal: &str, uri: &str) -> Vec<usize> {
    let comes_next = |end: &usize| uri.as_bytes()[*end..].starts_with(literal.as_bytes());
    ends.into_iter().filter(comes_next).map(|end| end + literal.len()).collect()
}

/// The same after a place, with all that it can be filled in with. `ends` grow, and so do those that are returned.
fn filled(ends: &[usize], place: &str, uri: &str) -> Vec<usize> {
    // What may hold anything, and what may be left out.
    let (holds_any, is_optional) = match place.as_bytes().first() {
        Some(b'+' | b'#') => (true, false),
        Some(b'/' | b';' | b'?' | b'&' | b'.') => (true, true),
        _ => (place.ends_with('*'), false),
    };
    let is_held = |byte: &u8| holds_any || !b"/?#".contains(byte);
    let Some(first) = ends.first() else { return Vec::new() };
    let (mut starts, mut is_inside, mut reached) = (ends.iter().peekable(), false, Vec::new());
    for at in *first..=uri.len() {
        let is_start = starts.next_if(|start| **start == at).is_some();
        if is_inside || (is_start && is_optional) {
            reached.push(at);
        }
        is_inside = (is_inside || is_start) && uri.as_bytes().get(at).is_some_and(is_held);
    }
    reached
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
            ("test://template/{id}/data", "test://template/123/data/", false),
            ("file:///{+path}", "file:///a/b.txt", true),
            ("file:///{+path}", "file:///", false),
            ("file:///{path*}", "file:///a/b.txt", true),
            ("db://{name}{?limit}", "db://users?limit=5", true),
            ("db://{name}{?limit}", "db://users", true),
            ("db://{name}{?limit}", "db://?limit=5", false),
            ("a.b://{x}", "aXb://1", false),
            ("a://{x}.{y}", "a://1.2.3", true),
            ("a://{+x}/data/{y}.txt", "a://1/data/2/data/é.txt", true),
            ("a://{+x}/data/{y}.txt", "a://1/data/2/3.txt", false),
            ("a://{x}{y}", "a://1", false),
            ("a://{x}{y}", "a://12", true),
            ("a://b", "a://b", true),
            ("a://b", "a://bc", false),
            ("a{", "a{", true),
        ] {
            assert_eq!(has(template, uri), is, "{template} {uri}");
        }
    }

    #[test]
    fn a_template_that_is_too_long_or_has_too_many_places_has_no_addresses() {
        let with_places = |count: usize| format!("a://{}", "{x}.".repeat(count));
        let uri = |count: usize| format!("a://{}", "1.".repeat(count));
        assert!(has(&with_places(MAX_PLACES), &uri(MAX_PLACES)));
        assert!(!has(&with_places(MAX_PLACES + 1), &uri(MAX_PLACES + 1)));
        let long = format!("a://{}", "b".repeat(MAX_LEN));
        assert!(!has(&long, &long));
    }
}
