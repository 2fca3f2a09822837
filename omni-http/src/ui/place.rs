//! Where the pages are, as a browser knows them.

use axum::{
    extract::NestedPath,
    http::{HeaderValue, header, request::Parts, uri::Authority},
};

use super::ROOT;
use crate::{
    caller::{names_here, told_by_proxy},
    state::App,
};

/// What a proxy says of how it was asked.
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";
const HTTPS: &str = "https";

/// Whether pages are known to come over https alone.
pub(super) fn is_https_alone(app: &App) -> bool {
    app.config.public_url.as_deref().is_some_and(|url| url.starts_with("https:"))
}

/// Whether the browser is at a page that came over https: the service's address says so where it is configured; else
/// the page that a form comes from, or a trusted proxy.
pub(super) fn is_https(app: &App, parts: &Parts) -> bool {
    if app.config.public_url.is_some() {
        return is_https_alone(app);
    }
    let origin = parts.headers.get(header::ORIGIN).map(HeaderValue::as_bytes).unwrap_or_default();
    let told = || told_by_proxy(app, parts, X_FORWARDED_PROTO);
    origin.starts_with(b"https://") || told().is_some_and(|scheme| scheme.eq_ignore_ascii_case(HTTPS))
}

/// Whether an issuer sends people back by https.
#[cfg(feature = "oidc")]
pub(super) fn comes_back_by_https(app: &App, parts: &Parts) -> bool {
    address(app, parts, "callback").is_some_and(|address| address.starts_with("https:"))
}

/// The whole address of a page. Where none is configured it is at the host of the request, by https unless that is
/// this machine: an issuer sends nobody to an address that it does not know.
#[cfg(feature = "oidc")]
pub(super) fn address(app: &App, parts: &Parts, page: &str) -> Option<String> {
    if let Some(url) = &app.config.public_url {
        return Some(format!("{url}{ROOT}/{page}"));
    }
    let host: Authority = parts.headers.get(header::HOST)?.to_str().ok()?.parse().ok()?;
    let scheme = if names_here(host.as_str()) && !is_https(app, parts) { "http" } else { HTTPS };
    let mount = parts.extensions.get::<NestedPath>().map_or("", NestedPath::as_str).trim_end_matches('/');
    Some(format!("{scheme}://{host}{mount}{ROOT}/{page}"))
}
