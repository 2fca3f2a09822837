//! Whether a page sends a request, and whose page that is. Whatever vouches for a browser does so whichever page it
//! shows.

use axum::http::{HeaderMap, Uri, header, request::Parts, uri::Authority};

use crate::state::App;

/// Where a browser says that a request is from. No page can set it.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Whether a page of another site sends a request, as far as it can be seen.
pub(crate) fn is_of_foreign_page(app: &App, parts: &Parts) -> bool {
    let headers = &parts.headers;
    let is_own = is_own_page(headers, host(parts).unwrap_or_default(), &app.config.cors_origins);
    // A proxy may ask under a name of its own; where the pages are, the configuration says, or the browser knows it.
    !is_own && !is_public(app.config.public_url.as_deref(), headers) && !is_same_origin(headers)
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
        None => !matches!(text(headers, SEC_FETCH_SITE), Some("cross-site" | "same-site")),
    }
}

/// Whether a page asks that lies where the service is by the configuration.
fn is_public(public_url: Option<&str>, headers: &HeaderMap) -> bool {
    let own = public_url.and_then(|url| url.parse::<Uri>().ok());
    let own = own.and_then(|url| Some(format!("{}://{}", url.scheme_str()?, url.authority()?)));
    let origin = text(headers, header::ORIGIN.as_str());
    own.is_some_and(|own| origin.is_some_and(|origin| origin.eq_ignore_ascii_case(&own)))
}

/// Whether the browser itself says that a page of this very service asks, or the person by the address line.
fn is_same_origin(headers: &HeaderMap) -> bool {
    matches!(text(headers, SEC_FETCH_SITE), Some("same-origin" | "none"))
}

/// The host that a request is for.
pub(super) fn host(parts: &Parts) -> Option<&str> {
    text(&parts.headers, header::HOST.as_str()).or_else(|| parts.uri.authority().map(Authority::as_str))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // What is no text is no name of this machine either.
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))])
    }

    #[test]
    fn a_page_is_ours_by_the_host_that_it_asks_or_by_its_origin() {
        let origins = ["https://portal.company.com".to_owned()];
        for (name, value, is_own) in [
            ("origin", "https://omni:1", true),
            ("origin", "https://portal.company.com", true),
            ("origin", "https://evil.example", false),
            ("origin", "https://omni:1.evil.example", false),
            ("origin", "null", false),
            ("sec-fetch-site", "cross-site", false),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "same-origin", true),
            ("user-agent", "curl", true),
        ] {
            assert_eq!(is_own_page(&with(name, value), "omni:1", &origins), is_own, "{name}: {value}");
        }
    }

    #[test]
    fn behind_a_proxy_a_page_is_ours_by_the_public_address_or_by_the_browsers_word() {
        let url = Some("https://omni.company.com/omni");
        assert!(is_public(url, &with("origin", "https://omni.company.com")));
        for origin in ["http://omni.company.com", "https://omni.company.com.evil.example", "null"] {
            assert!(!is_public(url, &with("origin", origin)), "{origin}");
        }
        assert!(!is_public(url, &HeaderMap::new()) && !is_public(None, &with("origin", "https://omni.company.com")));
        for (site, is_same) in [("same-origin", true), ("none", true), ("same-site", false), ("cross-site", false)] {
            assert_eq!(is_same_origin(&with("sec-fetch-site", site)), is_same, "{site}");
        }
        assert!(!is_same_origin(&HeaderMap::new()), "a browser that says nothing is not believed");
    }
}
