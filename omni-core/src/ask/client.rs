//! What a request tells of the program that sent it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Most characters of what a request says of itself.
const MAX_CHARS: usize = 255;
/// Most characters of a chat's id.
const MAX_ID_CHARS: usize = 50;

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
    /// Where in a chat it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<Box<ChatPlace>>,
}

/// Where in a chat something was said, by the chat's own ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatPlace {
    /// Who said it.
    pub user: String,
    /// The channel.
    pub channel: String,
    /// The message; of a command there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The thread that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
}

impl ChatPlace {
    /// Said by somebody in a channel; ids are cut at 50 characters.
    #[must_use]
    pub fn new(user: &str, channel: &str) -> Self {
        Self { user: id(user), channel: id(channel), message: None, thread: None }
    }

    /// The same with its message, and the thread that that is in.
    #[must_use]
    pub fn with_message(mut self, message: Option<&str>, thread: Option<&str>) -> Self {
        (self.message, self.thread) = (message.map(id), thread.map(id));
        self
    }
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

    /// The same with where in a chat it was said.
    #[must_use]
    pub fn with_chat(mut self, chat: ChatPlace) -> Self {
        self.chat = Some(Box::new(chat));
        self
    }

    /// Whether nothing is known of it.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

fn id(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_ID_CHARS).collect()
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
