//! What people prefer, as they say on the app's page.

use serde_json::json;

use super::{Bot, keeping::in_time};
use crate::{
    api::Body,
    event::Action,
    people::Person,
    view::{
        self,
        home::{Preferences, Verbosity},
    },
};

/// How often a change is tried again that somebody else's was in the way of.
const TRIES: usize = 5;

impl Bot {
    /// What somebody prefers; as everybody does, where it is not known.
    pub(super) async fn preferences(&self, person: &Person) -> Preferences {
        self.kept_preferences(person).await.unwrap_or_default()
    }

    /// The same where it can be kept.
    pub(super) async fn kept_preferences(&self, person: &Person) -> Option<Preferences> {
        let found = in_time(self.kept()?.get(&key(person))).await;
        let found = found.inspect_err(|error| tracing::warn!(%error, "it is not known what somebody prefers")).ok()?;
        Some(found.and_then(|found| serde_json::from_value(found).ok()).unwrap_or_default())
    }

    /// Somebody changed what they prefer.
    pub(super) async fn preferred(&self, person: &Person, action: &Action) {
        match self.change(person, action).await {
            Ok(true) => {}
            Ok(false) => tracing::debug!(action = action.id, "nothing that can be preferred was chosen"),
            Err(error) => {
                tracing::warn!(%error, "what somebody prefers could not be kept");
                let body = Body::of("⚠️ This could not be kept. Please try again in a minute.");
                self.say_direct(&person.user.id, &body).await;
            }
        }
        // It shows what holds, whatever was clicked.
        self.publish(&action.user).await;
    }

    async fn change(&self, person: &Person, action: &Action) -> Result<bool, omni_core::Error> {
        let Some(kept) = self.kept() else { return Ok(false) };
        let key = key(person);
        for _ in 0..TRIES {
            let old = kept.get(&key).await?;
            let before = old.clone().and_then(|old| serde_json::from_value(old).ok()).unwrap_or_default();
            let Some(now) = view::home::preferences(before, &action.clicked) else { return Ok(false) };
            if kept.replace(&key, old.as_ref(), &json!(now)).await? {
                return Ok(true);
            }
        }
        Err(omni_core::Error::Conflict { message: "it is changed elsewhere at the same time".into() })
    }
}

fn key(person: &Person) -> String {
    format!("preferences/{}", person.user.id)
}

impl Preferences {
    /// Whether everything is said that was done.
    pub(super) fn wants_all(self) -> bool {
        self.verbosity == Verbosity::Detailed
    }

    /// Whether nothing is said but the answer.
    pub(super) fn wants_answer_alone(self) -> bool {
        self.verbosity == Verbosity::Brief
    }
}
