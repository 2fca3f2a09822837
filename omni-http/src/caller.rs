//! Who sent a request: the credential is taken from it here, and judged by the core alone.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request},
    http::{Extensions, HeaderMap, HeaderName, header, request::Parts},
};
use omni_core::{
    Principal,
    ask::Client,
    config::SecurityMode,
    identity::{Admitted, Credential, Holder},
};

use crate::{error::ApiError, router, state::App};

mod address;
mod local;
mod page;

pub(crate) use local::names_here;
pub(crate) use page::{is_of_foreign_page, is_own_page};

/// The header of the original for a key.
pub(crate) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// What the sender calls its origin.
pub(crate) const X_SOURCE: HeaderName = HeaderName::from_static("x-source");
/// Said where a page of another site sends what it may not.
const FOREIGN: &str = "a page of another origin sends this; the operator can allow it by app.cors_origins, or by \
                       http.public_url where the page is omni's own";

/// Somebody who was let in. A handler hands [`Caller::credential`] to the core, which decides
/// what they may do. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Arc<LetIn>);

#[derive(Debug)]
struct LetIn {
    admitted: Admitted,
    client: Client,
}

/// What a request came with: what its sender brings, else what it has by coming here at all. Nothing that it says
/// of itself is a credential.
fn presented(app: &App, parts: &Parts) -> Result<Credential, ApiError> {
    own(&parts.headers).map_or_else(|| ambient(app, parts), Ok)
}

/// What a request has without bringing anything: what a trusted proxy says, else nothing, where whoever comes is
/// trusted. For what may change something, a proxy's word is that of the person and not of a page of another site.
pub(crate) fn ambient(app: &App, parts: &Parts) -> Result<Credential, ApiError> {
    if let Some(told) = peer(parts).and_then(|peer| app.omni.proxy_credential(peer, &parts.headers)) {
        return match parts.method.is_safe() || !is_of_foreign_page(app, parts) {
            true => Ok(told),
            false => Err(ApiError::denied(FOREIGN)),
        };
    }
    match app.config.mode {
        SecurityMode::TrustedLocal if peer(parts).is_some_and(|peer| local::is_local(app, parts, peer)) => {
            Ok(Credential::Local { os_user: app.config.local_user.clone(), act_as: None })
        }
        _ => Err(ApiError::unauthenticated()),
    }
}

impl Caller {
    async fn of(app: &App, parts: &Parts) -> Result<Self, ApiError> {
        Self::by(app, parts, presented(app, parts)?).await
    }

    /// Somebody with a credential, wherever it comes from.
    pub(crate) async fn by(app: &App, parts: &Parts, credential: Credential) -> Result<Self, ApiError> {
        let admitted = app.omni.let_in(credential).await?;
        Ok(Self(Arc::new(LetIn { admitted, client: client(app, parts) })))
    }

    /// The credential; for somebody else, where the request names one and the core agrees.
    pub(crate) fn credential(&self, act_as: Option<&str>) -> Credential {
        Credential::Admitted(self.0.admitted.clone()).acting_as(act_as.map(str::to_owned))
    }

    /// Who they are, before they act for anybody.
    pub(crate) fn principal(&self) -> &Principal {
        self.0.admitted.principal()
    }

    /// Whose what begins with this request is.
    pub(crate) fn holder(&self) -> Holder {
        self.0.admitted.holder().clone()
    }

    /// What the request says of itself, for the record.
    pub(crate) fn client(&self) -> Client {
        self.0.client.clone()
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| ApiError::internal("an open route asks who sent the request"))
    }
}

/// Somebody who may or may not have come with a credential, for routes that tell some people more.
/// One that is not accepted is as none.
#[derive(Debug)]
pub(crate) struct Visitor(pub(crate) Option<Caller>);

impl FromRequestParts<App> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        Ok(Self(Caller::of(app, parts).await.ok()))
    }
}

/// Stands before every route, and lets in whoever has a credential; an open route lets in anybody.
pub(crate) async fn admit(app: &App, request: Request) -> Result<Request, ApiError> {
    if router::route(&request).is_some_and(|route| router::is_open(request.method(), route)) {
        return Ok(request);
    }
    #[cfg(feature = "dashboard")]
    if app.config.dashboard && router::route(&request).is_some_and(crate::ui::is_page) {
        let request = Box::pin(crate::ui::session::admit(app, request)).await?;
        crate::ui::known(&request);
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let caller = Caller::of(app, &parts).await?;
    parts.extensions.insert(caller);
    Ok(Request::from_parts(parts, body))
}

/// `Authorization: Bearer …`, which is a key or somebody's token, else `X-API-Key: …`.
pub(crate) fn own(headers: &HeaderMap) -> Option<Credential> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty());
    let bearer = text(header::AUTHORIZATION).and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| Credential::bearer(token.trim()))
    });
    bearer.or_else(|| text(X_API_KEY).map(Credential::api_key))
}

fn client(app: &App, parts: &Parts) -> Client {
    let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let sender = sender(app, &parts.headers, &parts.extensions);
    Client::new(sender).with_x_source(text(X_SOURCE)).with_user_agent(text(header::USER_AGENT))
}

/// Where a request comes from, as far as the proxies on the way are trusted.
pub(crate) fn sender(app: &App, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip();
    Some(address::sender(peer, headers, &app.config.trusted_proxies))
}

/// Whether the other end of a connection is a proxy that is believed.
fn is_proxy(app: &App, peer: IpAddr) -> bool {
    app.omni.trusts_proxy(peer) || app.config.trusted_proxies.iter().any(|range| range.contains(peer))
}

/// What a trusted proxy says in a header; where several say something, the first of them.
#[cfg(feature = "dashboard")]
pub(crate) fn told_by_proxy<'a>(app: &App, parts: &'a Parts, name: &str) -> Option<&'a str> {
    let is_trusted = peer(parts).is_some_and(|peer| is_proxy(app, peer));
    let text = parts.headers.get(name).filter(|_| is_trusted)?.to_str().ok()?;
    text.split(',').next().map(str::trim)
}

fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use omni_core::ExposeSecret as _;

    use super::*;

    fn found(headers: &[(&'static str, &'static str)]) -> Option<String> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        match own(&headers.collect())? {
            Credential::ApiKey { key, .. } => Some(format!("key {}", key.expose_secret())),
            Credential::Bearer { token, .. } => Some(format!("token {}", token.expose_secret())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_or_a_token_is_found_in_its_header_and_nowhere_else() {
        for headers in
            [[("authorization", "Bearer omni_a")], [("authorization", "bearer  omni_a ")], [("x-api-key", "omni_a")]]
        {
            assert_eq!(found(&headers).as_deref(), Some("key omni_a"), "{headers:?}");
        }
        assert_eq!(found(&[("authorization", "Bearer a.b.c")]).as_deref(), Some("token a.b.c"));
        assert_eq!(found(&[("authorization", "Bearer omni_a"), ("x-api-key", "b")]).as_deref(), Some("key omni_a"));
        for headers in [[("authorization", "Basic YTpi")], [("authorization", "omni_a")], [("x-api-key", " ")]] {
            assert_eq!(found(&headers), None, "{headers:?}");
        }
    }
}
