//! The way of a browser to an authorization server and back: authorization code with PKCE and a state.
//!
//! What the authorization server names is an address and nothing else: it is parsed, and whoever sends a browser
//! there has it checked.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::{Url, form_urlencoded};

use super::{Hidden, OAuthError, metadata::ServerMetadata, words};

/// The way of making a challenge of a verifier that is not a promise alone.
pub(crate) const PKCE: &str = "S256";
/// Longest address that a browser is sent back to, in bytes.
const MAX_CALLBACK: usize = 16 << 10;

/// A browser that is on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Trip {
    state: Hidden,
    verifier: Hidden,
    redirect_uri: String,
}

impl Trip {
    /// One that ends at this address.
    pub(crate) fn begin(redirect_uri: impl Into<String>) -> Result<Self, OAuthError> {
        Ok(Self { state: random()?, verifier: random()?, redirect_uri: redirect_uri.into() })
    }

    /// Where the browser is sent, with what is asked for beside.
    pub(crate) fn url(
        &self,
        server: &ServerMetadata,
        client_id: &str,
        scopes: &[String],
        beside: &[(&str, &str)],
    ) -> Result<Url, OAuthError> {
        let mut url = authorization_endpoint(server)?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("state", &self.state.0)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier.0)))
            .append_pair("code_challenge_method", PKCE)
            .extend_pairs(beside);
        if !scopes.is_empty() {
            url.query_pairs_mut().append_pair("scope", &scopes.join(" "));
        }
        Ok(url)
    }

    /// Whether an address, or its query alone, is what a browser comes back to from this trip. Anybody may send a
    /// browser to such an address.
    pub(crate) fn is_answered_by(&self, callback: &str) -> bool {
        parameters(callback).is_ok_and(|said| self.is_own(&said))
    }

    fn is_own(&self, said: &BTreeMap<String, String>) -> bool {
        let state = said.get("state").map_or("", String::as_str);
        state.as_bytes().ct_eq(self.state.0.as_bytes()).into()
    }

    /// The code of the address that the browser came back to.
    pub(crate) fn code(&self, server: &ServerMetadata, callback: &str) -> Result<Hidden, OAuthError> {
        let mut said = parameters(callback)?;
        if !self.is_own(&said) {
            return Err(OAuthError::answer("the browser came back from another login than this one"));
        }
        check_issuer(server, said.get("iss").map(String::as_str))?;
        if let Some(code) = said.get("error") {
            let description = said.get("error_description").map(|text| words(text));
            return Err(OAuthError::Refused { code: words(code), description });
        }
        let code = said.remove("code").filter(|code| !code.is_empty());
        code.map(Hidden).ok_or_else(|| OAuthError::answer("the browser came back without a code"))
    }

    /// What the token endpoint is asked with.
    pub(crate) fn form<'a>(&'a self, code: &'a Hidden) -> [(&'static str, &'a str); 4] {
        [
            ("grant_type", "authorization_code"),
            ("code", &code.0),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", &self.verifier.0),
        ]
    }

    #[cfg(test)]
    pub(crate) fn of(state: &str, verifier: &str, redirect_uri: &str) -> Self {
        Self { state: Hidden(state.into()), verifier: Hidden(verifier.into()), redirect_uri: redirect_uri.into() }
    }
}

/// Whether the answer is of whom it was asked (RFC 9207), letter by letter.
fn check_issuer(server: &ServerMetadata, said: Option<&str>) -> Result<(), OAuthError> {
    match said {
        Some(issuer) if issuer == server.issuer => Ok(()),
        Some(issuer) => Err(OAuthError::answer(format!(
            "the answer is of {}, and {} was asked",
            words(issuer),
            words(&server.issuer)
        ))),
        None if server.authorization_response_iss_parameter_supported => {
            Err(OAuthError::answer(format!("the answer does not say that it is of {}", words(&server.issuer))))
        }
        None => Ok(()),
    }
}

/// Where people log in. It is not checked whether that may be asked.
pub(crate) fn authorization_endpoint(server: &ServerMetadata) -> Result<Url, OAuthError> {
    let unusable =
        |what: &str| OAuthError::discovery(format!("the authorization server {} {what}", words(&server.issuer)));
    let text = server.authorization_endpoint.as_deref().ok_or_else(|| unusable("lets no person log in"))?;
    let mut url = Url::parse(text).map_err(|_| unusable("names no address where people log in"))?;
    url.set_fragment(None);
    Ok(url)
}

/// What a browser came back with. A parameter that is there twice could be read in two ways.
fn parameters(callback: &str) -> Result<BTreeMap<String, String>, OAuthError> {
    let query = callback.split_once('?').map_or(callback, |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    if query.len() > MAX_CALLBACK {
        return Err(OAuthError::answer("the browser came back with too much"));
    }
    let mut said = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if said.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(OAuthError::answer("the browser came back with a parameter twice"));
        }
    }
    Ok(said)
}

/// 256 random bits, as text.
pub(crate) fn random() -> Result<Hidden, OAuthError> {
    let mut bytes = [0; 32];
    let failed = |_| OAuthError::Store { message: "the operating system has no randomness".into() };
    SystemRandom::new().fill(&mut bytes).map_err(failed)?;
    Ok(Hidden(URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trip() -> Trip {
        Trip::of("s-1", "v-1", "http://127.0.0.1:1/callback")
    }

    fn metadata(server: &serde_json::Value) -> ServerMetadata {
        let mut whole = json!({ "issuer": "https://issuer", "token_endpoint": "https://issuer/token" });
        whole.as_object_mut().unwrap().extend(server.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    fn code(server: &serde_json::Value, callback: &str) -> Result<String, String> {
        trip().code(&metadata(server), callback).map(|code| code.0).map_err(|error| error.to_string())
    }

    #[test]
    fn a_code_is_taken_from_the_answer_to_this_login_alone() {
        let plain = || json!({});
        assert_eq!(code(&plain(), "http://127.0.0.1:1/callback?code=c&state=s-1#x").unwrap(), "c");
        assert_eq!(code(&plain(), "code=c&state=s-1&iss=https%3A%2F%2Fissuer").unwrap(), "c");
        for (callback, word) in [
            ("code=c", "another login"),
            ("code=c&state=s-2", "another login"),
            ("code=c&state=", "another login"),
            ("code=c&state=s-1&state=s-2", "twice"),
            ("code=c&code=d&state=s-1", "twice"),
            ("state=s-1", "without a code"),
            ("code=&state=s-1", "without a code"),
            ("error=access_denied&error_description=no%20way&state=s-1", "access_denied (no way)"),
            ("error=access_denied", "another login"),
        ] {
            let error = code(&plain(), callback).unwrap_err();
            assert!(error.contains(word), "{callback}: {error}");
        }
        for (callback, is_answer) in [
            ("http://127.0.0.1:1/callback?code=c&state=s-1", true),
            ("error=access_denied&state=s-1", true),
            ("code=c&state=s-2", false),
            ("code=c&state=s-1&state=s-1", false),
            ("code=c", false),
            ("", false),
        ] {
            assert_eq!(trip().is_answered_by(callback), is_answer, "{callback}");
        }
        assert!(
            code(&plain(), &format!("state=s-1&code={}", "c".repeat(MAX_CALLBACK))).unwrap_err().contains("too much")
        );
    }

    #[test]
    fn an_answer_of_another_issuer_is_refused_letter_by_letter() {
        let says = || json!({ "authorization_response_iss_parameter_supported": true });
        assert!(code(&says(), "code=c&state=s-1&iss=https%3A%2F%2Fissuer").is_ok());
        assert!(code(&says(), "code=c&state=s-1").unwrap_err().contains("does not say"));
        for issuer in ["https://evil", "https://issuer/", "https://ISSUER", "https://issuer:443", ""] {
            for server in [says(), json!({})] {
                let callback = format!("code=c&state=s-1&iss={issuer}");
                assert!(code(&server, &callback).unwrap_err().contains("the answer is of"), "{issuer}");
            }
        }
    }
}
