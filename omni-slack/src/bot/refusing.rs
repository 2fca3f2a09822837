//! Questions that are not taken: whoever asks is told why, and the ledger has it.

use std::sync::Arc;

use omni_core::{
    Ask, Error, Principal, Source,
    identity::Via,
    policy::{Grant, PolicyError},
};

use super::{
    Bot,
    question::{Aside, Question},
};
use crate::{
    api::Body,
    event::{ChannelKind, User},
    people::{Person, Unknown},
    view,
};

/// The role that is above administrators.
const SUPER_ADMIN: &str = "super_admin";

/// Why a question is not taken.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What whoever asks is told.
    pub(super) body: Body,
    /// What the ledger keeps of it.
    pub(super) why: Error,
}

impl Refusal {
    pub(super) fn new(body: Body, message: String) -> Self {
        Self { body, why: Error::Denied { message } }
    }

    /// The bot does not answer there.
    pub(super) fn not_here(kind: ChannelKind, channel: &str) -> Self {
        let (is_direct, place) = (kind == ChannelKind::Direct, format!("the Slack channel {channel}"));
        let place = if is_direct { "direct messages in Slack" } else { &place };
        Self::new(view::notice::not_here(is_direct), format!("nothing is answered in {place}"))
    }
}

/// Whether somebody has the role that something takes. An administrator needs no other.
pub(super) fn has_role(grant: &Grant, required: &str) -> bool {
    let is_above = grant.role.is_super_admin || (grant.role.is_admin && required != SUPER_ADMIN);
    is_above || grant.role.is_one_of(&[required.to_owned()])
}

impl Unknown {
    /// What the ledger keeps of it.
    fn why(&self, user: &User) -> Error {
        let message = match self {
            Self::Deactivated => format!("the Slack account {} is deactivated", user.id),
            Self::Bot => format!("the Slack account {} is a program's", user.id),
            Self::Stranger => format!("the Slack account {} is of another workspace", user.id),
            Self::Guest => format!("the Slack account {} is a guest's", user.id),
            Self::Away => format!("Slack does not say who {} is", user.id),
        };
        Error::Denied { message }
    }
}

impl Bot {
    /// Whether somebody may ask there; what they may do, the pipeline decides.
    pub(super) async fn admitted(&self, question: &Question) -> Result<Arc<Grant>, Refusal> {
        let grant = self.omni().grant(question.person.credential()).await;
        let grant = grant.map_err(|error| self.refusal(&question.person, error))?;
        let config = self.config();
        let required = config.places.get(&question.channel).and_then(|place| place.required_role.as_deref());
        match required {
            Some(role) if !has_role(&grant, role) => {
                let body = Body::of(&format!("🚫 Asking here takes the role {}.", view::text::code(role, 60)));
                let (own, channel) = (&grant.role.name, &question.channel);
                let why = format!("asking in the Slack channel {channel} takes the role {role}, and theirs is {own}");
                Err(Refusal::new(body, why))
            }
            _ => Ok(grant),
        }
    }

    /// The policy does not let somebody in.
    pub(super) fn refusal(&self, person: &Person, error: Error) -> Refusal {
        Refusal { body: self.refused(person, &error), why: error }
    }

    /// What somebody is told whom the policy does not let in.
    pub(super) fn refused(&self, person: &Person, error: &Error) -> Body {
        match error {
            Error::Policy(PolicyError::UnknownSubject { subject }) => {
                let email = Some(subject.as_str()).filter(|subject| subject.contains('@'));
                view::person::unknown(&person.user.id, email, None)
            }
            Error::Policy(PolicyError::Blocked { reason, .. }) => view::person::refused(reason),
            other => Body::of(&view::error::worded(&self.config().templates, other, None, None)),
        }
    }

    /// Tells whoever asks that their question is not taken, and keeps it.
    pub(super) async fn turn_away(&self, question: &Question, refusal: Refusal) {
        match &question.private {
            Some(Aside::Url(url)) => {
                if let Err(error) = self.api().respond(url, &refusal.body, false).await {
                    tracing::warn!(%error, "somebody could not be told that they may not ask");
                }
            }
            Some(Aside::Whisper) | None => {
                self.tell(&question.to(), &question.person.user.id, question.kind, &refusal.body).await;
            }
        }
        self.note_refused(question, refusal.why).await;
    }

    /// The ledger has what was asked and not taken, and why.
    pub(super) async fn note_refused(&self, question: &Question, why: Error) {
        let ask = Ask::new(question.person.credential(), &*question.text);
        self.omni().refuse(ask.with_source(Source::Slack).with_client(question.client()), why).await;
    }

    /// The same of somebody who is nobody here. A program asks nothing.
    pub(super) async fn note_unknown(&self, unknown: &Unknown, user: &User, question: impl FnOnce(Person) -> Question) {
        if *unknown == Unknown::Bot {
            return;
        }
        let tenant = self.config().tenant_of(&self.me().team);
        let principal = Principal::new(&format!("slack:{}", user.id), Via::Slack).with_tenant(tenant);
        let person = Person { user: user.clone(), team: user.team.clone(), name: user.id.clone(), principal };
        self.note_refused(&question(person), unknown.why(user)).await;
    }
}
