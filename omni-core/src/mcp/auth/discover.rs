//! Who gives out the tokens of a server: the server's metadata (RFC 9728), then that of the authorization
//! server that it names (RFC 8414, OpenID Connect Discovery).

use url::Url;

use super::{OAuthError, challenge::Challenge, metadata::ResourceMetadata, words};
use crate::{
    net::{
        EgressError,
        egress::{Egress, shown},
    },
    oauth::metadata::ServerMetadata,
};

const RESOURCE: &str = "oauth-protected-resource";
const SERVER: &str = "oauth-authorization-server";
const OPENID: &str = "openid-configuration";

/// What was found out about a server's tokens.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// What tokens are for, letter by letter as the server publishes it.
    pub(super) resource: String,
    /// What the server can be asked for.
    pub(super) scopes_supported: Vec<String>,
    /// Who gives them out.
    pub(super) server: ServerMetadata,
}

/// Finds out who gives out the tokens of the server at `url`. `issuer` is who must, where that is known.
///
/// # Errors
/// [`OAuthError::Discovery`], or why somebody could not be asked.
pub(super) async fn discover(
    egress: &Egress,
    url: &Url,
    challenge: &Challenge,
    issuer: Option<&str>,
) -> Result<Found, OAuthError> {
    let resource = resource(egress, url, challenge).await?;
    let (resource, servers, scopes_supported) = match resource {
        Some(found) => (found.resource, found.authorization_servers, found.scopes_supported),
        // Servers of before June 2025 give out their tokens themselves.
        None => (without_fragment(url).into(), vec![url.origin().ascii_serialization()], Vec::new()),
    };
    let named = match issuer {
        Some(issuer) if servers.iter().any(|server| server == issuer) => issuer,
        Some(issuer) => {
            let named = words(&servers.join(", "));
            return Err(OAuthError::discovery(format!(
                "the server's tokens are given out by {named}, and mcps.yaml wants those of {issuer}"
            )));
        }
        None => servers
            .first()
            .map(String::as_str)
            .ok_or_else(|| OAuthError::discovery("the server's metadata names no authorization server".to_owned()))?,
    };
    let server = server(egress, named).await?;
    Ok(Found { resource, scopes_supported, server })
}

/// The server's own metadata: where its challenge says, else where it has to be; `None` where there is none.
async fn resource(egress: &Egress, url: &Url, challenge: &Challenge) -> Result<Option<ResourceMetadata>, OAuthError> {
    if let Some(named) = &challenge.resource_metadata {
        let at = url.join(named).map_err(|_| OAuthError::discovery("the server's metadata is at no address"))?;
        let found: ResourceMetadata = egress.document(&at).await?;
        return own(found, url).map(Some);
    }
    for at in well_known(url, RESOURCE, Insert::Before) {
        match egress.document::<ResourceMetadata>(&at).await {
            Ok(found) => return own(found, url).map(Some),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Whether metadata is the server's own: tokens for somebody else would be of use to somebody else.
fn own(found: ResourceMetadata, url: &Url) -> Result<ResourceMetadata, OAuthError> {
    let is_own = Url::parse(&found.resource).is_ok_and(|resource| covers(&resource, url));
    if is_own {
        return Ok(found);
    }
    Err(OAuthError::discovery(format!(
        "the metadata is that of {}, and not that of the server at {}",
        words(&found.resource),
        shown(url)
    )))
}

/// Whether a resource is the server, or what it is part of. Only compared by its parts: what is sent is what
/// was published.
fn covers(resource: &Url, url: &Url) -> bool {
    let (whole, part) = (resource.path().trim_end_matches('/'), url.path().trim_end_matches('/'));
    let is_within = part.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    resource.origin() == url.origin() && resource.has_host() && resource.fragment().is_none() && is_within
}

/// The metadata of an authorization server, which must call itself by the name that it was asked under.
async fn server(egress: &Egress, issuer: &str) -> Result<ServerMetadata, OAuthError> {
    let unusable = |what: &str| OAuthError::discovery(format!("the authorization server {} {what}", words(issuer)));
    let url = Url::parse(issuer).map_err(|_| unusable("is no address"))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(unusable("has a query in its address"));
    }
    let mut places = well_known(&url, SERVER, Insert::Before);
    places.truncate(1);
    places.extend(well_known(&url, OPENID, Insert::Before).into_iter().take(1));
    places.extend(well_known(&url, OPENID, Insert::After));
    places.dedup();
    for at in places {
        match egress.document::<ServerMetadata>(&at).await {
            Ok(found) if found.issuer == issuer => return Ok(found),
            Ok(found) => {
                let what = format!("calls itself {}", words(&found.issuer));
                return Err(unusable(&what));
            }
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(unusable("publishes no metadata"))
}

/// Whether an answer says that there is nothing there: another place may have it.
fn is_absent(error: &EgressError) -> bool {
    matches!(error, EgressError::Status { status: 400..=499, .. } | EgressError::Malformed { .. })
}

/// Where a well-known name stands in an address with a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Insert {
    Before,
    After,
}

/// The places of a well-known document: with the address's path first, then without.
fn well_known(url: &Url, name: &str, insert: Insert) -> Vec<Url> {
    let path = url.path().trim_end_matches('/');
    let at = |path: &str| {
        let mut at = url.clone();
        at.set_path(path);
        at.set_query(None);
        at.set_fragment(None);
        at
    };
    let root = format!("/.well-known/{name}");
    match (path, insert) {
        ("", _) => vec![at(&root)],
        (path, Insert::Before) => vec![at(&format!("{root}{path}")), at(&root)],
        (path, Insert::After) => vec![at(&format!("{path}{root}"))],
    }
}

fn without_fragment(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn metadata_stands_where_the_address_and_its_path_say() {
        let places = |text: &str, insert| -> Vec<String> {
            well_known(&url(text), "x", insert).into_iter().map(Into::into).collect()
        };
        assert_eq!(places("https://a/", Insert::Before), ["https://a/.well-known/x"]);
        assert_eq!(
            places("https://a/b/mcp/?q=1#f", Insert::Before),
            ["https://a/.well-known/x/b/mcp", "https://a/.well-known/x"]
        );
        assert_eq!(places("https://a/b/", Insert::After), ["https://a/b/.well-known/x"]);
    }

    #[test]
    fn metadata_of_another_server_is_nobodys() {
        for (resource, at, is_own) in [
            ("https://a.example/mcp", "https://a.example/mcp", true),
            ("https://a.example", "https://a.example/mcp", true),
            ("https://A.example:443/", "https://a.example/mcp", true),
            ("https://a.example/mcp/", "https://a.example/mcp", true),
            ("https://a.example/mc", "https://a.example/mcp", false),
            ("https://a.example/mcp/x", "https://a.example/mcp", false),
            ("https://b.example/mcp", "https://a.example/mcp", false),
            ("https://a.example.evil/", "https://a.example/", false),
            ("http://a.example/mcp", "https://a.example/mcp", false),
            ("https://a.example:8443/mcp", "https://a.example/mcp", false),
            ("https://a.example/mcp#f", "https://a.example/mcp", false),
            ("urn:a.example:mcp", "https://a.example/mcp", false),
        ] {
            assert_eq!(Url::parse(resource).is_ok_and(|found| covers(&found, &url(at))), is_own, "{resource} {at}");
        }
    }
}
