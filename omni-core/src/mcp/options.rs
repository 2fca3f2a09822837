//! How the pool treats one server.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{pin::PinMode, policy::PatternSet};

/// How the pool treats one server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The name for people.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: String,
    /// Whether it is used at all.
    pub enabled: bool,
    /// Whose connections it is used on.
    pub sharing: Sharing,
    /// When it is connected to.
    pub connect: Connect,
    /// What becomes of a start at which it cannot be used.
    pub on_start_failure: OnStartFailure,
    /// How long a call may take, without the time that its caller takes to answer the server's questions.
    pub call_timeout: Duration,
    /// How long connecting and listing may take.
    pub connect_timeout: Duration,
    /// How many calls may run at once, those included in which somebody is being asked.
    pub max_concurrent: usize,
    /// Most characters of a result that reach a model or a person.
    pub max_output_chars: usize,
    /// Tools that may be called again when the connection broke: trusted as harmless to repeat.
    pub retry_safe: PatternSet,
    /// Total attempts of a call that may be repeated.
    pub max_attempts: u32,
    /// How long a call waits before it is repeated, times the attempts made.
    pub retry_delay: Duration,
    /// How long nothing is heard of a connection before the server is asked whether it lives.
    pub keep_alive: Option<Duration>,
    /// How long nobody uses a connection before it is closed, until somebody does.
    pub idle_close: Option<Duration>,
    /// How old a connection may be before it is closed when nobody uses it.
    pub max_age: Option<Duration>,
    /// How long a list of tools counts, where the server says nothing.
    pub refresh: Option<Duration>,
    /// When calls are kept from it.
    pub breaker: BreakerOptions,
    /// Whether the server's `readOnlyHint` is believed.
    pub trusted: bool,
    /// What becomes of tools that are new or changed.
    pub pin: PinMode,
    /// Calls of one person in any minute; `None` is unlimited.
    pub calls_per_minute: Option<u64>,
    /// Calls of one person in any second; `None` is unlimited.
    pub calls_burst: Option<u64>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            display_name: None,
            description: String::new(),
            enabled: true,
            sharing: Sharing::default(),
            connect: Connect::default(),
            on_start_failure: OnStartFailure::default(),
            call_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(30),
            max_concurrent: 16,
            max_output_chars: 50_000,
            retry_safe: PatternSet::default(),
            max_attempts: 2,
            retry_delay: Duration::from_millis(100),
            keep_alive: Some(Duration::from_secs(60)),
            idle_close: None,
            max_age: None,
            refresh: Some(Duration::from_secs(300)),
            breaker: BreakerOptions::default(),
            trusted: false,
            pin: PinMode::default(),
            calls_per_minute: None,
            calls_burst: None,
        }
    }
}

/// Whose connections a server is used on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sharing {
    /// One connection is everybody's, made with omni's credentials.
    #[default]
    Shared,
    /// Everybody has their own, made with the token with which they came to omni. Whoever came without one that is
    /// for `audience` is refused.
    PerUser {
        /// What the token's `aud` has to name.
        audience: String,
    },
}

impl Sharing {
    /// The name in `mcps.yaml`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::PerUser { .. } => "per_user",
        }
    }
}

/// When a server is connected to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Connect {
    /// When a service starts ([`Omni::start`](crate::Omni::start)), so that nobody waits for it.
    #[default]
    Eager,
    /// When somebody first needs it.
    Lazy,
}

/// What becomes of a start at which a server cannot be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStartFailure {
    /// It starts without the server, which is tried again.
    #[default]
    FailOpen,
    /// It does not start: neither [`Omni::start`](crate::Omni::start) nor
    /// [`OmniBuilder::build`](crate::OmniBuilder::build) of a program that embeds omni. The server is
    /// connected to then, whatever [`Connect`] says.
    FailClosed,
}

/// When calls are kept from a server whose connections fail. What tools, rules and the protocol
/// refuse is no such failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerOptions {
    /// So many failures within `window`, or in a row, keep calls away; 0 is never.
    pub failures: u32,
    /// How long a failure counts.
    pub window: Duration,
    /// How long the server is left alone at first. It grows with every time that it has not recovered.
    pub pause: Duration,
    /// How long it is left alone at most.
    pub max_pause: Duration,
    /// How many calls may find out at once whether it has recovered.
    pub probes: u32,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            failures: 5,
            window: Duration::from_secs(60),
            pause: Duration::from_secs(10),
            max_pause: Duration::from_secs(300),
            probes: 1,
        }
    }
}
