//! The app's own page, and what it proposes beside direct messages.

use omni_core::{Error, ErrorKind, omni::ConfirmationView, policy::Grant};
use serde_json::{Value, json};

use super::{
    Bot,
    confirming::{self, Ticket},
    pages::Shown,
};
use crate::{
    api::Body,
    event::User,
    people::{Person, Unknown},
    view::{
        self,
        home::Home,
        prompt::{self, Prompt},
    },
};

/// The calls that somebody may decide on by their page; those of others with where their answer is told.
#[derive(Debug, Default)]
pub(super) struct Decidable(Vec<(ConfirmationView, Option<Ticket>)>);

impl Decidable {
    /// Which they are.
    pub(super) fn shown(&self) -> Shown {
        Some(self.0.iter().map(|(one, _)| one.confirmation.id).collect())
    }
}

impl Bot {
    /// Somebody opened the app.
    pub(super) async fn opened(&self, user: &User, channel: &str, tab: &str) {
        match tab {
            "home" => self.publish(user).await,
            "messages" => self.propose(user, channel).await,
            _ => {}
        }
    }

    /// Proposes what somebody can ask, by the tools that they may use.
    async fn propose(&self, user: &User, channel: &str) {
        let Ok(person) = self.resolve(user, channel).await else { return };
        let Ok(offered) = self.omni().known_servers(person.credential()).await else { return };
        let first = offered.iter().filter_map(|offered| {
            let tool = offered.view.tools.first()?;
            Some((offered.view.display_name.clone(), tool.name.to_string()))
        });
        let prompts: Vec<Prompt> = prompt::for_servers(&first.collect::<Vec<_>>());
        let told = json!({ "channel_id": channel, "title": "Ask omni", "prompts": prompt::to_json(&prompts) });
        if let Err(error) = self.api().call_once("assistant.threads.setSuggestedPrompts", &told).await {
            tracing::debug!(%error, "Slack takes no proposals");
        }
    }

    /// Makes somebody's page anew, and looks after it from then on.
    pub(super) async fn publish(&self, user: &User) {
        let person = match self.resolve(user, "").await {
            Ok(person) => person,
            Err(unknown) => {
                let body = Body::of(unknown.text().unwrap_or("🚫"));
                return self.close_page(user, &body, unknown == Unknown::Away).await;
            }
        };
        let grant = match self.omni().grant(person.credential()).await {
            Ok(grant) => grant,
            Err(error) => {
                let is_open = error.kind() != ErrorKind::Denied;
                return self.close_page(user, &self.refused(&person, &error), is_open).await;
            }
        };
        let found = self.decides_on(&person).await;
        let found = found.inspect_err(|error| tracing::warn!(%error, "somebody's page has no calls that wait")).ok();
        // What could not be read is there as soon as it can be.
        let shown = found.as_ref().and_then(Decidable::shown);
        if self.put_page(&person, &grant, &found.unwrap_or_default()).await {
            self.0.pages.open(user, shown);
        }
    }

    /// Says on somebody's page why it shows nothing; `is_open`: it may show something soon.
    async fn close_page(&self, user: &User, why: &Body, is_open: bool) {
        match self.show_page(user, &view::home::closed(why)).await && is_open {
            true => self.0.pages.open(user, None),
            false => self.0.pages.close(user),
        }
    }

    /// Puts something on somebody's page; whether there is no use in doing it again.
    async fn show_page(&self, user: &User, page: &Value) -> bool {
        match self.api().call("views.publish", &json!({ "user_id": user.id, "view": page })).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%error, "somebody's page could not be made");
                // What Slack refuses it refuses again.
                error.is_refusal()
            }
        }
    }

    /// The channel of direct messages with somebody.
    async fn direct_with(&self, user: &User) -> String {
        let opened = self.api().call("conversations.open", &json!({ "users": user.id })).await;
        let found = opened.ok().and_then(|opened| Some(opened["channel"]["id"].as_str()?.to_owned()));
        found.unwrap_or_else(|| user.id.clone())
    }

    /// What somebody may decide on by their page: their own, and what others asked where it is known where that is told.
    pub(super) async fn decides_on(&self, person: &Person) -> Result<Decidable, Error> {
        let mut found = Vec::new();
        for one in self.omni().confirmations(person.credential()).await?.into_iter().filter(|one| one.may_approve) {
            if one.confirmation.subject == person.principal.subject {
                found.push((one, None));
            } else if let Some(ticket) = self.waits_at(one.confirmation.run).await? {
                found.push((one, Some(ticket)));
            }
        }
        Ok(Decidable(found))
    }

    /// Makes somebody's page, with what they may decide on by it; whether there is no use in doing it again.
    pub(super) async fn put_page(&self, person: &Person, grant: &Grant, found: &Decidable) -> bool {
        let direct = self.direct_with(&person.user).await;
        let pending = found.0.iter().map(|(one, ticket)| match ticket {
            Some(ticket) => confirming::listed_for(one, ticket),
            None => confirming::listed(one, &person.user, &direct),
        });
        let pending = pending.collect();
        let schedules = self.schedules_of(person, grant).await;
        let page = view::home::view(&Home {
            standing: self.standing(person, grant).await,
            servers: self.servers_of(person).await,
            recent: self.recent(person).await,
            preferences: self.kept_preferences(person).await,
            pending,
            has_schedules: schedules.is_some(),
            schedules: schedules.unwrap_or_default(),
        });
        self.show_page(&person.user, &page).await
    }
}
