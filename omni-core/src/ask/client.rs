//! What a request tells of the program that sent it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Most characters of what a request says of itself.
const MAX_CHARS: usize = 255;

/// What a request says of itself and where it came from: recorded, never believed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Client {
    /// What it calls its origin (`X-Source`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x_source: Option<String>,
    /// What it calls itself (`User-Agent`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The address that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

impl Client {
    /// A client that came from an address.
    #[must_use]
    pub fn new(address: Option<IpAddr>) -> Self {
        Self { address: address.map(|address| address.to_canonical()), ..Self::default() }
    }

    /// The same with what it calls its origin; the first 255 characters of it.
    #[must_use]
    pub fn with_x_source(mut self, x_source: Option<&str>) -> Self {
        self.x_source = x_source.and_then(capped);
        self
    }

    /// The same with what it calls itself; the first 255 characters of it.
    #[must_use]
    pub fn with_user_agent(mut self, user_agent: Option<&str>) -> Self {
        self.user_agent = user_agent.and_then(capped);
        self
    }

    /// Whether nothing is known of it.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

fn capped(text: &str) -> Option<String> {
    Some(text.trim().chars().filter(|c| !c.is_control()).take(MAX_CHARS).collect())
        .filter(|text: &String| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_says_of_itself_is_cut_and_on_one_line() {
        let client = Client::new(Some("::ffff:10.0.0.1".parse().unwrap()))
            .with_x_source(Some(" \n "))
            .with_user_agent(Some(&"é\n".repeat(400)));
        assert_eq!((client.x_source, client.address), (None, Some("10.0.0.1".parse().unwrap())));
        assert_eq!(client.user_agent, Some("é".repeat(255)));
        assert!(Client::default().is_unknown());
    }
}
