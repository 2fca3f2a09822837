//! What the server needs to know of its surroundings, as a value.

use std::time::Duration;

use omni_core::net::is_loopback;
use secrecy::SecretString;
use url::Url;

use crate::token::Token;

/// Where the token stands, the more specific name first.
const TOKEN: [&str; 2] = ["GITHUB_PERSONAL_ACCESS_TOKEN", "GITHUB_TOKEN"];
/// Where the API is, for GitHub Enterprise.
const API_URL: &str = "GITHUB_API_URL";

/// GitHub's public API.
const PUBLIC: &str = "https://api.github.com/";

/// Why settings are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The address is not one of an API.
    #[error(
        "{url} is no address of an API: it is https://HOST with a path at most, such as https://github.example.com/api/v3"
    )]
    Address {
        /// The address, without what may be a secret in it.
        url: String,
    },
    /// The address is http on another machine: the token would be readable on the way.
    #[error("{url} is not encrypted: use https")]
    Unencrypted {
        /// The address.
        url: String,
    },
    /// The token has characters that no token has, or is too short for one.
    #[error("the token is none: it has to be at least eight visible ASCII characters")]
    Token,
}

/// Where GitHub is, as whom, and how long it may take.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) api_url: Url,
    pub(crate) token: Option<Token>,
    pub(crate) timeout: Duration,
}

impl Settings {
    /// GitHub's public API without a token, thirty seconds for a call.
    ///
    /// # Errors
    /// Never in practice: the address is a constant.
    pub fn public() -> Result<Self, SettingsError> {
        Ok(Self { api_url: address(PUBLIC)?, token: None, timeout: Duration::from_secs(30) })
    }

    /// What the environment says, by whatever reads a variable of it.
    ///
    /// # Errors
    /// [`SettingsError`] when a variable is set to something that cannot be used.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let set = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let mut settings = Self::public()?;
        if let Some(url) = set(API_URL) {
            settings = settings.with_api_url(&url)?;
        }
        if let Some(token) = TOKEN.into_iter().find_map(set) {
            settings = settings.with_token(token)?;
        }
        Ok(settings)
    }

    /// The same with another API: https, or http on this machine.
    ///
    /// # Errors
    /// [`SettingsError`] when it is not one.
    pub fn with_api_url(mut self, url: &str) -> Result<Self, SettingsError> {
        self.api_url = address(url)?;
        Ok(self)
    }

    /// The same with a token.
    ///
    /// # Errors
    /// [`SettingsError::Token`] when it is none.
    pub fn with_token(mut self, token: impl Into<SecretString>) -> Result<Self, SettingsError> {
        self.token = Some(Token::new(token.into()).ok_or(SettingsError::Token)?);
        Ok(self)
    }

    /// The same with another bound on how long a call may take, attempts and redirects included.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

fn address(text: &str) -> Result<Url, SettingsError> {
    let shown = || text.split(['?', '#']).next().map_or_else(String::new, without_user);
    let url = Url::parse(text).map_err(|_| SettingsError::Address { url: shown() })?;
    let is_plain = url.query().is_none() && url.fragment().is_none();
    let names_nobody = url.username().is_empty() && url.password().is_none();
    match url.scheme() {
        "https" | "http" if !is_plain || !names_nobody || url.host().is_none() => {
            Err(SettingsError::Address { url: shown() })
        }
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(SettingsError::Unencrypted { url: shown() }),
        _ => Err(SettingsError::Address { url: shown() }),
    }
}

/// An address without a name and a password in it.
fn without_user(text: &str) -> String {
    match text.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, rest)) => format!("{scheme}://{rest}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::from_env(|name| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn an_empty_environment_is_the_public_api_without_a_token() {
        let settings = from(&[("GITHUB_TOKEN", " ")]).unwrap();
        assert_eq!((settings.api_url.as_str(), settings.token.is_none()), (PUBLIC, true));
    }

    #[test]
    fn the_token_meant_for_this_goes_before_the_one_that_happens_to_be_there() {
        use secrecy::ExposeSecret as _;
        let of =
            |variables: &[(&str, &str)]| from(variables).unwrap().token.unwrap().secret().expose_secret().to_owned();
        let (own, other) = (("GITHUB_PERSONAL_ACCESS_TOKEN", "ghp_ownownown"), ("GITHUB_TOKEN", "ghs_otherother"));
        assert_eq!(of(&[other, own]), own.1);
        assert_eq!(of(&[other]), other.1);
    }

    #[test]
    fn addresses_are_encrypted_or_on_this_machine_and_hold_nothing_else() {
        for url in
            ["https://github.example.com/api/v3", "https://api.octo.ghe.com", "http://127.0.0.1:9/", "http://[::1]:9"]
        {
            assert!(from(&[(API_URL, url)]).is_ok(), "{url}");
        }
        for url in
            ["http://github.example.com", "ftp://127.0.0.1", "github.com", "https://u:s3cret@h/", "https://h/?a=s3cret"]
        {
            let error = from(&[(API_URL, url)]).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_token_that_no_header_takes_is_refused_and_not_shown() {
        for token in ["short", "with space in it", "with\nnewline", "ümlautümlaut"] {
            let error = from(&[("GITHUB_TOKEN", token)]).unwrap_err();
            assert_eq!(error, SettingsError::Token);
        }
        let shown = format!("{:?}", from(&[("GITHUB_TOKEN", "ghp_0123456789")]).unwrap());
        assert!(!shown.contains("ghp_0123456789"), "{shown}");
    }
}
