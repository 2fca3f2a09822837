//! Whether a request comes from this machine and is meant for it.

use std::net::IpAddr;

use axum::http::{request::Parts, uri::Authority};

use super::page::{host, is_own_page};
use crate::state::App;

/// What proxies add: a request that has one of these may come from anywhere.
const PASSED_ON: [&str; 6] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"];

/// Whether a request comes from this machine and is meant for it. A page of another origin that was
/// opened in a browser here, or whose name was made to point here, is neither; nor is what a proxy on
/// this machine passes on.
pub(super) fn is_local(app: &App, parts: &Parts, peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
        && !super::is_proxy(app, peer)
        && PASSED_ON.iter().all(|name| !parts.headers.contains_key(*name))
        && host(parts)
            .is_some_and(|host| names_here(host) && is_own_page(&parts.headers, host, &app.config.cors_origins))
}

/// Whether an authority is this machine: nothing but its name or address, and perhaps a port.
pub(crate) fn names_here(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    !authority.as_str().contains('@') && (is_loopback || host.eq_ignore_ascii_case("localhost"))
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
