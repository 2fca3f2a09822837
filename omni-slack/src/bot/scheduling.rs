//! Schedules that people make, look at, pause and delete.

use std::{collections::BTreeMap, sync::Arc};

use chrono::TimeDelta;
use omni_core::{
    policy::Grant,
    schedule::{When, WhenError},
};
use serde_json::json;

use super::{Bot, question::Question};
use crate::{
    api::Body,
    event::{Action, Submission, User},
    people::Person,
    port::Ack,
    schedule::{Made, Progress, Schedule, Store, fixed_key, key},
    view::{
        ids,
        schedule::{self as shown, Request, State},
        text,
    },
};

mod placing;

pub(super) use placing::Unfit;

/// Most schedules of one person.
const MOST: usize = 20;
/// The shortest time between two runs of one.
const SHORTEST: TimeDelta = TimeDelta::minutes(15);
/// Before the id of what a file says, in buttons.
const FIXED: &str = "fixed ";
/// What a form remembers that was opened from the app's page.
const HOME: &str = "home";
/// Said where schedules cannot be kept.
const NO_PLACE: &str = "🚫 I have no database to keep schedules in.";
/// Said where the database does not answer.
const NO_ANSWER: &str = "⚠️ I cannot look at schedules at the moment. Please try again in a minute.";

impl Bot {
    /// Where schedules are kept.
    pub(super) fn store(&self) -> Option<Store> {
        self.kept().map(Store::new)
    }

    /// Somebody's schedules; what a file says, for administrators. `None` where they cannot be kept.
    pub(super) async fn schedules_of(&self, person: &Person, grant: &Grant) -> Option<Vec<shown::Schedule>> {
        let store = self.store()?;
        let listed = self.listed(&store, person, grant).await;
        Some(listed.unwrap_or_else(|error| {
            tracing::warn!(%error, "schedules cannot be listed");
            Vec::new()
        }))
    }

    async fn listed(
        &self,
        store: &Store,
        person: &Person,
        grant: &Grant,
    ) -> Result<Vec<shown::Schedule>, omni_core::Error> {
        let mut own = store.of(&person.user.id).await?;
        own.sort_by_key(|(_, schedule)| schedule.progress.since);
        let mut listed: Vec<_> =
            own.into_iter().map(|(id, own)| self.entry(id, own.request, Some(own.progress))).collect();
        if grant.role.is_admin {
            let known = store.fixed().await?;
            for one in self.config().schedules {
                let progress = known.get(&fixed_key(&one.id)).cloned();
                let (id, request) = (format!("{FIXED}{}", one.id), super::reporting::request_of(&one));
                listed.push(shown::Schedule { is_fixed: true, ..self.entry(id, request, progress) });
            }
        }
        Ok(listed)
    }

    fn entry(&self, id: String, request: Request, progress: Option<Progress>) -> shown::Schedule {
        let state = progress.map(|progress| progress.state).unwrap_or_default();
        let when = When::read(&request.cron, &request.zone).ok();
        let next = when.filter(|_| state == State::Active).and_then(|when| when.next_after(self.0.clock.now()));
        let Request { question, cron, zone, channel, .. } = request;
        shown::Schedule { id, question, cron, zone, channel, next, state, is_fixed: false }
    }

    /// The list of them, with its buttons.
    pub(super) async fn schedules(&self, person: &Person, grant: &Grant) -> Body {
        match self.schedules_of(person, grant).await {
            Some(schedules) => shown::list(&schedules),
            None => Body::of(NO_PLACE),
        }
    }

    /// A click on one of them.
    pub(super) async fn schedule_clicked(&self, person: &Person, action: &Action) {
        let Some(store) = self.store() else { return self.answer_click(action, &Body::of(NO_PLACE)).await };
        if action.id == ids::SCHEDULE_NEW {
            return self.ask_for_schedule(person, action).await;
        }
        let grant = match self.omni().grant(person.credential()).await {
            Ok(grant) => grant,
            Err(error) => return self.answer_click(action, &self.refused(person, &error)).await,
        };
        match self.turned(&store, person, &grant, action).await {
            Ok(true) => self.show_again(person, &grant, action).await,
            Ok(false) => self.answer_click(action, &Body::of("There is no such schedule of yours.")).await,
            Err(error) => {
                tracing::warn!(%error, "a schedule could not be changed");
                self.answer_click(action, &Body::of(NO_ANSWER)).await;
            }
        }
    }

    /// Does what a button says; whether there is such a schedule. Nobody finds what is others'.
    async fn turned(
        &self,
        store: &Store,
        person: &Person,
        grant: &Grant,
        action: &Action,
    ) -> Result<bool, omni_core::Error> {
        let fixed = action.value.strip_prefix(FIXED);
        let key = match fixed {
            Some(id) if grant.role.is_admin => fixed_key(id),
            Some(_) => return Ok(false),
            None => key(&person.user.id, &action.value),
        };
        let now = self.0.clock.now();
        match action.id.as_str() {
            ids::SCHEDULE_DELETE if fixed.is_none() => store.remove(&key).await,
            ids::SCHEDULE_PAUSE => Ok(store.change(&key, |progress| progress.state = State::Paused).await?.is_some()),
            ids::SCHEDULE_RESUME => Ok(store.change(&key, |progress| *progress = Progress::from(now)).await?.is_some()),
            _ => Ok(false),
        }
    }

    async fn show_again(&self, person: &Person, grant: &Grant, action: &Action) {
        if action.is_home {
            return self.publish(&person.user).await;
        }
        let list = self.schedules(person, grant).await;
        let Some(url) = &action.response_url else { return self.answer_click(action, &list).await };
        if let Err(error) = self.api().respond(url, &list, true).await {
            tracing::warn!(%error, "a list of schedules could not be changed");
        }
    }

    async fn ask_for_schedule(&self, person: &Person, action: &Action) {
        let zone = self.0.people.zone(self.api(), &person.user.id).await.unwrap_or_default();
        let metadata = if action.is_home { HOME } else { action.response_url.as_deref().unwrap_or_default() };
        self.open_form(action, &shown::modal("", &zone, metadata)).await;
    }

    /// Somebody sent a schedule in. What can be seen to be wrong at once goes back into the form.
    pub(super) fn schedule_sent(&self, submission: Submission) -> Ack {
        let checked = shown::submitted(&submission.values).and_then(|request| match self.wrong_time(&request) {
            Some((block, why)) => Err(BTreeMap::from([(block.to_owned(), why)])),
            None => Ok(request),
        });
        match checked {
            Ok(request) => {
                let bot = self.clone();
                self.spawn(async move { bot.make_schedule(&submission, &request).await });
                Ack::Empty
            }
            Err(errors) => Ack::With(json!({ "response_action": "errors", "errors": errors })),
        }
    }

    /// What is wrong about when it is to run, by its field.
    fn wrong_time(&self, request: &Request) -> Option<(&'static str, String)> {
        let when = match When::read(&request.cron, &request.zone) {
            Ok(when) => when,
            Err(WhenError::Zone { .. }) => return Some(("zone", "There is no such time zone.".into())),
            Err(WhenError::Never { .. }) => return Some(("cron", "This time never comes.".into())),
            Err(_) => return Some(("cron", "These are no five fields such as 30 8 * * 1-5.".into())),
        };
        let is_often = when.shortest_gap(self.0.clock.now()).is_some_and(|gap| gap < SHORTEST);
        is_often.then(|| ("cron", format!("It may run every {} minutes at most.", SHORTEST.num_minutes())))
    }

    /// Keeps a new schedule, and shows it; or says why it cannot be.
    async fn make_schedule(&self, submission: &Submission, request: &Request) {
        let (user, url) = (&submission.user, submission.metadata.as_str());
        let shown = match self.made(user, &submission.view, request).await {
            Ok(_) if url == HOME => return self.publish(user).await,
            Ok((person, grant)) => self.schedules(&person, &grant).await,
            Err(why) => {
                let asked = text::mrkdwn_line(&request.question, 200);
                return self
                    .tell_of_form(user, url, &Body::of(&format!("{why}\nNothing was saved of *{asked}*.")))
                    .await;
            }
        };
        if self.api().respond(url, &shown, true).await.is_err() {
            self.say_direct(&user.id, &shown).await;
        }
    }

    /// Tells somebody something where they opened a form, or else in their direct messages.
    async fn tell_of_form(&self, user: &User, url: &str, body: &Body) {
        if url == HOME || self.api().respond(url, body, false).await.is_err() {
            self.say_direct(&user.id, body).await;
        }
    }

    /// Keeps a new schedule of whoever this is; or says why it cannot be.
    async fn made(&self, user: &User, id: &str, request: &Request) -> Result<(Person, Arc<Grant>), String> {
        let store = self.store().ok_or(NO_PLACE)?;
        let person = self.resolve(user, &request.channel).await;
        let person = person.map_err(|unknown| unknown.text().unwrap_or("🚫").to_owned())?;
        let kind = self.may_report(&person, &request.channel).await.map_err(|unfit| unfit.text().to_owned())?;
        let question = Question::new(person, &request.channel, kind, request.question.clone());
        let grant = self.admitted(&question).await.map_err(|refusal| refusal.body.text)?;
        let now = self.0.clock.now();
        let schedule = Schedule { team: user.team.clone(), request: request.clone(), progress: Progress::from(now) };
        let id: String = id.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
        let made = store.add(&user.id, &id, &schedule, MOST).await.map_err(|error| {
            tracing::warn!(%error, "a schedule could not be kept");
            NO_ANSWER
        })?;
        match made {
            Made::New | Made::Known => Ok((question.person, grant)),
            Made::TooMany => Err(format!("🚫 You have {MOST} schedules already: delete one first.")),
            Made::Full => Err("🚫 There are too many schedules here already.".into()),
            Made::Busy => Err("⚠️ Another schedule of yours is being saved. Please try again.".into()),
        }
    }
}
