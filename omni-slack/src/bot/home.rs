//! The app's own page, and what it proposes beside direct messages.

use omni_core::omni::ConfirmationView;
use serde_json::{Value, json};

use super::{
    Bot,
    confirming::{self, Ticket},
    pages::Shown,
};
use crate::{
    api::Body,
    event::User,
    people::Person,
    view::{
        self,
        home::Home,
        prompt::{self, Prompt},
    },
};

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

    /// Makes somebody's page anew.
    pub(super) async fn publish(&self, user: &User) {
        let (page, shown) = self.page_of(user).await;
        match self.api().call("views.publish", &json!({ "user_id": user.id, "view": page })).await {
            Ok(_) => self.0.pages.show(user, shown),
            Err(error) => tracing::warn!(%error, "somebody's page could not be made"),
        }
    }

    /// The channel of direct messages with somebody.
    async fn direct_with(&self, user: &User) -> String {
        let opened = self.api().call("conversations.open", &json!({ "users": user.id })).await;
        let found = opened.ok().and_then(|opened| Some(opened["channel"]["id"].as_str()?.to_owned()));
        found.unwrap_or_else(|| user.id.clone())
    }

    /// What somebody may decide on by their page: their own, and what others asked where it is known where that is told.
    pub(super) async fn on_page<'a>(
        &self,
        person: &Person,
        waiting: &'a [ConfirmationView],
    ) -> Vec<(&'a ConfirmationView, Option<Ticket>)> {
        let mut found = Vec::new();
        for one in waiting.iter().filter(|one| one.may_approve) {
            if one.confirmation.subject == person.principal.subject {
                found.push((one, None));
            } else if let Some(ticket) = self.waits_at(one.confirmation.run).await {
                found.push((one, Some(ticket)));
            }
        }
        found
    }

    /// Somebody's page, and what they may decide on by it.
    async fn page_of(&self, user: &User) -> (Value, Shown) {
        let closed = |body: &Body| (view::home::closed(body), Shown::default());
        let person = match self.resolve(user, "").await {
            Ok(person) => person,
            Err(unknown) => return closed(&Body::of(unknown.text().unwrap_or("🚫"))),
        };
        let grant = match self.omni().grant(person.credential()).await {
            Ok(grant) => grant,
            Err(error) => return closed(&self.refused(&person, &error)),
        };
        let direct = self.direct_with(user).await;
        let waiting = self.omni().confirmations(person.credential()).await.unwrap_or_default();
        let on_page = self.on_page(&person, &waiting).await;
        let shown = Shown::of(&on_page, &waiting);
        let pending = on_page.into_iter().map(|(one, ticket)| match ticket {
            Some(ticket) => confirming::listed_for(one, &ticket),
            None => confirming::listed(one, &person.user, &direct),
        });
        let pending = pending.collect();
        let schedules = self.schedules_of(&person, &grant).await;
        let page = view::home::view(&Home {
            standing: self.standing(&person, &grant).await,
            servers: self.servers_of(&person).await,
            recent: self.recent(&person).await,
            preferences: self.kept_preferences(&person).await,
            pending,
            has_schedules: schedules.is_some(),
            schedules: schedules.unwrap_or_default(),
        });
        (page, shown)
    }
}
