//! One person: how they stand, what they may do and by which rule, and how much of it is left.

use askama::Template;
use chrono::{DateTime, Utc};
use omni_core::omni::{Explanation, LimitStanding, Profile, Rights, UserStatus};
use serde::Serialize;

use super::{
    limits::Limit,
    rights::{self, ByRule, ServerRights},
    written::Written,
};
use crate::{
    ui::{answer::Frame, fields::Fields, show},
    wire::AdminUser,
};

/// What the core said.
#[derive(Debug)]
pub(in crate::ui) struct Seen {
    pub(in crate::ui) profile: Profile,
    pub(in crate::ui) rights: Rights,
    pub(in crate::ui) standings: Vec<LimitStanding>,
    pub(in crate::ui) why: Option<Why>,
    /// What was to be changed.
    pub(in crate::ui) written: Written,
}

/// What is said of one call.
#[derive(Debug)]
pub(in crate::ui) enum Why {
    /// What was asked cannot be read.
    Unread(String),
    Decided(Explanation),
}

#[derive(Debug, Template, Serialize)]
#[template(path = "user.html")]
pub(in crate::ui) struct View {
    #[serde(skip)]
    frame: Frame,
    user: AdminUser,
    /// Why they may not use omni, where they may not.
    refused: Option<String>,
    /// What they may do, server by server.
    servers: Vec<ServerRights>,
    /// The same rule by rule.
    rules: Vec<ByRule>,
    limits: Vec<Limit>,
    /// What was decided on the call that was asked about.
    decided: Option<Decided>,
    #[serde(skip)]
    email: String,
    #[serde(skip)]
    mark: &'static str,
    #[serde(skip)]
    facts: Vec<(&'static str, String)>,
    #[serde(skip)]
    is_in_file: bool,
    #[serde(skip)]
    is_blocked: bool,
    #[serde(skip)]
    is_pending: bool,
    #[serde(skip)]
    unread: Option<String>,
    #[serde(skip)]
    asked: Asked,
    #[serde(skip)]
    written: Written,
}

/// The call that was asked about, as it was written.
#[derive(Debug, Default)]
struct Asked {
    server: String,
    tool: String,
    arguments: String,
}

#[derive(Debug, Serialize)]
struct Decided {
    effect: &'static str,
    /// Whether a human must agree before the call runs.
    confirm: bool,
    rule: String,
    source: Option<String>,
    #[serde(skip)]
    mark: &'static str,
    #[serde(skip)]
    told: &'static str,
}

pub(in crate::ui) fn of(frame: Frame, seen: Seen, query: &Fields, now: DateTime<Utc>) -> View {
    let Seen { profile, rights, standings, why, written } = seen;
    let (decided, unread) = match why {
        None => (None, None),
        Some(Why::Unread(wrong)) => (None, Some(wrong)),
        Some(Why::Decided(explained)) => (Some(decided(&explained)), None),
    };
    View {
        frame: frame.titled(&*profile.email),
        email: profile.email.clone(),
        mark: super::mark_of(profile.status.as_str()),
        facts: facts(&profile, &rights),
        is_in_file: profile.named_at.is_some(),
        is_blocked: profile.status == UserStatus::Blocked,
        is_pending: profile.status == UserStatus::Pending,
        servers: rights::by_server(&rights),
        rules: rights::by_rule(&rights),
        refused: rights.refused,
        limits: standings.iter().map(|standing| Limit::of(standing, now)).collect(),
        decided,
        unread,
        asked: Asked { server: query.text("server"), tool: query.text("tool"), arguments: query.text("arguments") },
        written,
        user: profile.into(),
    }
}

fn decided(explained: &Explanation) -> Decided {
    let decision = &explained.decision;
    let (effect, told) = match (decision.is_allowed(), decision.confirm) {
        (true, false) => ("allow", "They may."),
        (true, true) => ("allow", "They may, once a human agrees."),
        (false, _) => ("deny", "They may not: to them there is no such tool."),
    };
    Decided {
        effect,
        confirm: decision.confirm,
        rule: decision.rule.text.clone(),
        source: decision.rule.source.as_ref().map(ToString::to_string),
        mark: if decision.confirm { "warn" } else { super::mark_of(effect) },
        told,
    }
}

fn facts(profile: &Profile, rights: &Rights) -> Vec<(&'static str, String)> {
    let list = |list: &[String]| if list.is_empty() { show::NONE.to_owned() } else { list.join(", ") };
    let domains = profile.domains.as_deref().map_or_else(|| "all".into(), list);
    let models = rights.grant.as_ref().map(|grant| grant.models.as_deref().map_or_else(|| "all".into(), list));
    let permissions = rights.grant.as_ref().map(|grant| {
        let names: Vec<String> = grant.role.permissions.iter().map(ToString::to_string).collect();
        list(&names)
    });
    let facts = [
        ("Name", (profile.name != profile.email).then(|| profile.name.clone())),
        ("Role", profile.role.clone()),
        ("Teams", Some(list(&profile.teams))),
        ("Servers", Some(super::users::servers(profile.servers.as_deref()))),
        ("Domains", Some(domains)),
        ("Models", models),
        ("Permissions", permissions),
        ("Slack", profile.slack_user_id.clone()),
        ("Named in", Some(profile.named_at.as_ref().map_or_else(|| "no file".into(), ToString::to_string))),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
