//! `${NAME}` in values, and values that are secrets.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::Config;

/// A configuration that cannot be used. The message holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    message: String,
}

impl ConfigError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// A secret as text; a number that was written without quotes is one too. No error repeats it.
pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    optional_secret(deserializer)?.ok_or_else(|| D::Error::custom("it is empty"))
}

/// The same where nothing may stand there.
pub(super) fn optional_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    match serde_yaml::Value::deserialize(deserializer)? {
        serde_yaml::Value::Null => Ok(None),
        serde_yaml::Value::String(text) => Ok(Some(text.into())),
        serde_yaml::Value::Number(number) => Ok(Some(number.to_string().into())),
        _ => Err(D::Error::custom("it has to be text")),
    }
}

/// Puts the variables into every value that may hold some.
pub(super) fn fill(config: &mut Config, env: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    for database in &mut config.databases {
        let at = |key: &str| format!("databases.{}.{key}", database.name);
        database.url = replace(database.url.expose_secret(), &at("url"), env)?.into();
        database.user = database.user.take().map(|user| replace(&user, &at("user"), env)).transpose()?;
        if let Some(password) = &database.password {
            database.password = Some(replace(password.expose_secret(), &at("password"), env)?.into());
        }
        database.description = replace(&database.description, &at("description"), env)?;
        for (schema, path) in &mut database.attach {
            *path = replace(path, &at(&format!("attach.{schema}")), env)?;
        }
    }
    let http = &mut config.http;
    if let Some(token) = &http.bearer_token {
        let token = replace(token.expose_secret(), "http.bearer_token", env)?;
        http.bearer_token = (!token.is_empty()).then(|| token.into());
    }
    for value in http.allowed_hosts.iter_mut().chain(&mut http.allowed_origins) {
        *value = replace(value, "http", env)?;
    }
    Ok(())
}

fn replace(text: &str, key: &str, env: &BTreeMap<String, String>) -> Result<String, ConfigError> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((inside, left)) = after.split_once('}') else { break };
        let (name, default) = match inside.split_once(':') {
            Some((name, default)) => (name, Some(default.strip_prefix('-').unwrap_or(default))),
            None => (inside, None),
        };
        let value = env.get(name).map(String::as_str).filter(|value| default.is_none() || !value.is_empty());
        let Some(value) = value.or(default) else {
            return Err(ConfigError::new(format!("{key} needs the variable {name}, which is not set")));
        };
        result.push_str(before);
        result.push_str(value);
        rest = left;
    }
    result.push_str(rest);
    Ok(result)
}

/// What `%41` and its like stand for.
pub(super) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
