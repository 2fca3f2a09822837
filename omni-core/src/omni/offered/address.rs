//! Addresses of resources that nobody lists. A policy compares letters, and a server opens what they mean: so an
//! address is taken only where it says in one way where it leads, and is denied by what denies another way to read it.

use std::collections::BTreeSet;

use url::Host;

/// Longest address that nobody lists and that is asked for all the same, in bytes.
const MAX_LEN: usize = 8_192;

/// Schemes whose addresses all have a host, with the port that none stands for.
const WEB: [(&str, &str); 5] = [("http:", "80"), ("https:", "443"), ("ws:", "80"), ("wss:", "443"), ("ftp:", "21")];

/// Letters that are ASCII's in another case: who reads addresses in any case takes them for these.
const IN_OTHER_CASE: [(char, &str); 2] = [('\u{17f}', "s"), ('\u{212a}', "k")];

/// Signs that no address can hold as they are.
const NOT_HELD: &[u8] = b"\"<>\\^`{|}";

/// Whether an address that nobody lists says where it leads, and no more than that takes: with steps upwards, escapes
/// of what needs none, backslashes or slashes too many a server may read another address than the one that the policy
/// judged.
pub(super) fn is_plain(uri: &str) -> bool {
    let is_odd = |sign: char| sign.is_control() || matches!(sign, '\\' | '#');
    // Readers of addresses cut blanks off their ends.
    let is_whole = uri.len() <= MAX_LEN && uri.trim() == uri && !uri.contains(is_odd);
    is_whole && !uri.split([':', '/', '?']).any(is_dots) && !hides(uri) && is_short(uri)
}

/// Whether a step leads nowhere or upwards, also to a server that reads nothing after a semicolon as part of its name.
fn is_dots(segment: &str) -> bool {
    let is_over = |rest: &str| rest.is_empty() || [";", "%3B", "%3b"].iter().any(|sign| rest.starts_with(*sign));
    ["..", "."].iter().any(|dots| segment.strip_prefix(*dots).is_some_and(is_over))
}

/// Whether an escape stands for what could be written as it is, or for what parts an address.
fn hides(uri: &str) -> bool {
    uri.match_indices('%').any(|(at, _)| {
        let byte = uri.get(at + 1..).and_then(escape).map(|(byte, _)| byte);
        byte.is_none_or(|byte| byte.is_ascii_alphanumeric() || byte.is_ascii_control() || b"-._~/\\%".contains(&byte))
    })
}

/// Whether an address, and one within it, is of the only form that its scheme has.
fn is_short(uri: &str) -> bool {
    is_of_one_form(uri) && nested(uri).is_none_or(|(_, inner)| is_of_one_form(inner))
}

/// Whether scheme and host have one form. What begins with something else than a scheme is no address, and a server may
/// read one in it all the same. Which host a file is on some servers read and others do not: it is on none. An address
/// of the web has the same host with slashes too few or too many, and with letters that stand for others.
fn is_of_one_form(uri: &str) -> bool {
    let (scheme, host, path) = parts(uri);
    let is_formed = match scheme {
        "file:" => host == Some("") && path.starts_with('/') && !bare(path).contains("//"),
        _ => default_port(scheme).is_none() || host.is_some_and(is_host),
    };
    is_formed && is_scheme(scheme)
}

/// Whether something is a scheme with its colon, in small letters.
fn is_scheme(scheme: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    let name = scheme.strip_suffix(':').unwrap_or_default();
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(is_sign)
}

/// Whether something names a host in one way, perhaps with a user and a port.
fn is_host(authority: &str) -> bool {
    let host = split_port(authority.split_once('@').map_or(authority, |(_, host)| host)).0;
    let is_held = |byte: u8| byte.is_ascii_graphic() && !b"%@".contains(&byte);
    !host.is_empty() && !host.ends_with('.') && host.bytes().all(is_held)
}

/// What a server may read in an address: also without its query or the slash at its end, with one slash for many, with
/// its host in small letters and without user and port, with nothing escaped, with everything escaped that has to be,
/// and with ASCII's letters for those that are these in another case; and each of them together with the others.
pub(super) fn readings(uri: &str) -> BTreeSet<String> {
    let mut written = forms(uri);
    if let Some((outer, inner)) = nested(uri) {
        written.extend(forms(inner).iter().map(|inner| format!("{outer}{inner}")));
    }
    let mut readings = BTreeSet::new();
    for uri in written {
        let bare = bare(&uri);
        for cut in [&*uri, bare, bare.strip_suffix('/').unwrap_or(bare)] {
            let open = unescaped(cut);
            let text = String::from_utf8_lossy(&open).into_owned();
            let folded = IN_OTHER_CASE.iter().fold(text.clone(), |text, (letter, own)| text.replace(*letter, own));
            readings.extend([escaped(folded.as_bytes()), folded]);
            readings.extend([cut.to_owned(), escaped(&open), text]);
        }
    }
    readings
}

/// An address with its host and its slashes as others may write them.
fn forms(uri: &str) -> BTreeSet<String> {
    let (scheme, host, path) = parts(uri);
    let starts: Vec<String> = match host {
        Some(host) => hosts(scheme, host).iter().map(|host| format!("{scheme}//{host}")).collect(),
        None => vec![scheme.to_owned()],
    };
    let paths = [path.to_owned(), with_single_slashes(path)];
    starts.iter().flat_map(|start| paths.iter().map(move |path| format!("{start}{path}"))).collect()
}

/// A host as others may write it: without its user and in small letters too.
fn hosts(scheme: &str, authority: &str) -> BTreeSet<String> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let written = [authority, host].into_iter().flat_map(|host| with_ports(scheme, host));
    written.flat_map(|host| [host.to_ascii_lowercase(), host]).collect()
}

/// A host as it is, without its port, and with its port in one form; numbers for a host as they are read too.
fn with_ports(scheme: &str, whole: &str) -> Vec<String> {
    let (host, port) = split_port(whole);
    let (number, default) = (port.trim_start_matches('0'), default_port(scheme));
    let port = Some(number).filter(|number| !number.is_empty()).or(default);
    let number_host = default.and_then(|_| Host::parse(host).ok()).map(|host| host.to_string());
    let mut written = vec![whole.to_owned()];
    for host in [Some(host.to_owned()), number_host].into_iter().flatten() {
        written.extend(port.map(|port| format!("{host}:{port}")));
        written.push(host);
    }
    written
}

/// A host, and the digits after it.
fn split_port(authority: &str) -> (&str, &str) {
    let is_port = |(_, port): &(&str, &str)| port.bytes().all(|byte| byte.is_ascii_digit());
    authority.rsplit_once(':').filter(is_port).unwrap_or((authority, ""))
}

fn default_port(scheme: &str) -> Option<&'static str> {
    WEB.iter().find(|(web, _)| *web == scheme).map(|(_, port)| *port)
}

/// A path with one slash for many, and its query as it is.
fn with_single_slashes(path: &str) -> String {
    let (path, query) = path.split_at(bare(path).len());
    let mut single = path.to_owned();
    while single.contains("//") {
        single = single.replace("//", "/");
    }
    single + query
}

/// The scheme of an address with its colon, its host with user and port where it may have one, and its path with its
/// query.
fn parts(uri: &str) -> (&str, Option<&str>, &str) {
    let (scheme, rest) = uri.split_at(bare(uri).find(':').map_or(0, |at| at + 1));
    let Some(rest) = rest.strip_prefix("//") else { return (scheme, None, rest) };
    let (host, path) = rest.split_at(host_len(rest));
    (scheme, Some(host), path)
}

/// An address of the web or of a file that another one consists of, after what comes before it.
fn nested(uri: &str) -> Option<(&str, &str)> {
    let is_common = |scheme: &str| scheme == "file:" || default_port(scheme).is_some();
    let (scheme, host, _) = parts(uri);
    let (outer, inner) = uri.split_at(scheme.len() + host.map_or(0, |_| "//".len()));
    (!is_common(scheme) && is_common(&parts(inner).0.to_ascii_lowercase())).then_some((outer, inner))
}

/// An address without its query.
fn bare(uri: &str) -> &str {
    uri.split_once('?').map_or(uri, |(bare, _)| bare)
}

/// How long the host is at the beginning of what comes after `//`.
fn host_len(rest: &str) -> usize {
    rest.find(['/', '?']).unwrap_or(rest.len())
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
            "note://main//x",
            "web://https://example.com/a",
            "https://me@Vault:8443//x",
            "https://[::1]:443/x",
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
            "file:///notes/..;/secret",
            "file:///notes/..;a=b/secret",
            "file:///notes/..%3B/secret",
            "file:///secret/.;x/a",
            "note:../secret",
            "note:./secret",
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
    fn what_begins_with_no_scheme_is_no_address() {
        for other in [
            "\u{200b}file:///secrets/x",
            "\u{feff}file:///secrets/x",
            "\u{fb01}le:///secrets/x",
            "1file:///secrets/x",
            "+file:///secrets/x",
            "fi_le:///secrets/x",
            "/secrets/x",
            "secrets/x",
            ":///secrets/x",
            "",
        ] {
            assert!(!is_plain(other), "{other:?}");
        }
        for plain in ["a:x", "web+note://x", "z39.50s://x", "a-b:x"] {
            assert!(is_plain(plain), "{plain}");
        }
    }

    #[test]
    fn an_address_of_the_web_has_one_host_after_two_slashes() {
        for other in [
            "https:vault/x",
            "https:/vault/x",
            "https:///vault/x",
            "https:////vault/x",
            "http:vault",
            "ws:///vault/x",
            "wss:vault",
            "ftp:/vault/x",
            "HTTPS://vault/x",
            "https://",
            "https://?x",
            "https://:443/x",
            "https://me@/x",
            "https://me@vault@elsewhere/x",
            "https://vault./x",
            "https://ｖault/x",
            "https://%EF%BD%96ault/x",
            "https://me%40vault/x",
            "web://https:/vault/x",
            "web://https:///vault/x",
            "web://HTTPS://vault/x",
            "web:https:vault/x",
            "web://file:/secrets/x",
            "web://file:///secrets//x",
        ] {
            assert!(!is_plain(other), "{other:?}");
        }
    }

    #[test]
    fn an_address_is_read_without_user_and_port_and_with_one_slash_for_many() {
        for (uri, reading) in [
            ("https://vault:443/x", "https://vault/x"),
            ("https://vault:/x", "https://vault/x"),
            ("https://vault:8443/x", "https://vault/x"),
            ("https://me@vault:08443/x", "https://vault:8443/x"),
            ("https://vault/x", "https://vault:443/x"),
            ("ftp://vault:/x", "ftp://vault:21/x"),
            ("https://me:key@VAULT:443//x//?a", "https://vault/x"),
            ("https://0x7f.1/x", "https://127.0.0.1/x"),
            ("https://[::1]:443/x", "https://[::1]/x"),
            ("note://vault:/x", "note://vault/x"),
            ("note://me@vault/x", "note://vault/x"),
            ("note://me@vault:7/x", "note://vault:7/x"),
            ("note://main//x///y", "note://main/x/y"),
            ("note://main//x%21?a=//b", "note://main/x!?a=//b"),
            ("note:main//x?a", "note:main/x"),
            ("web://https://example.com/a", "web://https:/example.com/a"),
            ("web://https://me@Vault:443//a?b", "web://https://vault/a"),
        ] {
            let readings = readings(uri);
            assert!(is_plain(uri) && readings.contains(reading) && readings.contains(uri), "{uri}: {readings:?}");
        }
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
            ("file:///\u{17f}ecret/b.txt", "file:///secret/b.txt"),
            ("file:///%C5%BFecret/a b", "file:///secret/a%20b"),
            ("note://vault/\u{212a}eys", "note://vault/keys"),
        ] {
            let readings = readings(uri);
            assert!(readings.contains(reading) && readings.contains(uri), "{uri}: {readings:?}");
        }
        let open = readings("note://a%FFb%");
        assert!(open.contains("note://a%FFb%") && open.contains("note://a\u{fffd}b%"), "{open:?}");
    }
}
