//! Calls that need a human, by doors that come back later.

mod asks;
mod broken;
mod changes;
mod held;
mod http;
mod killed;
mod left;
mod lesser;
mod real;
mod slow;
mod waits;

use std::sync::{Arc, Mutex};

use omni_core::{
    Answer, Ask, Omni, OmniBuilder, PolicyStore, Principal, Source,
    answer::{Failure, Status},
    confirm::{ApprovalRules, Approver, ConfirmRequest, Verdict},
    identity::Scopes,
    ledger::Event,
    llm::scripted::Scripted,
    omni::Decider,
    policy::{Grant, PolicyError, PolicyVersion, Role, RuleSet},
};
use omni_tests::{
    recorder::Recorder,
    rig::Rig,
    server::{FakeServer, any, text},
};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

const ADA: &str = "ada@company.com";
const EVE: &str = "eve@company.com";

/// A policy that can be changed; roles by subject.
#[derive(Debug, Clone)]
struct Changing {
    rules: Arc<Mutex<Arc<RuleSet>>>,
    version: watch::Sender<PolicyVersion>,
    roles: Arc<Mutex<Vec<(&'static str, &'static str)>>>,
    /// Whose rights were looked up, the newest last.
    seen: Arc<Mutex<Vec<Principal>>>,
}

/// Everything is allowed, and what is called `wipe` takes a human.
fn asking() -> Arc<RuleSet> {
    RuleSet::builder().allow("lab", "*").confirm("lab", "wipe").build().unwrap()
}

impl Changing {
    fn new() -> Self {
        Self::of(&[])
    }

    fn of(roles: &[(&'static str, &'static str)]) -> Self {
        let (rules, version) = (Arc::new(Mutex::new(asking())), watch::Sender::new(1));
        Self { rules, version, roles: Arc::new(Mutex::new(roles.to_vec())), seen: Arc::default() }
    }

    /// From now on somebody has another role.
    fn makes(&self, who: &'static str, role: &'static str) {
        self.roles.lock().unwrap().insert(0, (who, role));
        self.version.send_modify(|version| *version += 1);
    }

    fn become_(&self, rules: Arc<RuleSet>) {
        *self.rules.lock().unwrap() = rules;
        self.version.send_modify(|version| *version += 1);
    }
}

#[async_trait::async_trait]
impl PolicyStore for Changing {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        self.seen.lock().unwrap().push(principal.clone());
        let roles = self.roles.lock().unwrap().clone();
        let role = roles.iter().find(|(subject, _)| *subject == principal.subject);
        let role = Role::new(role.map_or("reader", |(_, role)| role));
        let mut grant = Grant::new(principal.clone(), role, self.rules.lock().unwrap().clone());
        grant.version = *self.version.borrow();
        Ok(Arc::new(grant))
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        self.version.subscribe()
    }
}

/// `echo`, and `wipe`, to which somebody has to agree.
fn lab() -> FakeServer {
    FakeServer::echo().tool("wipe", any(), |arguments| {
        Box::pin(async move { Ok(text(&format!("wiped {}", arguments["table"].as_str().unwrap_or("all")))) })
    })
}

/// Those with the role `dba` decide.
fn approvers(four_eyes: bool) -> ApprovalRules {
    let mut rules = ApprovalRules::default();
    (rules.approvers, rules.four_eyes) = (vec!["dba".into()], four_eyes);
    rules
}

/// Somebody at a prompt who agrees to everything.
#[derive(Debug)]
struct Yes;

#[async_trait::async_trait]
impl Approver for Yes {
    async fn decide(&self, _: &ConfirmRequest) -> Verdict {
        Verdict::Approve
    }
}

async fn rig(
    llm: Scripted,
    policy: impl PolicyStore + 'static,
    change: impl FnOnce(OmniBuilder) -> OmniBuilder,
) -> Rig {
    Rig::new(llm, lab(), |builder| change(builder.policy(policy))).await
}

fn same(builder: OmniBuilder) -> OmniBuilder {
    builder
}

fn ask() -> Ask {
    Ask::new(Principal::email(ADA), "Wipe it").with_source(Source::Http).with_parking()
}

/// Asks, and comes back with what waits.
async fn parked(omni: &Omni, ask: Ask) -> Answer {
    let answer = omni.ask(ask).await.unwrap();
    assert_eq!(answer.status, Status::Waiting, "{answer:?}");
    answer
}

fn by(who: &str) -> Decider {
    Decider::new(Principal::email(who), Source::Http)
}

async fn approve(omni: &Omni, id: Uuid, who: &str) -> Result<Answer, Failure> {
    omni.confirm(id, Verdict::Approve, by(who)).await.unwrap().collect().await
}

/// Asks the server again what it has, or whether it is there.
async fn look_again(omni: &Omni) {
    let admin = omni.admin(Principal::local("root").with_scopes(Scopes::all()), Source::Cli).await.unwrap();
    admin.refresh_servers(None).await.unwrap();
}

async fn deny(omni: &Omni, id: Uuid, reason: &str) -> Answer {
    let no = Verdict::Decline { reason: reason.into() };
    omni.confirm(id, no, by(ADA)).await.unwrap().collect().await.unwrap()
}

async fn state(omni: &Omni, id: Uuid) -> &'static str {
    omni.confirmation(Principal::email(ADA), id).await.unwrap().confirmation.state.as_str()
}

fn wipe(table: &str) -> (&'static str, Value) {
    ("lab__wipe", json!({ "table": table }))
}

fn echo(message: &str) -> (&'static str, Value) {
    ("lab__echo", json!({ "message": message }))
}

/// What the ledger has of confirmations: what became of each, and who did it.
fn recorded(recorder: &Recorder) -> Vec<(String, String)> {
    let records = recorder.records().into_iter().filter_map(|record| match record.event {
        Event::Admin(admin) if admin.action.starts_with("confirmation.") => {
            Some((admin.action, record.party.unwrap().subject))
        }
        _ => None,
    });
    records.collect()
}

/// The newest request's last message, as the model read it.
fn told(llm: &Scripted) -> String {
    format!("{:?}", llm.requests().pop().unwrap().messages.last().unwrap())
}
