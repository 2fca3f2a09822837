//! Addresses of resources that nobody lists. A policy compares letters, and a server opens what they mean: so an
//! address is taken only where it says in one way where it leads, and is denied by what denies another way to read it.

use std::collections::BTreeSet;

/// Longest address that nobody lists and that is asked for all the same, in bytes.
const MAX_LEN: usize = 8_192;

/// Signs that no address can hold as they are.
const NOT_HELD: &[u8] = b"\"<>\\^`{|}";

/// Whether an address that nobody lists says where it leads, and no more than that takes: with steps upwards, escapes
/// of what needs none, backslashes or slashes too many a server may read another address than the one that the policy
/// judged.
pub(super) fn is_plain(uri: &str) -> bool {
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    let is_odd = |sign: char| sign.is_control() || matches!(sign, '\\' | '#');
    // Readers of addresses cut blanks off their ends.
    let is_whole = uri.len() <= MAX_LEN && uri.trim() == uri && !uri.contains(is_odd);
    is_whole && !uri.split(['/', '?']).any(is_dots) && !hides(uri) && is_short(uri)
}

/// Whether an escape stands for what could be written as it is, or for what parts an address.
fn hides(uri: &str) -> bool {
    uri.match_indices('%').any(|(at, _)| {
        let byte = uri.get(at + 1..).and_then(escape).map(|(byte, _)| byte);
        byte.is_none_or(|byte| byte.is_ascii_alphanumeric() || byte.is_ascii_control() || b"-._~/\\%".contains(&byte))
    })
}

/// Whether scheme and path have one form. Which host a file is on some servers read and others do not: it is on none.
fn is_short(uri: &str) -> bool {
    let (scheme, rest) = bare(uri).split_once(':').unwrap_or(("", bare(uri)));
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(host_len(rest)).1,
        None => rest,
    };
    let is_of_no_host = scheme != "file" || rest.starts_with("///");
    is_of_no_host && !scheme.bytes().any(|byte| byte.is_ascii_uppercase()) && !path.contains("//")
}

/// What a server may read in an address: also without its query or the slash at its end, with its host in small
/// letters, with nothing escaped, and with everything escaped that has to be.
pub(super) fn readings(uri: &str) -> BTreeSet<String> {
    let mut readings = BTreeSet::new();
    for uri in [uri.to_owned(), with_small_host(uri)] {
        let bare = bare(&uri);
        for cut in [&*uri, bare, bare.strip_suffix('/').unwrap_or(bare)] {
            let open = unescaped(cut);
            readings.extend([cut.to_owned(), escaped(&open), String::from_utf8_lossy(&open).into_owned()]);
        }
    }
    readings
}

/// An address without its query.
fn bare(uri: &str) -> &str {
    uri.split_once('?').map_or(uri, |(bare, _)| bare)
}

/// How long the host is at the beginning of what comes after `//`.
fn host_len(rest: &str) -> usize {
    rest.find(['/', '?']).unwrap_or(rest.len())
}

fn with_small_host(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.to_owned() };
    let (host, path) = rest.split_at(host_len(rest));
    format!("{scheme}://{}{path}", host.to_ascii_lowercase())
}

/// The byte that the two digits after a `%` stand for, and what follows them.
fn escape(after: &str) -> Option<(u8, &str)> {
    Some((u8::from_str_radix(after.get(..2)?, 16).ok()?, after.get(2..)?))
}

fn unescaped(uri: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::with_capacity(uri.len()), uri);
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let (byte, following) = escape(after).unwrap_or((b'%', after));
        bytes.push(byte);
        rest = following;
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

fn escaped(bytes: &[u8]) -> String {
    let written = |&byte: &u8| match byte.is_ascii_graphic() && !NOT_HELD.contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    bytes.iter().map(written).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_hides_where_it_leads_is_of_no_family() {
        for plain in [
            "file:///notes/a.txt",
            "file:///notes/",
            "db://main/table?x=1",
            "db://Main/TABLE",
            "note://caf%C3%A9/a%20b",
            "a:b..c/…",
            "x:a.b/.hidden",
            "page://one?at=http://host//a",
            "note://",
        ] {
            assert!(is_plain(plain), "{plain}");
        }
        for hidden in [
            "file:///notes/../secret",
            "file:///notes/./a",
            "file:///notes/..",
            "file:///notes/%2e%2e/secret",
            "file:///notes/%2E./secret",
            "file:///notes%2fsecret",
            "file:///notes/%61",
            "file:///notes/%",
            "file:///notes/%zz",
            "file:///notes/a%00.txt",
            "file:///notes/%252e%252e/secret",
            "file:///notes\\..\\secret",
        ] {
            assert!(!is_plain(hidden), "{hidden}");
        }
    }

    #[test]
    fn an_address_with_more_in_it_than_it_takes_is_not_plain() {
        for other in [
            "file:////secrets/x",
            "file:///secrets//x",
            "file:///secrets/x//",
            "note://main//x",
            "FILE:///secrets/x",
            "fIle:///secrets/x",
            "file://localhost/secrets/x",
            "file://LOCALHOST/secrets/x",
            "file://127.0.0.1/secrets/x",
            "file://secrets/x",
            "file:/secrets/x",
            "file:secrets/x",
            "file:///s.txt#",
            "file:///s.txt#part",
            "file:///s.txt?#",
            " file:///secrets/x",
            "file:///secrets/x ",
            "file:///sec\trets/x",
            "file:///secrets\n/x",
        ] {
            assert!(!is_plain(other), "{other:?}");
        }
        assert!(!is_plain(&format!("file:///{}", "a".repeat(MAX_LEN))));
    }

    #[test]
    fn an_address_is_read_without_what_a_server_may_leave_out() {
        for (uri, reading) in [
            ("file:///s.txt", "file:///s.txt"),
            ("file:///s.txt?", "file:///s.txt"),
            ("file:///s.txt?a=/b/", "file:///s.txt"),
            ("file:///s.txt/", "file:///s.txt"),
            ("file:///s.txt/?a", "file:///s.txt"),
            ("note://Vault/x?a", "note://vault/x"),
            ("note://VAULT?a=B", "note://vault?a=B"),
            ("note://caf%C3%A9/x", "note://café/x"),
            ("note://caf%c3%a9/x", "note://caf%C3%A9/x"),
            ("note://café/a b", "note://caf%C3%A9/a%20b"),
            ("note://a%21b", "note://a!b"),
        ] {
            let readings = readings(uri);
            assert!(readings.contains(reading) && readings.contains(uri), "{uri}: {readings:?}");
        }
        let open = readings("note://a%FFb%");
        assert!(open.contains("note://a%FFb%") && open.contains("note://a\u{fffd}b%"), "{open:?}");
    }
}
