//! A server that is used with the token of whoever calls.
#![expect(deprecated, reason = "older clients subscribe to resources")]

use omni_core::ExposeSecret as _;
use omni_core::{
    Ask, Omni, OmniBuilder, Source,
    config::{OidcConfig, PassThrough, ServerAuth},
    identity::{ApiKey, Authenticator, Credential, Keys, Oidc, Scope, keys::memory::MemoryKeys},
    ledger::{Event, Outcome},
    llm::{
        Block,
        scripted::{Scripted, call_turn, text_turn},
    },
    mcp::{ServerOptions, Sharing, http::HttpServer},
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
    thread::{Place, ThreadKey},
};
use omni_tests::{
    agent::{Agent, Speaks},
    door::Door,
    issuer::{Issuer, Signer},
    recorder::Recorder,
    rig::until,
    tied::TiedServer,
};
use rmcp::model::{SubscribeRequestParams, UnsubscribeRequestParams};
use serde_json::json;

const AUDIENCE: &str = "https://notes.company.com";
const NOTE: &str = "note://mine";
const OTHER: &str = "note://other";

/// A door to the server, and people who come with tokens.
struct House {
    server: TiedServer,
    issuer: Issuer,
    signer: Signer,
    keys: Keys,
    recorder: Recorder,
    door: Door,
}

/// A model that asks the server who the asker is.
fn curious() -> Scripted {
    Scripted::from_fn(|request| {
        let blocks = request.messages.iter().flat_map(|message| &message.blocks);
        let mut told = blocks.filter_map(|block| match block {
            Block::ToolResult { .. } => Some(format!("{block:?}")),
            _ => None,
        });
        Ok(match told.next_back() {
            Some(told) => text_turn(&told),
            None => call_turn(0, &[("notes__whoami", json!({}))]),
        })
    })
}

impl House {
    async fn open(pass: PassThrough) -> Self {
        Self::with(pass, |builder| builder).await
    }

    async fn with(pass: PassThrough, change: impl FnOnce(OmniBuilder) -> OmniBuilder) -> Self {
        Self::over(TiedServer::start().await, pass, change).await
    }

    async fn over(server: TiedServer, pass: PassThrough, change: impl FnOnce(OmniBuilder) -> OmniBuilder) -> Self {
        let signer = Signer::p256("k1");
        // Before omni looks at what there is.
        server.knows("service-token", "omni");
        let issuer = Issuer::start(&[&signer]);
        let (keys, recorder) = (Keys::new(MemoryKeys::new()), Recorder::default());
        let oidc = Oidc::new(OidcConfig::new(issuer.url(), "omni")).unwrap();
        let mut options = ServerOptions::default();
        options.sharing = Sharing::PerUser { audience: AUDIENCE.into() };
        let notes = HttpServer::new(&server.url).unwrap().with_auth(ServerAuth::PassThrough(pass));
        let builder = Omni::builder()
            .llm(curious())
            .server_with("notes", notes, options)
            .authenticator(Authenticator::new().with_keys(keys.clone()).with_oidc(oidc))
            .policy(MemoryPolicy::allow_all())
            .audit(recorder.clone());
        let omni = change(builder).build().await.unwrap();
        let door = Door::over(omni, |_| {}).await;
        Self { server, issuer, signer, keys, recorder, door }
    }

    /// Who asked for the tools, however often.
    fn listed_by(&self) -> Vec<String> {
        let mut all = self.server.who_asked("tools/list");
        all.dedup();
        all
    }

    fn url(&self) -> String {
        format!("http://{}/mcp", self.door.address())
    }

    /// A token of somebody, for omni and for whom else it says.
    fn token(&self, name: &str, others: &[&str]) -> String {
        let audience: Vec<_> = ["omni"].iter().chain(others).collect();
        let claims = json!({ "email": format!("{name}@company.com"), "sub": name, "aud": audience });
        let token = self.signer.token(&self.issuer.claims(claims));
        self.server.knows(&token, name);
        token
    }

    async fn key(&self, name: &str) -> String {
        let issued = ApiKey::issue(&format!("{name}@company.com"), [Scope::Tools, Scope::Ask].into_iter().collect());
        self.keys.store().insert(&issued.key).await.unwrap();
        issued.secret.expose_secret().to_owned()
    }

    async fn agent(&self, token: &str, speaks: Speaks) -> Agent {
        Agent::connect(&self.url(), token, speaks).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_known_at_the_server_by_their_own_token_and_nobody_by_anothers() {
    let house = House::open(PassThrough::new(AUDIENCE)).await;
    let (ann, bob) = (house.token("ann", &[AUDIENCE]), house.token("bob", &[AUDIENCE]));
    for speaks in [Speaks::Old, Speaks::New] {
        let (ann, bob) = (house.agent(&ann, speaks).await, house.agent(&bob, speaks).await);
        assert_eq!(ann.tool_names().await, ["notes__whoami"], "listed on the connection of whoever came first");
        for _ in 0..3 {
            let (own, other) = tokio::join!(ann.text("notes__whoami", json!({})), bob.text("notes__whoami", json!({})));
            assert_eq!((&*own, &*other), ("you are ann", "you are bob"), "{speaks:?}");
        }
    }
    assert_eq!(house.server.sessions(), (2, 0), "one session each, and none was used with another token");
    assert_eq!(house.server.who_asked("resources/list"), [""; 0], "what one person has is listed for nobody else");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_person_is_told_no_other_hears() {
    let house = House::open(PassThrough::new(AUDIENCE)).await;
    let tokens = [house.token("ann", &[AUDIENCE]), house.token("bob", &[AUDIENCE])];
    let ann = house.agent(&tokens[0], Speaks::Old).await;
    let bob = house.agent(&tokens[1], Speaks::Old).await;
    ann.tool_names().await;
    for (agent, uri) in [(&ann, NOTE), (&bob, NOTE), (&bob, OTHER)] {
        agent.peer().subscribe(SubscribeRequestParams::new(uri)).await.unwrap();
    }
    let has_heard = |agent: &Agent, uri: &str| agent.heard.updated.lock().unwrap().iter().any(|heard| heard == uri);
    tell(|| house.server.touch("ann", NOTE), || has_heard(&ann, NOTE)).await;
    // What bob is told comes in order: the note of that name that is ann's would have come before.
    tell(|| house.server.touch("bob", OTHER), || has_heard(&bob, OTHER)).await;
    assert!(!has_heard(&bob, NOTE) && !has_heard(&ann, OTHER));
    bob.peer().unsubscribe(UnsubscribeRequestParams::new(NOTE)).await.unwrap();
    until(|| house.server.who_asked("resources/unsubscribe") == ["bob"]).await;
    assert_eq!(house.server.sessions().1, 0);
}

/// Does something again and again until something is so.
async fn tell(act: impl Fn(), is_so: impl Fn() -> bool) {
    for _ in 0..300 {
        act();
        if is_so() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("it did not happen within 30 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_token_for_the_server_is_refused_before_anything_is_sent() {
    let house = House::open(PassThrough::new(AUDIENCE)).await;
    let ann = house.agent(&house.token("ann", &[AUDIENCE]), Speaks::New).await;
    assert_eq!(ann.text("notes__whoami", json!({})).await, "you are ann");
    let asked = house.server.asked();
    let others = house.token("eve", &["https://other.company.com"]);
    for (credential, why) in [(house.key("ann").await, "came with none"), (others, "its audience is another one")] {
        let agent = house.agent(&credential, Speaks::New).await;
        let refused = agent.text("notes__whoami", json!({})).await;
        assert!(refused.contains(why), "{refused}");
        let body = json!({ "message": "Who am I?" });
        let answer = house.door.post_by(&credential, "/chat/ask", &body).await.is(200).json();
        assert!(answer["answer"].as_str().unwrap().contains(why), "{answer}");
    }
    assert_eq!(house.server.asked(), asked, "nothing was sent");
    house.door.end().await;
    let denied = house.recorder.records().into_iter().filter(|record| {
        let (Event::DirectCall(call) | Event::ToolCall(call)) = &record.event else { return false };
        call.outcome == Outcome::Denied && call.server == "notes" && call.unsent
    });
    assert_eq!(denied.count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ask_over_http_uses_the_askers_token_and_nobody_keeps_it() {
    let house = House::open(PassThrough::new(AUDIENCE)).await;
    let token = house.token("ann", &[AUDIENCE]);
    let body = json!({ "message": "Who am I?" });
    let answer = house.door.post_by(&token, "/chat/ask", &body).await.is(200).json();
    assert!(answer["answer"].as_str().unwrap().contains("you are ann"), "{answer}");
    assert_eq!(house.server.who_asked("tools/call"), ["ann"]);
    let shown = format!("{:?}", house.door.omni);
    house.door.end().await;
    let records = format!("{:?}", house.recorder.records());
    assert!(records.contains("whoami") && !records.contains(&token) && !shown.contains(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_thread_of_many_the_model_knows_of_each_what_their_own_token_told_and_of_no_other() {
    let house = House::open(PassThrough::new(AUDIENCE)).await;
    let tokens = ["ann", "bob"].map(|name| house.token(name, &[AUDIENCE]));
    let ask = async |token: &str| {
        let key = ThreadKey::new("default", "slack", "C1", "1.2");
        let ask = Ask::new(Credential::bearer(token), "Who am I?").with_source(Source::Slack);
        house.door.omni.ask(ask.with_thread(key, Place::Channel("C1".into()))).await.unwrap()
    };
    assert!(ask(&tokens[1]).await.text.contains("you are bob"));
    let answer = ask(&tokens[0]).await;
    assert!(answer.text.contains("you are ann"), "{answer:?}");
    assert_eq!(house.server.who_asked("tools/call"), ["bob", "ann"], "their rules are the same, their notes are not");
    assert!(ask(&tokens[0]).await.text.contains("you are ann"));
    assert_eq!(house.server.who_asked("tools/call").len(), 2, "one's own results are there");
    house.door.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_listed_by_omnis_own_token_or_by_none_where_the_server_takes_that() {
    let pass = PassThrough::new(AUDIENCE).with_discovery_token("service-token".to_owned().into());
    let house = House::open(pass).await;
    let agent = house.agent(&house.token("ann", &[AUDIENCE]), Speaks::New).await;
    assert_eq!(agent.tool_names().await, ["notes__whoami"]);
    assert_eq!(house.listed_by(), ["omni"]);
    assert_eq!(agent.text("notes__whoami", json!({})).await, "you are ann", "and is used for nothing else");

    let server = TiedServer::start().await;
    server.lists_to_all();
    let house = House::over(server, PassThrough::new(AUDIENCE), |builder| builder).await;
    let nobody = house.agent(&house.key("bob").await, Speaks::New).await;
    assert_eq!(nobody.tool_names().await, ["notes__whoami"]);
    assert_eq!(house.listed_by(), ["nobody"]);
    assert!(nobody.text("notes__whoami", json!({})).await.contains("came with none"));
    assert!(house.server.who_asked("tools/call").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_persons_token_that_counts_no_more_takes_the_server_from_nobody() {
    let house = House::open(PassThrough::new(AUDIENCE)).await;
    let (bad, good) = (house.token("ann", &[AUDIENCE]), house.token("bob", &[AUDIENCE]));
    let (ann, bob) = (house.agent(&bad, Speaks::New).await, house.agent(&good, Speaks::New).await);
    assert_eq!(ann.text("notes__whoami", json!({})).await, "you are ann");
    house.server.forgets(&bad);
    for _ in 0..12 {
        let refused = ann.call("notes__whoami", json!({})).await.unwrap();
        assert_eq!(refused.is_error, Some(true));
    }
    assert_eq!(bob.text("notes__whoami", json!({})).await, "you are bob");
    assert!(house.door.omni.known_catalog().servers[0].health.is_healthy());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_omnis_own_token_counts_no_more_nobody_elses_is_used_in_its_place() {
    let pass = PassThrough::new(AUDIENCE).with_discovery_token("unknown there".to_owned().into());
    let house = House::open(pass).await;
    let ann = house.agent(&house.token("ann", &[AUDIENCE]), Speaks::New).await;
    assert!(ann.tool_names().await.is_empty());
    assert_eq!(house.server.who_asked("tools/list"), [""; 0]);
    assert!(!house.door.omni.known_catalog().servers[0].health.is_healthy());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_waits_for_the_token_of_whoever_asked() {
    let rules = RuleSet::builder().allow("notes", "*").confirm("notes", "whoami").build().unwrap();
    let policy = MemoryPolicy::new().with_subject("ann@company.com", Role::new("reader"), rules, Quota::default());
    let house = House::with(PassThrough::new(AUDIENCE), |builder| builder.policy(policy)).await;
    let (token, key) = (house.token("ann", &[AUDIENCE]), house.key("ann").await);
    let waiting = house.door.post_by(&token, "/chat/ask", &json!({ "message": "Who am I?" })).await.is(202).json();
    let path = waiting["confirmations"][0]["url"].as_str().unwrap().to_owned();
    let told = house.door.post_by(&key, &path, &json!({ "approve": true })).await.is(503);
    assert!(told.text.contains("the token of ann@company.com") && told.text.contains("is kept"), "{told:?}");
    let shown = house.door.get_by(&key, &path).await.is(200).json();
    assert_eq!((&shown["state"], house.server.who_asked("tools/call").len()), (&json!("approved"), 0));
    let answer = house.door.post_by(&token, &path, &json!({ "approve": true })).await.is(200).json();
    assert!(answer["answer"].as_str().unwrap().contains("you are ann"), "{answer}");
    assert_eq!(house.server.who_asked("tools/call"), ["ann"]);
}
