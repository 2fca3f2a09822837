//! The token endpoint.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::Utc;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::Value;
use url::{Url, form_urlencoded::byte_serialize};

use super::{
    Hidden, OAuthError,
    assertion::Signer,
    client::{Client, Method},
    words,
};
use crate::{
    config::OAuthConfig,
    net::egress::{Answer, Egress},
    redact::Redactor,
};

/// Longest token that is taken, in bytes: more is no header.
const MAX_TOKEN: usize = 16 << 10;
/// A year, in seconds: what lasts longer is renewed all the same.
const MAX_LIFE: f64 = 31_536_000.0;

/// What an authorization server gives.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) access: Hidden,
    pub(crate) refresh: Option<Hidden>,
    /// How long the access token counts, in seconds; `None` where it does not say.
    pub(crate) expires_in: Option<i64>,
    pub(crate) scopes: Option<Vec<String>>,
    /// Who logged in, where a login asked for that.
    pub(crate) id_token: Option<Hidden>,
}

/// Where tokens are, and as whom they are asked for.
pub(crate) struct Endpoint<'a> {
    pub(crate) egress: &'a Egress,
    pub(crate) config: &'a OAuthConfig,
    pub(crate) issuer: &'a str,
    pub(crate) url: &'a str,
    pub(crate) client: &'a Client,
}

impl Endpoint<'_> {
    /// Tokens for this form.
    ///
    /// # Errors
    /// [`OAuthError::Refused`], or that nobody could be asked.
    pub(crate) async fn tokens(&self, form: &[(&str, &str)]) -> Result<Tokens, OAuthError> {
        let url = Url::parse(self.url).map_err(|_| OAuthError::discovery("the token endpoint is no address"))?;
        let answer = self.ask(&url, form).await?;
        let redactor = self.redactor(form);
        match answer.status.is_success() {
            true => read(&answer, &url, &redactor),
            false => Err(refusal(&answer, "give out a token", &redactor)),
        }
    }

    /// Knows what is sent: authorization servers may well repeat it.
    fn redactor(&self, form: &[(&str, &str)]) -> Redactor {
        const SECRET: [&str; 4] = ["code", "code_verifier", "refresh_token", "token"];
        let sent = form.iter().filter(|(name, _)| SECRET.contains(name)).map(|(_, value)| (*value).to_owned());
        let sent = sent.chain(self.client.secret(self.config));
        sent.fold(Redactor::new(), |redactor, secret| redactor.with_value(&secret))
    }

    /// Takes a token back (RFC 7009). What comes of it is nobody's business: it ends by itself.
    pub(crate) async fn revoke(&self, token: &Hidden) -> Result<(), OAuthError> {
        let url = Url::parse(self.url).map_err(|_| OAuthError::discovery("the revocation endpoint is no address"))?;
        let form = [("token", token.0.as_str())];
        let answer = self.ask(&url, &form).await?;
        match answer.status.is_success() {
            true => Ok(()),
            false => Err(refusal(&answer, "take the token back", &self.redactor(&form))),
        }
    }

    async fn ask(&self, url: &Url, form: &[(&str, &str)]) -> Result<Answer, OAuthError> {
        let (mut form, mut headers) = (form.to_vec(), HeaderMap::new());
        let (id, secret) = (self.client.id.as_str(), self.client.secret(self.config).unwrap_or_default());
        let assertion = match self.client.method {
            Method::Jwt => self.assertion()?,
            Method::None | Method::Basic | Method::Post => String::new(),
        };
        match self.client.method {
            Method::None => form.push(("client_id", id)),
            Method::Basic => {
                headers.insert(AUTHORIZATION, basic(id, &secret)?);
            }
            Method::Post => form.extend([("client_id", id), ("client_secret", &secret)]),
            Method::Jwt => form.extend([
                ("client_id", id),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", &assertion),
            ]),
        }
        Ok(self.egress.form(url, &form, headers).await?)
    }

    fn assertion(&self) -> Result<String, OAuthError> {
        let unusable = |what: &str| OAuthError::discovery(format!("the private_key in mcps.yaml: {what}"));
        let pem = self.config.private_key.as_ref().ok_or_else(|| unusable("there is none any more"))?;
        let signer = Signer::from_pem(pem.expose_secret(), self.config.key_id.clone()).map_err(unusable)?;
        signer.assertion(&self.client.id, self.issuer, Utc::now().timestamp()).map_err(unusable)
    }
}

/// Name and secret, each encoded by itself before they are put together.
fn basic(id: &str, secret: &str) -> Result<HeaderValue, OAuthError> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
    let mut value = HeaderValue::from_str(&format!("Basic {pair}"))
        .map_err(|_| OAuthError::discovery("the client's secret cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[derive(Deserialize)]
struct Said {
    access_token: Hidden,
    token_type: String,
    #[serde(default)]
    refresh_token: Option<Hidden>,
    #[serde(default)]
    expires_in: Option<Value>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    id_token: Option<Hidden>,
}

fn read(answer: &Answer, url: &Url, redactor: &Redactor) -> Result<Tokens, OAuthError> {
    // Some say no with a status of success.
    if answer.json::<Refusal>(url).is_ok() {
        return Err(refusal(answer, "give out a token", redactor));
    }
    let said: Said = answer.json(url)?;
    if !said.token_type.eq_ignore_ascii_case("bearer") {
        let message = format!("the authorization server gives out tokens of the type {}", words(&said.token_type));
        return Err(OAuthError::answer(message));
    }
    let is_sound = |token: &Hidden| {
        !token.0.is_empty() && token.0.len() <= MAX_TOKEN && token.0.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !is_sound(&said.access_token) || !said.refresh_token.as_ref().is_none_or(is_sound) {
        return Err(OAuthError::answer("the authorization server gave a token that cannot be sent"));
    }
    let seconds = said.expires_in.as_ref().and_then(|life| match life {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    });
    Ok(Tokens {
        access: said.access_token,
        refresh: said.refresh_token,
        expires_in: seconds.filter(|life: &f64| life.is_finite()).map(|life| life.clamp(0.0, MAX_LIFE) as i64),
        scopes: said.scope.map(|scope| scope.split_whitespace().map(str::to_owned).collect()),
        id_token: said.id_token,
    })
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

/// What an authorization server's no means, without what `redactor` knows.
pub(crate) fn refusal(answer: &Answer, what: &str, redactor: &Redactor) -> OAuthError {
    // What is cut could not be known any more.
    let words = |text: &str| words(&redactor.text(text));
    match serde_json::from_slice::<Refusal>(&answer.body) {
        Ok(said) => OAuthError::Refused {
            code: words(&said.error),
            description: said.error_description.as_deref().map(words).filter(|words| !words.is_empty()),
        },
        Err(_) => OAuthError::answer(format!("the authorization server did not {what}: it answered {}", answer.status)),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;

    /// What is made of a good answer with these in their place.
    fn tokens(change: &Value) -> Result<Tokens, String> {
        let mut said = json!({ "access_token": "a-1", "token_type": "Bearer", "refresh_token": "r-1" });
        said.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = Answer { status: StatusCode::OK, body: said.to_string().into_bytes() };
        let url = Url::parse("https://issuer/token").unwrap();
        read(&answer, &url, &Redactor::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn tokens_count_that_can_be_sent_by_whoever_has_them_and_no_others() {
        for (said, refresh) in [
            (json!({}), Some("r-1")),
            (json!({ "token_type": "bearer", "refresh_token": null }), None),
            (json!({ "access_token": "a".repeat(MAX_TOKEN) }), Some("r-1")),
        ] {
            let given = tokens(&said).unwrap();
            assert_eq!(given.refresh.map(|token| token.0).as_deref(), refresh);
        }
        for (said, word) in [
            (json!({ "token_type": "mac" }), "tokens of the type mac"),
            (json!({ "token_type": "DPoP" }), "tokens of the type DPoP"),
            (json!({ "token_type": "" }), "tokens of the type"),
            (json!({ "access_token": "" }), "cannot be sent"),
            (json!({ "access_token": "a\r\nx-other: 1" }), "cannot be sent"),
            (json!({ "access_token": "a b" }), "cannot be sent"),
            (json!({ "access_token": "\u{e4}" }), "cannot be sent"),
            (json!({ "access_token": "a".repeat(MAX_TOKEN + 1) }), "cannot be sent"),
            (json!({ "refresh_token": "" }), "cannot be sent"),
            (json!({ "refresh_token": "r\n1" }), "cannot be sent"),
        ] {
            let error = tokens(&said).unwrap_err();
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}
