//! What can go wrong, in words that whoever called can act on.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};

use crate::text::{span, thousands};

/// Who can change something about a token.
const SET_A_TOKEN: &str = "whoever runs this server can set GITHUB_TOKEN";

/// Why there is no answer. What GitHub itself says stands in quotes, on one line and cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument is none; nothing was sent.
    #[error("`{argument}` {problem}. Nothing was sent to GitHub.")]
    Argument {
        /// Its name.
        argument: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The arguments are not those of the tool; nothing was sent.
    #[error("The arguments do not fit: {problem}. Nothing was sent to GitHub.")]
    Arguments {
        /// What is wrong with them.
        problem: String,
    },
    /// The file has no such lines.
    #[error("`start_line` {problem}.")]
    Lines {
        /// What is wrong with them.
        problem: String,
    },
    /// Too many requests are under way here already.
    #[error(
        "This server has {most} requests under way, and takes no more. Nothing was sent to GitHub: try again in a moment."
    )]
    Busy {
        /// How many it takes.
        most: usize,
    },
    /// GitHub wants to be left alone for a while.
    #[error(transparent)]
    Limited(Limited),
    /// GitHub takes no token, or not this one (401).
    #[error("{}", unauthorized(*.has_token))]
    Unauthorized {
        /// Whether one was sent.
        has_token: bool,
    },
    /// There is no such thing, or not for this token (404).
    #[error("{}", not_found(.wanted, .message, *.has_token))]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// What GitHub says.
        message: String,
        /// Whether a token was sent.
        has_token: bool,
    },
    /// GitHub does not understand the request (422).
    #[error("GitHub cannot carry out this request (422): {}. Change the arguments and try again.", .problems.join("; "))]
    Unprocessable {
        /// What is wrong, as GitHub says it.
        problems: Vec<String>,
    },
    /// The file is larger than GitHub gives out.
    #[error("The file is larger than GitHub gives out by its API (100 MB).")]
    FileTooLarge,
    /// GitHub refuses, for another reason.
    #[error("GitHub refuses this ({status}): \"{message}\"{}", if *.wants_sso { ". The organization wants the token to be authorized for its single sign-on" } else { "" })]
    Refused {
        /// The status.
        status: u16,
        /// What GitHub says.
        message: String,
        /// Whether the token has to be authorized for an organization's single sign-on.
        wants_sso: bool,
    },
    /// GitHub is broken or overloaded, also at a second attempt (5xx).
    #[error("GitHub could not answer ({status}), at a second attempt neither. Try again later.")]
    Unavailable {
        /// The status.
        status: u16,
    },
    /// GitHub cannot be reached.
    #[error("GitHub cannot be reached: {message}")]
    Unreachable {
        /// What went wrong.
        message: String,
    },
    /// There was no answer in time.
    #[error("GitHub did not answer within {}.", span(*.after))]
    Timeout {
        /// How long it was waited for.
        after: Duration,
    },
    /// GitHub sends elsewhere: to another host, or without an end.
    #[error("GitHub redirects this {problem}; the redirect was not followed.")]
    Redirect {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The answer is larger than any that this server reads.
    #[error("GitHub's answer is larger than {} bytes and was not read to its end.", thousands(*.most as u64))]
    AnswerTooLarge {
        /// How much is read.
        most: usize,
    },
    /// The answer is not what the API is documented to give.
    #[error("GitHub's answer cannot be read: {message}")]
    Protocol {
        /// What is wrong with it.
        message: String,
    },
}

impl Error {
    /// What kind of error it is, in one word, for logs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Argument { .. } | Self::Arguments { .. } | Self::Lines { .. } => "arguments",
            Self::Busy { .. } => "busy",
            Self::Limited(_) => "limited",
            Self::Unauthorized { .. } => "unauthorized",
            Self::NotFound { .. } => "not_found",
            Self::Unprocessable { .. } => "unprocessable",
            Self::FileTooLarge | Self::AnswerTooLarge { .. } => "too_large",
            Self::Refused { .. } => "refused",
            Self::Unavailable { .. } => "unavailable",
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Redirect { .. } => "redirect",
            Self::Protocol { .. } => "protocol",
        }
    }
}

/// GitHub's rate limit, or its wish for a pause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct Limited {
    /// Whether requests came too fast, rather than too many in all.
    pub is_secondary: bool,
    /// How many requests the window has, where GitHub says so.
    pub limit: Option<u64>,
    /// Whether a token was sent.
    pub has_token: bool,
    /// When to come back.
    pub until: DateTime<Utc>,
    /// How long that is from now on.
    pub wait: Duration,
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_secondary, self.limit) {
            (true, _) => f.write_str("GitHub asks for a pause (secondary rate limit: too many requests at once).")?,
            (false, Some(limit)) => write!(f, "GitHub's rate limit of {} requests is used up.", thousands(limit))?,
            (false, None) => f.write_str("GitHub's rate limit is used up.")?,
        }
        write!(
            f,
            " Try again in {}, at {} UTC, and not before.",
            span(self.wait),
            self.until.format("%Y-%m-%d %H:%M:%S")
        )?;
        if !self.has_token {
            write!(f, " Without a token the limit is low: {SET_A_TOKEN}.")?;
        }
        Ok(())
    }
}

fn unauthorized(has_token: bool) -> String {
    if has_token {
        format!(
            "GitHub does not take this server's token (401): it has expired or was revoked; {SET_A_TOKEN} to another one."
        )
    } else {
        format!("GitHub wants a token for this (401): {SET_A_TOKEN}.")
    }
}

fn not_found(wanted: &str, message: &str, has_token: bool) -> String {
    // "Not Found" says no more than the status.
    let message = if matches!(message, "" | "Not Found") { String::new() } else { format!(": \"{message}\"") };
    let whose = if has_token {
        "one that this server's token may not read".to_owned()
    } else {
        format!("this server has no token ({SET_A_TOKEN})")
    };
    format!(
        "GitHub knows no {wanted} (404){message}. The owner, the name, the path or the ref may be misspelt; a private \
         repository looks the same: {whose}."
    )
}
