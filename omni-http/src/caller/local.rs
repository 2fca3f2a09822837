//! Whether a request comes from this machine and is meant for it.

use std::net::IpAddr;

use axum::http::{HeaderMap, header, request::Parts, uri::Authority};

use crate::state::App;

/// What proxies add: a request that has one of these may come from anywhere.
const PASSED_ON: [&str; 6] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"];

/// Whether a request comes from this machine and is meant for it. A page of another origin that was
/// opened in a browser here, or whose name was made to point here, is neither; nor is what a proxy on
/// this machine passes on.
pub(super) fn is_local(app: &App, parts: &Parts, peer: IpAddr) -> bool {
    let host = text(&parts.headers, header::HOST.as_str());
    let host = host.or(parts.uri.authority().map(Authority::as_str));
    peer.to_canonical().is_loopback()
        && !super::is_proxy(app, peer)
        && PASSED_ON.iter().all(|name| !parts.headers.contains_key(*name))
        && host.is_some_and(|host| names_here(host) && is_own_page(&parts.headers, host, &app.config.cors_origins))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // What is no text is no name of this machine either.
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// Whether an authority is this machine: nothing but its name or address, and perhaps a port.
pub(crate) fn names_here(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    !authority.as_str().contains('@') && (is_loopback || host.eq_ignore_ascii_case("localhost"))
}

/// Whether no page asks, or a page of this very service, or one of a configured origin.
pub(crate) fn is_own_page(headers: &HeaderMap, host: &str, origins: &[String]) -> bool {
    let is_own = |origin: &str| {
        ["http://", "https://"].iter().any(|scheme| origin.strip_prefix(scheme) == Some(host))
            || origins.iter().any(|own| own == origin)
    };
    match text(headers, header::ORIGIN.as_str()) {
        Some(origin) => is_own(origin),
        // A page that only loads something sends no origin, but says where it is from.
        None => !matches!(text(headers, "sec-fetch-site"), Some("cross-site" | "same-site")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_this_machine_is_that_and_a_port() {
        for (authority, is_here) in [
            ("localhost", true),
            ("LOCALHOST:8000", true),
            ("127.0.0.1:1", true),
            ("[::1]:8000", true),
            ("127.0.0.1.evil.example", false),
            ("evil.com@localhost", false),
            ("localhost/evil", false),
            ("localhost#evil.com", false),
            ("", false),
        ] {
            assert_eq!(names_here(authority), is_here, "{authority}");
        }
    }
}
