//! The admin pages at `/ui`: over HTTP, and in a real browser.

mod access;
mod changes;
mod demo;
mod documents;
mod hands;
mod lists;
mod live;
mod looks;
mod narrow;
mod oidc;
mod roles;
mod sessions;
mod sources;
mod traces;
mod uptime;
mod visits;

use std::{collections::BTreeMap, time::Duration};

use chrono::Utc;
use omni_core::{
    analytics::history::History,
    identity::Scope,
    llm::scripted::{Scripted, call_turn, text_turn},
};
use omni_tests::{
    browser::Browser,
    door::Reply,
    office::{Office, Plan},
    server::{FakeServer, any, text},
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const ADA: &str = "ada@company.com";
const BOSS: &str = "boss@company.com";

/// Every page, with an address of it that shows something.
const PAGES: [&str; 12] = [
    "overview?period=7d",
    "servers",
    "server?name=lab",
    "tool?server=lab&tool=echo",
    "users",
    "user?email=ada%40company.com&server=lab&tool=drop_table",
    "audit",
    "ask?id=",
    "approvals",
    "limits",
    "keys",
    "settings",
];

/// What a list's entries say beyond their place, over what is beside it.
const BEYOND: &str = "return [...document.querySelectorAll('.list td > *')].filter((one) => {\
    return one.getBoundingClientRect().right > one.parentElement.getBoundingClientRect().right + 1;\
}).map((one) => one.textContent)";

/// What nobody wants to have run.
const HOSTILE: &str = "<script>window.pwned=1</script><img src=x onerror=\"window.pwned=2\">'\"&amp;";

const MCPS: &str = "\
mcps:
  - name: lab
    transport: fake
    url: http://10.0.0.7:8300/mcp
    display_name: Laboratory
    description: Where things are tried
    confirm: [drop_table]
    rate_limit: { requests_per_minute: 50 }
  - { name: hidden, transport: fake, url: 'http://10.0.0.8:8300/mcp' }
  - { name: away, transport: fake, url: 'http://10.0.0.9:8300/mcp' }
  - { name: off, transport: fake, url: 'http://10.0.0.10:8300/mcp', enabled: false }
";

const SETTINGS: &str = "\
llm: { provider: scripted }
rate_limiting: { enabled: true, default_requests_per_hour: 60 }
approvals: { approvers: [super_admin, admin] }
";

/// A server with tools of every kind, of which one says what it was told.
fn lab() -> FakeServer {
    let drop = json!({
        "type": "object",
        "required": ["table"],
        "properties": {
            "table": { "type": "string", "description": "Which table goes." },
            "mode": { "enum": ["soft", "hard"], "description": "How." },
            "dry_run": { "type": "boolean" },
            "limit": { "type": "integer", "default": 10 },
            "options": { "type": "object" },
        },
    });
    FakeServer::echo()
        .tool("drop_table", drop, |arguments| {
            Box::pin(async move { Ok(text(&format!("dropped {}", arguments["table"].as_str().unwrap_or("nothing")))) })
        })
        .annotated("drop_table", json!({ "destructiveHint": true }))
        .tool("explode", any(), |_| {
            Box::pin(async { Ok(json!({ "content": [{ "type": "text", "text": HOSTILE }], "isError": true })) })
        })
        .tool("list_tables", any(), |_| Box::pin(async { Ok(text(HOSTILE)) }))
        .annotated("list_tables", json!({ "readOnlyHint": true, "title": HOSTILE }))
}

/// A model that wants to drop a table when it is asked to.
fn model() -> Scripted {
    Scripted::from_fn(|request| {
        let asked = format!("{:?}", request.messages);
        Ok(match request.messages.len() {
            1 if asked.contains("Drop") => call_turn(0, &[("lab__drop_table", json!({ "table": HOSTILE }))]),
            _ => text_turn("It is done."),
        })
    })
}

/// A browser; `None` where there is none. Under CI there is one.
async fn browser() -> Option<Browser> {
    let browser = Browser::start().await;
    if browser.is_none() {
        assert!(std::env::var_os("CI").is_none(), "there is no chromium with its driver; `tests/run.sh` brings them");
        eprintln!("skipped: there is no chromium with its driver; `tests/run.sh` brings them");
    }
    browser
}

/// A service, and who is logged in at its pages.
struct Site {
    office: Office,
    key: String,
    cookie: String,
}

/// A page as it came, with what its forms bring along.
struct Shown {
    reply: Reply,
}

impl Shown {
    fn csrf(&self) -> String {
        let (_, rest) = self.reply.text.split_once("name=\"csrf\" value=\"").expect("the page has a form");
        rest.split('"').next().unwrap().to_owned()
    }
}

/// The `name=value` that a response sets.
fn cookie(reply: &Reply, name: &str) -> String {
    let set = reply.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let mut found =
        set.filter(|cookie| cookie.starts_with(&format!("{name}="))).map(|cookie| cookie.split(';').next().unwrap());
    found.next_back().unwrap_or_else(|| panic!("no {name} in {:?}", reply.headers)).to_owned()
}

fn encoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    request.header("content-type", "application/x-www-form-urlencoded").body(encoded(fields))
}

/// Logs in as a browser does.
async fn login(office: &Office, key: &str) -> Reply {
    let asked = Reply::of(office.stranger(Method::GET, "/ui/login?next=audit")).await.is(200);
    let held = cookie(&asked, "omni-login");
    let csrf = Shown { reply: asked }.csrf();
    let fields = [("csrf", &*csrf), ("key", key), ("next", "audit")];
    Reply::of(form(office.stranger(Method::POST, "/ui/login").header("cookie", held), &fields)).await
}

impl Site {
    /// A service of today, without a past.
    async fn open() -> Self {
        Self::of(None).await
    }

    /// A service with a made-up month behind it.
    async fn with_past() -> Self {
        Self::of(Some(History::until(Utc::now()).with_size(30, 40))).await
    }

    async fn of(past: Option<History>) -> Self {
        let plan = Plan { settings: SETTINGS.into(), mcps: MCPS.into(), model: Some(model()), lab: lab(), past };
        let office = Office::of(plan).await;
        let key = office.key(BOSS).await;
        let entered = login(&office, &key).await.is(303);
        // Entering is in the log, before anybody reads it.
        office.settle().await;
        Self { key, cookie: cookie(&entered, "omni-ui"), office }
    }

    async fn get(&self, path: &str) -> Shown {
        let request = self.office.stranger(Method::GET, &format!("/ui/{path}")).header("cookie", &self.cookie);
        Shown { reply: Reply::of(request).await }
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let request = self.office.stranger(Method::POST, &format!("/ui/{path}")).header("cookie", &self.cookie);
        Reply::of(form(request, fields)).await
    }

    /// The document of a page.
    async fn document(&self, path: &str) -> Value {
        let request = self.office.stranger(Method::GET, &format!("/ui/{path}"));
        let request = request.header("cookie", &self.cookie).header("accept", "application/json");
        Reply::of(request).await.is(200).json()
    }

    /// Asks something that ends in a call which waits for a human; returns the call's id.
    async fn park(&self, question: &str) -> String {
        let asked = self.office.post(&self.key, "/chat/ask", &json!({ "message": question })).await.is(202).json();
        asked["confirmations"][0]["id"].as_str().unwrap().to_owned()
    }

    /// The id of the newest entry of the log.
    async fn newest(&self) -> String {
        self.office.settle().await;
        let logs = self.document("audit").await;
        logs["logs"][0]["request_id"].as_str().unwrap().to_owned()
    }
}
