//! A tool call straight at its server, by one hop through nginx, and through omni, in turns.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::{
    child::Role,
    drive::{Load, get},
    home::{Home, Serving, Setup, server},
    round::Sums,
};
use crate::nginx::Nginx;

pub(super) const STRAIGHT: &str = "straight";
pub(super) const NGINX: &str = "one hop through nginx";
pub(super) const SESSION: &str = "gateway, session";
pub(super) const MODERN: &str = "gateway, 2026-07-28";

/// From how many connections at once.
pub(super) const AT_ONCE: [usize; 4] = [1, 16, 64, 256];

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hi"}}}"#;
/// What the revision of 2026-07-28 has with every request.
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;

/// A call straight at a server.
pub(super) fn straight(address: &str) -> Load {
    Load::new(address, "/mcp", &[], CALL)
}

/// A call of a server's `echo` through omni, in sessions.
pub(super) fn in_sessions(address: &str, key: &str, server: &str) -> Load {
    Load::new(address, "/mcp", &[("authorization", &format!("Bearer {key}"))], &call(server)).in_sessions()
}

/// The message of such a call.
pub(super) fn call(server: &str) -> String {
    CALL.replace("\"echo\"", &format!("\"{server}__echo\""))
}

/// The same as the revision of 2026-07-28 has it, which has no sessions.
fn modern(address: &str, key: &str) -> Load {
    let body = call("lab").replace("\"params\":{", &format!("\"params\":{{{META},"));
    modern_load(address, key, &[("mcp-method", "tools/call"), ("mcp-name", "lab__echo")], &body)
}

/// A list of tools by either revision.
pub(super) fn lists(address: &str, key: &str) -> [Load; 2] {
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let old = Load::new(address, "/mcp", &[("authorization", &format!("Bearer {key}"))], list).in_sessions();
    let body = list.replace("\"tools/list\"", &format!("\"tools/list\",\"params\":{{{META}}}"));
    [old, modern_load(address, key, &[("mcp-method", "tools/list")], &body)]
}

fn modern_load(address: &str, key: &str, more: &[(&str, &str)], body: &str) -> Load {
    let bearer = format!("Bearer {key}");
    let own = [("authorization", bearer.as_str()), ("mcp-protocol-version", "2026-07-28")];
    Load::new(address, "/mcp", &[&own, more].concat(), body)
}

/// What the upstream saw of the calls through omni.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Seen {
    /// Results that callers were given.
    pub(super) results: u64,
    /// Calls that came in.
    pub(super) calls: u64,
    /// All messages that came in.
    pub(super) posts: u64,
    /// Sessions that began.
    pub(super) sessions: u64,
}

impl Seen {
    async fn at(upstream: &Role) -> Result<Self> {
        let stats = get(&upstream.address, "/stats").await?;
        let count = |name: &str| stats[name].as_u64().unwrap_or_default();
        Ok(Self { results: 0, calls: count("calls"), posts: count("posts"), sessions: count("sessions") })
    }

    fn add(&mut self, before: Self, after: Self, results: u64) {
        self.results += results;
        self.calls += after.calls - before.calls;
        self.posts += after.posts - before.posts;
        self.sessions += after.sessions - before.sessions;
    }
}

/// What is measured of calls.
#[derive(Debug)]
pub(super) struct Calls {
    // It ends before what it calls.
    serving: Serving,
    upstream: Role,
    nginx: Option<Nginx>,
    loads: [(&'static str, Load); 2],
    _home: Home,
    pub(super) seen: Seen,
}

impl Calls {
    pub(super) async fn start(program: &Path) -> Result<Self> {
        let upstream = Role::start(&["upstream"])?;
        let setup = Setup { servers: vec![server("lab", &upstream.address, "/mcp")], ..Setup::default() };
        let home = Home::new(program, &setup)?;
        let (key, serving) = (home.key()?, home.serve()?);
        serving.knows(1).await?;
        let loads = [(SESSION, in_sessions(&serving.address, &key, "lab")), (MODERN, modern(&serving.address, &key))];
        let nginx = Nginx::start(&upstream.address);
        Ok(Self { upstream, nginx, serving, loads, _home: home, seen: Seen::default() })
    }

    /// One round.
    pub(super) async fn round(&mut self, sums: &mut Sums, seconds: f64) -> Result<()> {
        let straight = straight(&self.upstream.address);
        for at_once in AT_ONCE {
            sums.measure((STRAIGHT, at_once), &straight, seconds, None).await?;
            if let Some(nginx) = &self.nginx {
                sums.measure((NGINX, at_once), &straight.at(&nginx.address), seconds, None).await?;
            }
            for (what, load) in &self.loads {
                let before = Seen::at(&self.upstream).await?;
                let driven = sums.measure((what, at_once), load, seconds, Some(&self.serving)).await?;
                self.seen.add(before, Seen::at(&self.upstream).await?, driven.results);
            }
        }
        Ok(())
    }
}
