//! What the installed app was granted, beside what this build uses.

use std::{collections::BTreeSet, time::Duration};

use omni_core::{
    ExposeSecret as _,
    config::SlackConfig,
    net::{self, ClientOptions},
};
use url::Url;

use crate::{manifest::SCOPES, port::SlackError};

/// The method that is asked, because everybody may.
const METHOD: &str = "auth.test";
/// What Slack says that a token may do.
const HEADER: &str = "x-oauth-scopes";
/// How long the answer may take.
const WITHIN: Duration = Duration::from_secs(30);

/// What an app may do, and what it should.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scopes {
    /// What is used and was not granted.
    pub missing: Vec<&'static str>,
    /// What was granted and is not used.
    pub additional: Vec<String>,
}

impl Scopes {
    /// Of what Slack says was granted.
    fn of(granted: &str) -> Self {
        let granted: BTreeSet<&str> = granted.split(',').map(str::trim).filter(|scope| !scope.is_empty()).collect();
        Self {
            missing: SCOPES.into_iter().filter(|scope| !granted.contains(scope)).collect(),
            additional: granted.iter().filter(|scope| !SCOPES.contains(scope)).map(|&scope| scope.to_owned()).collect(),
        }
    }
}

/// What the installed app was granted; `None` where Slack does not say. The library that talks to Slack otherwise shows
/// no headers.
///
/// # Errors
/// A [`SlackError`] when there is no token, or no answer.
pub async fn scopes(config: &SlackConfig) -> Result<Option<Scopes>, SlackError> {
    let away = |message: String| SlackError::away(METHOD, message);
    let token = config.bot_token.as_ref().ok_or_else(|| SlackError::Config {
        message: "there is no bot token (slack.bot_token, SLACK_BOT_TOKEN)".into(),
    })?;
    let url = Url::parse(&format!("{}/{METHOD}", config.api_url)).map_err(|_| away("its address is none".into()))?;
    let client = net::client(&ClientOptions::for_url(&url)).map_err(|error| away(error.to_string()))?;
    let request = client.post(url).bearer_auth(token.expose_secret()).timeout(WITHIN);
    let answer = request.send().await.map_err(|error| away(net::describe(&error)))?;
    let granted = answer.headers().get(HEADER).and_then(|value| value.to_str().ok());
    Ok(granted.map(Scopes::of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_too_much_is_told_apart() {
        let all = SCOPES.join(",");
        assert_eq!(Scopes::of(&all), Scopes::default());
        let others = Scopes::of(&format!("{}, admin ,", SCOPES[1..].join(", ")));
        assert_eq!((others.missing, others.additional), (vec![SCOPES[0]], vec!["admin".to_owned()]));
    }
}
