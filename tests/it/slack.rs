//! The Slack bot over a stand-in for Slack that takes what Slack takes and nothing else.

mod acks;
mod answers;
mod approvals;
mod cards;
mod clicks;
mod commands;
mod delivery;
mod elsewhere;
mod endings;
mod files;
mod flood;
mod following;
mod forwarded;
mod identity;
mod interrupted;
mod judging;
mod kept;
mod pages;
mod people;
mod program;
mod refusals;
mod rig;
mod schedules;
mod sockets;
mod status;
mod stopping;
mod streams;
mod terminal;
mod turns;
mod written;

use std::sync::Arc;

use omni_core::{
    OmniBuilder,
    llm::scripted::{Scripted, text_turn},
};
use omni_tests::{server::FakeServer, slack::Slack};
use rig::{Bot, Roles};

/// Who asks in most tests, and others.
const ANN: &str = "U0ANN";
const BOB: &str = "U0BOB";
const EVE: &str = "U0EVE";
/// The channel in which most tests ask.
const GENERAL: &str = "C0GENERAL";

/// A model that says the same whatever it is asked.
fn says(text: &str) -> Scripted {
    let text = text.to_owned();
    Scripted::from_fn(move |_| Ok(text_turn(&text)))
}

/// A workspace with Ann and Bob, whom the policy knows, and Eve, whom it does not.
async fn workspace() -> Slack {
    peopled(Slack::start().await)
}

/// The same people in a workspace that is there already.
fn peopled(slack: Slack) -> Slack {
    slack.user(ANN, "ann@company.com");
    slack.user(BOB, "bob@company.com");
    slack.user(EVE, "eve@elsewhere.com");
    slack.channel(GENERAL, "general");
    slack
}

fn same(builder: OmniBuilder) -> OmniBuilder {
    builder
}

/// A bot in that workspace.
async fn bot(llm: Scripted) -> Bot {
    Bot::start(workspace().await, llm, lab(), same, |_| {}).await
}

fn lab() -> FakeServer {
    FakeServer::echo()
}

fn known() -> Arc<Roles> {
    Roles::new(&[("ann@company.com", "dba"), ("bob@company.com", "reader")])
}
