//! The secret that GitHub knows this server by.

use std::borrow::Cow;

use secrecy::{ExposeSecret as _, SecretString};

/// What stands in the token's place.
const REDACTED: &str = "[redacted]";
/// No token of GitHub's is shorter, and shorter ones would tear ordinary words apart where they are taken out.
const MIN_LEN: usize = 8;

/// A token, which no output shows.
#[derive(Debug, Clone)]
pub(crate) struct Token(SecretString);

impl Token {
    /// A token of visible ASCII, which is what a header takes.
    pub(crate) fn new(secret: SecretString) -> Option<Self> {
        let text = secret.expose_secret();
        let is_token = text.len() >= MIN_LEN && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_token.then_some(Self(secret))
    }

    pub(crate) fn secret(&self) -> SecretString {
        self.0.clone()
    }

    /// The same text without the token, wherever it comes from.
    pub(crate) fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let secret = self.0.expose_secret();
        if text.contains(secret) { Cow::Owned(text.replace(secret, REDACTED)) } else { Cow::Borrowed(text) }
    }

    /// The same for every string of a value.
    pub(crate) fn scrub_json(&self, value: &mut serde_json::Value) {
        use serde_json::Value;
        match value {
            Value::String(text) => {
                if let Cow::Owned(clean) = self.scrub(text) {
                    *text = clean;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.scrub_json(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.scrub_json(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}
