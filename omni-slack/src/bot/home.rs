//! The app's own page, and what it proposes beside direct messages.

use serde_json::json;

use super::Bot;
use crate::{
    event::User,
    view::{
        self,
        home::{Home, Pending},
    },
};

/// Slack shows so many proposals.
const MOST_PROMPTS: usize = 4;
/// Most calls that wait are shown.
const MOST_PENDING: usize = 10;

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
        let mut prompts = vec![json!({ "title": "What can I do?", "message": "Which tools can I use?" })];
        let servers = offered.iter().filter(|offered| !offered.view.tools.is_empty());
        prompts.extend(servers.map(|offered| {
            let name = &offered.view.display_name;
            json!({ "title": format!("About {name}"), "message": format!("What can you tell me with {name}?") })
        }));
        prompts.truncate(MOST_PROMPTS);
        let told = json!({ "channel_id": channel, "title": "Ask omni", "prompts": prompts });
        if let Err(error) = self.api().call_once("assistant.threads.setSuggestedPrompts", &told).await {
            tracing::debug!(%error, "Slack takes no proposals");
        }
    }

    /// Makes somebody's page anew.
    pub(super) async fn publish(&self, user: &User) {
        let Some(page) = self.page_of(user).await else { return };
        if let Err(error) = self.api().call("views.publish", &json!({ "user_id": user.id, "view": page })).await {
            tracing::warn!(%error, "somebody's page could not be made");
        }
    }

    async fn page_of(&self, user: &User) -> Option<serde_json::Value> {
        let person = match self.resolve(user, "").await {
            Ok(person) => person,
            Err(unknown) => return Some(view::home::nobody(unknown.text()?)),
        };
        let grant = match self.omni().grant(person.credential()).await {
            Ok(grant) => grant,
            Err(error) => return Some(view::home::nobody(&super::question::refused(&person, &error).text)),
        };
        let waiting = self.omni().confirmations(person.credential()).await.unwrap_or_default();
        let pending = waiting.iter().take(MOST_PENDING).map(|found| Pending {
            server: found.confirmation.server.clone(),
            tool: found.confirmation.tool.clone(),
            asker: found.confirmation.subject.clone(),
            expires_at: found.confirmation.expires_at,
        });
        Some(view::home::view(&Home {
            name: person.name.clone(),
            role: grant.role.name.to_string(),
            quota: super::helping::quota(&grant),
            servers: self.servers_of(&person).await,
            pending: pending.collect(),
        }))
    }
}
