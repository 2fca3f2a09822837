//! On whose behalf something runs: who they are is found out anew each time.

use std::sync::Arc;

use omni_core::{Error, Principal, identity::Via, policy::Grant};
use serde_json::json;

use super::{By, Fault, Job};
use crate::{
    bot::{Bot, command::kind_of, question::Question, refusing::Refusal, scheduling::Unfit},
    event::{ChannelKind, User},
    people::{Person, Unknown},
    port::SlackError,
    view::schedule::Request,
};

/// What Slack says of an address that is nobody's.
const NOBODY: &str = "users_not_found";

impl Bot {
    /// The question of a run, asked by whom it is for, where they may.
    pub(super) async fn question_of(&self, job: &Job) -> Result<(Question, Arc<Grant>), Fault> {
        let channel = &job.request.channel;
        let person = self.who(job).await?;
        let mut question = Question::new(person, channel, kind_of(channel), job.request.question.clone());
        let grant = match self.admitted(&question).await {
            Ok(grant) => grant,
            Err(Refusal { why, .. }) => {
                let reason = why.public_message();
                self.note_refused(&question, why).await;
                return Err(Fault::Fails(reason));
            }
        };
        match self.kind_for(job, &question.person, channel).await {
            Ok(kind) => question.kind = kind,
            Err(Fault::Fails(message)) => {
                self.note_refused(&question, Error::Denied { message: message.clone() }).await;
                return Err(Fault::Fails(message));
            }
            Err(passes) => return Err(passes),
        }
        Ok((question, grant))
    }

    async fn who(&self, job: &Job) -> Result<Person, Fault> {
        let channel = &job.request.channel;
        let mut person = match &job.by {
            By::Owner(user) => self.owner(user, &job.request).await?,
            By::Named(address) => self.named(address, channel).await?,
            By::Nobody => return Err(Fault::Fails("nobody asks".into())),
        };
        // Whoever is known by an address or an id of Slack's is no user of an operating system.
        if person.principal.subject.starts_with("local:") {
            return Err(Fault::Fails("its owner is nobody in Slack".into()));
        }
        person.principal.via = Via::Schedule;
        Ok(person)
    }

    /// Whoever made a schedule, as Slack knows them now.
    async fn owner(&self, user: &User, request: &Request) -> Result<Person, Fault> {
        self.0.people.forget(&user.id);
        let unknown = match self.resolve(user, &request.channel).await {
            Ok(person) => return Ok(person),
            Err(unknown) => unknown,
        };
        let fails = match unknown {
            Unknown::Away => return Err(Fault::Passes("Slack does not say who somebody is".into())),
            Unknown::Deactivated => "its owner's account in Slack is deactivated",
            Unknown::Bot | Unknown::Stranger | Unknown::Guest => "its owner is nobody here",
        };
        let (channel, text) = (&request.channel, request.question.clone());
        self.note_unknown(&unknown, user, |person| Question::new(person, channel, kind_of(channel), text)).await;
        Err(Fault::Fails(fails.into()))
    }

    /// Whom a file names; and who that is in Slack, if they are somebody there.
    async fn named(&self, address: &str, channel: &str) -> Result<Person, Fault> {
        let mut principal =
            Principal::new(address, Via::Schedule).with_tenant(self.config().tenant_of(&self.me().team));
        principal.place = Some(channel.to_owned());
        let user = self.user_of(address).await.map_err(|error| passing(&error))?.unwrap_or_default();
        Ok(Person { team: user.team.clone(), user, name: principal.subject.clone(), principal })
    }

    /// The user in Slack with an address, who is the same person to the policy.
    pub(super) async fn user_of(&self, address: &str) -> Result<Option<User>, SlackError> {
        let found = match self.api().call("users.lookupByEmail", &json!({ "email": address })).await {
            Ok(found) => found,
            Err(error) if error.code() == Some(NOBODY) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(id) = found["user"]["id"].as_str() else { return Ok(None) };
        let user = User { id: id.to_owned(), team: self.me().team.clone() };
        let known = self.resolve(&user, "").await.ok();
        let is_same =
            known.is_some_and(|person| person.principal.subject == Principal::new(address, Via::Slack).subject);
        Ok(is_same.then_some(user))
    }

    /// What kind of channel it is, where the report may stand there.
    async fn kind_for(&self, job: &Job, person: &Person, channel: &str) -> Result<ChannelKind, Fault> {
        if matches!(job.by, By::Owner(_)) {
            return self.may_report(person, channel).await.map_err(|unfit| match unfit {
                Unfit::Away => Fault::Passes("Slack does not say who is in the channel".into()),
                Unfit::Silent => Fault::Fails("I do not answer in its channel".into()),
                Unfit::BotOutside => Fault::Fails("I am not in its channel".into()),
                Unfit::Outside => Fault::Fails("its owner is not in its channel".into()),
                Unfit::Archived => Fault::Fails("its channel is archived".into()),
            });
        }
        // Who writes the file says where.
        let kind = kind_of(channel);
        match self.answers_in(channel, kind).await {
            true => Ok(kind),
            false => Err(Fault::Fails("I do not answer in its channel".into())),
        }
    }
}

/// Whether something of Slack's counts as a failure: what it refuses does, that it is away does not.
pub(super) fn passing(error: &SlackError) -> Fault {
    match error.code() {
        Some(code) if error.is_refusal() => Fault::Fails(format!("Slack refuses it: {code}")),
        _ => Fault::Passes(error.to_string()),
    }
}
