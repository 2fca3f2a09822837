//! What the authorization server knows.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::time::{Duration, Instant};
use uuid::Uuid;

/// How it behaves.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long an access token counts.
    pub token_life: Duration,
    /// What the server says in `WWW-Authenticate` that a token must be for.
    pub scope: Option<&'static str>,
    /// What a call of the tool `admin` needs beside that.
    pub admin_scope: Option<&'static str>,
    /// Whether clients may register.
    pub registers: bool,
    /// A client that is known already: its name, and its secret if it has one.
    pub known: Option<(&'static str, Option<&'static str>)>,
    /// Members of its metadata in place of its own; `null` takes one away.
    pub metadata: Value,
    /// What the MCP server says that tokens are for, in place of itself.
    pub resource: Option<&'static str>,
    /// Whether a refresh token is replaced with every use.
    pub rotates: bool,
    /// Whether the token endpoint is out of order.
    pub refuses_tokens: bool,
    /// Whether the MCP server takes no token at all.
    pub accepts_nothing: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            token_life: Duration::from_secs(3600),
            scope: Some("tools"),
            admin_scope: None,
            registers: true,
            known: None,
            metadata: json!({}),
            resource: None,
            rotates: true,
            refuses_tokens: false,
            accepts_nothing: false,
        }
    }
}

/// A client that may ask for tokens.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) secret: Option<String>,
    pub(super) redirect_uris: Vec<String>,
}

/// A code that was given out.
#[derive(Debug, Clone)]
pub(super) struct Code {
    pub(super) client: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) scopes: Vec<String>,
    pub(super) is_used: bool,
}

/// A token that was given out.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) client: String,
    pub(super) scopes: Vec<String>,
    pub(super) ends: Option<Instant>,
    pub(super) is_used: bool,
}

/// Everything.
#[derive(Debug)]
pub struct State {
    /// How it behaves.
    pub rules: Rules,
    /// What no good client asks, as it was asked.
    pub faults: Vec<String>,
    /// How often tokens were asked for, by grant.
    pub asked: BTreeMap<String, usize>,
    /// The tokens that the MCP server saw with calls of tools, in order.
    pub calls: Vec<String>,
    /// How many registered.
    pub registered: usize,
    /// How many tokens were taken back by their client.
    pub revoked: usize,
    pub(super) base: String,
    pub(super) clients: BTreeMap<String, Client>,
    pub(super) codes: BTreeMap<String, Code>,
    pub(super) access: BTreeMap<String, Token>,
    pub(super) refresh: BTreeMap<String, Token>,
}

impl State {
    pub(super) fn new(rules: Rules) -> Self {
        let known = rules.known.map(|(id, secret)| {
            (id.to_owned(), Client { secret: secret.map(str::to_owned), redirect_uris: Vec::new() })
        });
        Self {
            clients: known.into_iter().collect(),
            rules,
            faults: Vec::new(),
            asked: BTreeMap::new(),
            calls: Vec::new(),
            registered: 0,
            revoked: 0,
            base: String::new(),
            codes: BTreeMap::new(),
            access: BTreeMap::new(),
            refresh: BTreeMap::new(),
        }
    }

    /// How often tokens were asked for like this.
    pub fn asked(&self, grant: &str) -> usize {
        self.asked.get(grant).copied().unwrap_or_default()
    }

    /// Ends every access token now; refresh tokens go on counting.
    pub fn expire(&mut self) {
        self.access.clear();
    }

    /// Ends everything: nobody is let in without logging in again.
    pub fn revoke_all(&mut self) {
        self.access.clear();
        self.refresh.clear();
    }

    /// Every token that was given out and still is one.
    pub fn tokens(&self) -> Vec<String> {
        self.access.keys().chain(self.refresh.keys()).cloned().collect()
    }

    pub(super) fn issuer(&self) -> String {
        format!("{}/as", self.base)
    }

    pub(super) fn resource(&self) -> String {
        format!("{}/mcp", self.base)
    }

    pub(super) fn fault(&mut self, what: impl Into<String>) -> &'static str {
        self.faults.push(what.into());
        "invalid_request"
    }

    /// A pair of tokens, as the token endpoint answers it.
    pub(super) fn give(&mut self, client: &str, scopes: Vec<String>, with_refresh: bool) -> Value {
        let (access, refresh) = (format!("access-{}", Uuid::new_v4()), format!("refresh-{}", Uuid::new_v4()));
        let token = |ends| Token { client: client.into(), scopes: scopes.clone(), ends, is_used: false };
        self.access.insert(access.clone(), token(Some(Instant::now() + self.rules.token_life)));
        let mut answer = json!({
            "access_token": access, "token_type": "Bearer", "expires_in": self.rules.token_life.as_secs(),
            "scope": scopes.join(" "),
        });
        if with_refresh {
            self.refresh.insert(refresh.clone(), token(None));
            answer["refresh_token"] = refresh.into();
        }
        answer
    }
}
