//! Whether a request is meant for this service, and no page of somebody else's sends it: a name that was
//! made to point here, and a page that was opened in a browser here, reach no server on this machine.

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, Uri, header, uri::Authority},
    response::{IntoResponse as _, Response},
};
use omni_core::config::HttpConfig;

use super::{PATH, metadata};
use crate::{
    caller::{is_own_page, names_here},
    error::ApiError,
    router,
    state::App,
};

/// Stands before everything else of the endpoint.
pub(crate) async fn guard<A: Future<Output = Result<Response, ApiError>>>(
    app: &App,
    request: Request,
    answer: impl FnOnce(Request) -> A,
) -> Result<Response, ApiError> {
    if router::route(&request) != Some(PATH) {
        return answer(request).await;
    }
    check(&app.config, request.uri(), request.headers())?;
    let challenge = metadata::challenge(app, &request);
    let mut response = answer(request).await.into_response();
    if response.status() == StatusCode::UNAUTHORIZED
        && let Some(challenge) = challenge
    {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    Ok(response)
}

fn check(config: &HttpConfig, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().map(|host| host.to_str().unwrap_or_default());
    let host = host.or_else(|| uri.authority().map(Authority::as_str)).unwrap_or_default();
    if hosts.next().is_some() || !is_ours(config, host) {
        return Err(ApiError::denied(
            "the request is for another host; the operator can allow it by mcp_gateway.allowed_hosts",
        ));
    }
    match is_own_page(headers, host, &config.cors_origins) || config.cors_origins.iter().any(|own| own == "*") {
        true => Ok(()),
        false => {
            Err(ApiError::denied("pages of this origin may not connect; the operator can allow it by app.cors_origins"))
        }
    }
}

/// Whether a `Host` is a name of this machine or one of the configured ones.
fn is_ours(config: &HttpConfig, host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    if authority.as_str().contains('@') {
        return false;
    }
    let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let name = bare(authority.host());
    let is_allowed = |allowed: &String| match allowed.parse::<Authority>() {
        Ok(allowed) => {
            bare(allowed.host()) == name && allowed.port_u16().is_none_or(|port| authority.port_u16() == Some(port))
        }
        Err(_) => false,
    };
    names_here(host)
        || name == bare(&config.host)
        || config.gateway.allowed_hosts.iter().any(|allowed| allowed == "*" || is_allowed(allowed))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_request_that_names_two_hosts_is_for_neither() {
        let (config, uri) = (HttpConfig::default(), Uri::from_static("/mcp"));
        for second in ["evil.example", "localhost:8000"] {
            let mut headers = HeaderMap::new();
            headers.append(header::HOST, HeaderValue::from_static("localhost:8000"));
            assert!(check(&config, &uri, &headers).is_ok());
            headers.append(header::HOST, HeaderValue::from_static(second));
            assert_eq!(check(&config, &uri, &headers).unwrap_err().status(), StatusCode::FORBIDDEN, "{second}");
        }
    }

    #[test]
    fn a_host_is_ours_by_our_names_and_those_that_the_operator_allows() {
        let mut config = HttpConfig::default();
        config.gateway.allowed_hosts = vec!["omni.company.com".into(), "lab.company.com:8443".into()];
        for (host, is) in [
            ("127.0.0.1:8000", true),
            ("localhost", true),
            ("[::1]:9", true),
            ("omni.company.com", true),
            ("OMNI.company.com:443", true),
            ("lab.company.com:8443", true),
            ("lab.company.com", false),
            ("evil.example", false),
            ("omni.company.com.evil.example", false),
            ("evil@localhost", false),
            ("", false),
        ] {
            assert_eq!(is_ours(&config, host), is, "{host}");
        }
    }
}
