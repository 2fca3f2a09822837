//! Who somebody in Slack is: their e-mail address there, or what `users.yaml` says of their id.

use std::time::Duration;

use omni_core::{
    Omni, Principal,
    config::SlackConfig,
    identity::{Credential, Via, claimed_subject},
};
use serde_json::{Value, json};

use crate::{api::Api, event::User, known::Known, port::SlackError};

/// How long it is known what Slack says of somebody.
const KNOWN_FOR: Duration = Duration::from_secs(300);
/// Of how many people at a time.
const MOST: u64 = 20_000;

/// What Slack says of people whom it does not show to the app.
const NOBODY: [&str; 2] = ["user_not_found", "user_not_visible"];

/// The bot itself, as Slack knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Me {
    /// The user that it is.
    pub user: String,
    /// Its workspace.
    pub team: String,
    /// The organisation of that, if there is one.
    pub enterprise: Option<String>,
    /// Where people find the workspace, with a slash at its end; empty where Slack does not say.
    pub url: String,
}

impl Me {
    /// What `auth.test` says. Without its own ids the bot would take every mention for its own.
    pub(crate) fn of(answer: &Value) -> Result<Self, SlackError> {
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let enterprise = Some(text("enterprise_id")).filter(|id| !id.is_empty());
        let me = Self { user: text("user_id"), team: text("team_id"), enterprise, url: text("url") };
        if me.user.is_empty() || me.team.is_empty() {
            return Err(SlackError::away("auth.test", "it does not say who the bot is"));
        }
        Ok(me)
    }
}

/// Somebody who is known.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) user: User,
    /// A workspace that they are of, which need not be the one in which the app heard of them.
    pub(crate) team: String,
    /// What they are called in Slack.
    pub(crate) name: String,
    pub(crate) principal: Principal,
}

impl Person {
    pub(crate) fn credential(&self) -> Credential {
        self.principal.clone().into()
    }
}

/// Why somebody is nobody here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Their account is switched off.
    Deactivated,
    /// They are a program.
    Bot,
    /// They are of another workspace, which says itself who they are.
    Stranger,
    /// They are a guest of the workspace, where guests may not ask.
    Guest,
    /// Slack cannot be asked.
    Away,
}

impl Unknown {
    /// What they are told; nothing, where nobody listens.
    pub(crate) fn text(&self) -> Option<&'static str> {
        match self {
            Self::Deactivated => Some("🚫 Your Slack account is deactivated."),
            Self::Bot => None,
            Self::Stranger => Some(
                "🚫 You are in this channel from another workspace. Ask an administrator to add your workspace to \
                 `security.workspace_restriction.allowed_workspaces`, or your Slack id to `users.yaml`.",
            ),
            Self::Guest => Some(
                "🚫 Guests of this workspace may not ask here. Ask an administrator to add your Slack id to \
                 `users.yaml`.",
            ),
            Self::Away => Some("⚠️ Slack does not say who you are at the moment. Please try again in a minute."),
        }
    }
}

/// What Slack says of somebody.
#[derive(Debug, Clone, Default)]
struct Told {
    email: Option<String>,
    name: String,
    /// Their workspaces, the one that they are counted in first: an organisation may have them in several.
    teams: Vec<String>,
    enterprise: Option<String>,
    zone: Option<String>,
    is_deleted: bool,
    is_bot: bool,
    is_stranger: bool,
    is_guest: bool,
}

impl Told {
    fn of(user: &Value) -> Self {
        let (profile, flag) = (&user["profile"], |name: &str| user[name].as_bool().unwrap_or(false));
        let some = |value: &Value| value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned);
        let name = some(&profile["display_name"]).or_else(|| some(&profile["real_name"]));
        // Anybody can give an address that they did not show to be theirs.
        let is_confirmed = user["is_email_confirmed"].as_bool().unwrap_or(true);
        let own = &user["enterprise_user"];
        let teams = own["teams"].as_array().into_iter().flatten();
        Self {
            email: some(&profile["email"]).filter(|_| is_confirmed),
            name: name.or_else(|| some(&user["real_name"])).or_else(|| some(&user["name"])).unwrap_or_default(),
            teams: [&user["team_id"]].into_iter().chain(teams).filter_map(some).collect(),
            enterprise: some(&own["enterprise_id"]),
            zone: some(&user["tz"]),
            is_deleted: flag("deleted"),
            is_bot: flag("is_bot") || flag("is_workflow_bot"),
            is_stranger: flag("is_stranger"),
            is_guest: flag("is_restricted") || flag("is_ultra_restricted"),
        }
    }

    /// The workspace that they are of. Of several it is the bot's own; `heard_in` is where Slack names none.
    fn team<'a>(&'a self, me: &'a Me, heard_in: &'a str) -> &'a str {
        let is_here = self.teams.contains(&me.team);
        if is_here { &me.team } else { self.teams.first().map_or(heard_in, String::as_str) }
    }

    /// Their address as the policy knows people, where it can be one of theirs.
    fn subject(&self) -> Option<String> {
        claimed_subject(self.email.as_deref()?)
    }
}

/// The people whom the bot has met.
#[derive(Debug, Clone)]
pub(crate) struct People {
    told: Known<Told>,
}

impl Default for People {
    fn default() -> Self {
        Self { told: Known::new(MOST, KNOWN_FOR) }
    }
}

impl People {
    /// Who somebody is. What they may do, the policy says; for whom it knows nothing of they are a guest, or nobody.
    pub(crate) async fn resolve(
        &self,
        omni: &Omni,
        api: &Api,
        me: &Me,
        config: &SlackConfig,
        user: &User,
    ) -> Result<Person, Unknown> {
        let told = self.told(api, &user.id).await.map_err(|error| {
            tracing::warn!(%error, "Slack does not say who somebody is");
            if error.code().is_some_and(|code| NOBODY.contains(&code)) { Unknown::Stranger } else { Unknown::Away }
        })?;
        if told.is_deleted {
            return Err(Unknown::Deactivated);
        }
        if told.is_bot {
            return Err(Unknown::Bot);
        }
        let listed = omni.slack_user(&user.id);
        if listed.is_none() {
            may_ask(&told, me, config, &user.team)?;
        }
        let subject = listed.or_else(|| told.subject()).unwrap_or_else(|| format!("slack:{}", user.id));
        let mut principal = Principal::new(&subject, Via::Slack).with_tenant(config.tenant_of(&me.team));
        principal.groups = vec![told.teams.first().unwrap_or(&user.team).clone()];
        let team = told.team(me, &user.team).to_owned();
        let name = if told.name.is_empty() { principal.subject.clone() } else { told.name };
        Ok(Person { user: user.clone(), team, name, principal })
    }

    /// What somebody is called, for people who read.
    pub(crate) async fn name(&self, api: &Api, id: &str) -> String {
        match self.told(api, id).await {
            Ok(told) if !told.name.is_empty() => told.name,
            _ => id.to_owned(),
        }
    }

    /// The same of whom Slack told lately; it is not asked.
    pub(crate) fn known_name(&self, id: &str) -> Option<String> {
        self.told.now(id).map(|told| told.name).filter(|name| !name.is_empty())
    }

    /// The time zone that somebody has set.
    pub(crate) async fn zone(&self, api: &Api, id: &str) -> Option<String> {
        self.told(api, id).await.ok()?.zone
    }

    /// Somebody is looked at anew when they are met next.
    pub(crate) fn forget(&self, id: &str) {
        self.told.forget(id);
    }

    async fn told(&self, api: &Api, id: &str) -> Result<Told, SlackError> {
        let asked = async {
            let answer = api.call("users.info", &json!({ "user": id })).await?;
            Ok(Told::of(&answer["user"]))
        };
        self.told.of(id, asked).await
    }
}

/// Whether somebody may ask whom no file names by their id.
fn may_ask(told: &Told, me: &Me, config: &SlackConfig, heard_in: &str) -> Result<(), Unknown> {
    // An address counts only where a workspace vouches for it that somebody here vouches for.
    let is_vouched_for = match &config.workspaces {
        Some(allowed) if told.teams.is_empty() => allowed.contains(heard_in),
        Some(allowed) => told.teams.iter().any(|team| allowed.contains(team)),
        None => !is_outside(told, me),
    };
    match is_vouched_for {
        false => Err(Unknown::Stranger),
        true if told.is_guest && !config.guests => Err(Unknown::Guest),
        true => Ok(()),
    }
}

/// Whether somebody is of another organisation, which gives its people what addresses it likes.
fn is_outside(told: &Told, me: &Me) -> bool {
    let is_here = told.teams.is_empty() || told.teams.contains(&me.team);
    let is_of_ours = me.enterprise.is_some() && told.enterprise == me.enterprise;
    told.is_stranger || !(is_here || is_of_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Me {
        Me { user: "UBOT".into(), team: "T1".into(), enterprise: Some("E1".into()), ..Me::default() }
    }

    #[test]
    fn who_comes_from_another_organisation_is_outside() {
        let told = |user: Value| is_outside(&Told::of(&user), &me());
        assert!(!told(json!({ "team_id": "T1" })));
        assert!(!told(json!({ "team_id": "T2", "enterprise_user": { "enterprise_id": "E1" } })));
        assert!(told(json!({ "team_id": "T2" })));
        assert!(told(json!({ "team_id": "T2", "enterprise_user": { "enterprise_id": "E2" } })));
        assert!(told(json!({ "team_id": "T1", "is_stranger": true })));
    }

    #[test]
    fn of_several_workspaces_of_somebody_the_bots_own_counts_and_else_the_first() {
        let of = |user: Value| Told::of(&user).team(&me(), "T9").to_owned();
        assert_eq!(of(json!({ "team_id": "T2", "enterprise_user": { "teams": ["T2", "T1"] } })), "T1");
        assert_eq!(of(json!({ "team_id": "T2", "enterprise_user": { "teams": ["T3", "T2"] } })), "T2");
        assert_eq!(of(json!({ "team_id": "T2" })), "T2");
        assert_eq!(of(json!({})), "T9");
    }

    #[test]
    fn an_address_counts_unless_slack_says_that_nobody_confirmed_it() {
        let told = |more: Value| {
            let mut user = json!({ "profile": { "email": "ann@company.com" } });
            user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Told::of(&user).email
        };
        assert_eq!(told(json!({ "is_email_confirmed": false })), None);
        for more in [json!({}), json!({ "is_email_confirmed": true }), json!({ "is_email_confirmed": null })] {
            assert_eq!(told(more.clone()).as_deref(), Some("ann@company.com"), "{more}");
        }
    }

    #[test]
    fn an_address_that_could_be_somebody_elses_is_nobodys() {
        let subject = |email: &str| Told { email: Some(email.into()), ..Told::default() }.subject();
        assert_eq!(subject(" Ann@Company.com").as_deref(), Some("ann@company.com"));
        for email in ["local:root", "ann\u{a0}@company.com", "a\0@company.com", "boss@\u{212a}ompany.com"] {
            assert_eq!(subject(email), None, "{email:?}");
        }
    }

    #[test]
    fn who_the_bot_is_is_known_by_both_of_its_ids_or_not_at_all() {
        let told = Me::of(&json!({ "user_id": "UBOT", "team_id": "T1" })).unwrap();
        assert_eq!((told.user.as_str(), told.team.as_str(), told.enterprise), ("UBOT", "T1", None));
        for answer in [json!({}), json!({ "user_id": "UBOT" }), json!({ "user_id": "", "team_id": "T1" })] {
            assert!(!Me::of(&answer).unwrap_err().is_fatal(), "{answer}");
        }
    }
}
