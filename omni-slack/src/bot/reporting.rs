//! What is due on schedule, and the runs of it: one of each at a time, a few in all.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use omni_core::{
    Error,
    config::{SlackCommand, SlackSchedule},
    schedule::When,
};
use tokio::{sync::Semaphore, time::timeout};

use super::{Bot, interrupted::Doing, keeping::Whose};
use crate::{
    event::User,
    schedule::{Progress, Store, due, fixed_key},
    view::{report::rests, schedule::Request},
};

mod report;
mod who;

/// How many run at a time in one process.
const AT_ONCE: usize = 2;
/// How long one may take.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// The runs of this process.
#[derive(Debug)]
pub(super) struct Reports {
    room: Semaphore,
    /// The keys of those that run, or wait for room.
    begun: Mutex<HashSet<String>>,
}

impl Default for Reports {
    fn default() -> Self {
        Self { room: Semaphore::new(AT_ONCE), begun: Mutex::default() }
    }
}

impl Reports {
    fn begun(&self) -> MutexGuard<'_, HashSet<String>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One begins that did not yet.
    fn begin(self: &Arc<Self>, key: &str) -> Option<Begun> {
        self.begun().insert(key.to_owned()).then(|| Begun { all: self.clone(), key: key.to_owned() })
    }
}

/// One of them, until this is dropped.
#[derive(Debug)]
struct Begun {
    all: Arc<Reports>,
    key: String,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.all.begun().remove(&self.key);
    }
}

/// Something that is due.
#[derive(Debug, Clone)]
struct Job {
    /// What it is kept by.
    key: String,
    by: By,
    work: Work,
    /// What is asked and where.
    request: Request,
    /// For when.
    at: DateTime<Utc>,
}

/// On whose behalf something is done.
#[derive(Debug, Clone)]
enum By {
    /// Of whoever made the schedule.
    Owner(User),
    /// Of whom a file names.
    Named(String),
    /// Of nobody: nothing is asked.
    Nobody,
}

/// What is done.
#[derive(Debug, Clone)]
enum Work {
    /// This is posted as it stands.
    Say(String),
    /// A question is asked; its answer stands under this title.
    Ask(Option<String>),
    /// It is told how the servers stand.
    Status(Option<String>),
}

/// Why a run did not go well.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// It counts.
    Fails(String),
    /// It is nobody's fault here: Slack is away.
    Passes(String),
    /// The bot ends.
    Ends,
}

/// What a file says, as if somebody had asked for it.
pub(super) fn request_of(one: &SlackSchedule) -> Request {
    let question = match one.task.as_ref().map(|task| &task.command) {
        Some(SlackCommand::Ask(question)) => question.clone(),
        Some(SlackCommand::Status) => "/omni-status".into(),
        _ => one.message.clone().unwrap_or_default(),
    };
    Request {
        question,
        cron: one.cron.clone(),
        zone: one.zone.clone(),
        channel: one.channel.clone(),
        skip_empty: false,
        max_cost_usd: one.max_cost_usd,
    }
}

impl Bot {
    /// From now on runs what is due, until the bot is drained.
    pub fn keep_schedules(&self) {
        let (bot, mut clock) = (self.clone(), self.0.clock.clone());
        self.spawn(async move {
            let closing = bot.0.closing.clone();
            if bot.store().is_none() && !bot.config().schedules.is_empty() {
                tracing::warn!("without a database nothing of advanced.scheduled_messages in slack.yaml runs");
            }
            while let Some(now) = closing.run_until_cancelled(clock.ticks()).await {
                bot.tick(now).await;
            }
        });
    }

    async fn tick(&self, now: DateTime<Utc>) {
        let Some(store) = self.store() else { return };
        match self.due_by(&store, now).await {
            Ok(jobs) => jobs.into_iter().for_each(|job| self.queue(&store, job)),
            Err(error) => tracing::warn!(%error, "it is not known what is due on schedule"),
        }
    }

    async fn due_by(&self, store: &Store, now: DateTime<Utc>) -> Result<Vec<Job>, Error> {
        let time = |progress: &Progress, request: &Request| {
            due(progress, &When::read(&request.cron, &request.zone).ok()?, now)
        };
        let mut jobs = Vec::new();
        for (owner, key, schedule) in store.all().await? {
            if let Some(at) = time(&schedule.progress, &schedule.request) {
                let by = By::Owner(User { id: owner, team: schedule.team });
                jobs.push(Job { key, by, work: Work::Ask(None), request: schedule.request, at });
            }
        }
        let schedules = self.config().schedules;
        let known = if schedules.is_empty() { Default::default() } else { store.fixed().await? };
        for one in &schedules {
            let (key, request) = (fixed_key(&one.id), request_of(one));
            let progress = match known.get(&key) {
                Some(progress) => progress.clone(),
                None => store.begin_fixed(&key, now).await?,
            };
            if let Some(at) = time(&progress, &request) {
                let (by, work) = task_of(one);
                jobs.push(Job { key, by, work, request, at });
            }
        }
        Ok(jobs)
    }

    /// Runs something as soon as there is room.
    fn queue(&self, store: &Store, job: Job) {
        let Some(begun) = self.0.reports.begin(&job.key) else { return };
        let (bot, store) = (self.clone(), store.clone());
        self.spawn(async move {
            let _begun = begun;
            let room = bot.0.closing.run_until_cancelled(bot.0.reports.room.acquire()).await;
            let Some(Ok(_room)) = room else { return };
            if let Err(error) = bot.fire(&store, &job).await {
                tracing::warn!(%error, schedule = job.key, "it cannot be kept what came of a schedule");
            }
        });
    }

    /// Sees to something that is due, where nobody else does. While its last run goes on it waits for the next minute.
    async fn fire(&self, store: &Store, job: &Job) -> Result<(), Error> {
        if self.0.closing.is_cancelled() {
            return Ok(());
        }
        let Whose::Ours(going) = self.take_on(&format!("going {}", job.key)).await else { return Ok(()) };
        let ended = self.fire_alone(store, job).await;
        going.leave().await;
        ended
    }

    async fn fire_alone(&self, store: &Store, job: &Job) -> Result<(), Error> {
        if !store.claims(&job.key, job.at).await? {
            return Ok(());
        }
        match store.change(&job.key, |progress| progress.begins(job.at)).await? {
            Some(true) => self.run(store, job).await,
            // It was deleted, or rests by now.
            Some(false) | None => Ok(()),
        }
    }

    /// Makes a report. If the process ends before it stands in its channel, another one tells so.
    async fn run(&self, store: &Store, job: &Job) -> Result<(), Error> {
        let owner = match &job.by {
            By::Owner(user) => user.id.as_str(),
            By::Named(_) | By::Nobody => "",
        };
        let mut doing = self.makes_report(owner, &job.request.channel, &job.request.question).await;
        let ran = timeout(LONGEST, self.report(job, &mut doing)).await;
        let ran = ran.unwrap_or_else(|_| Err(Fault::Fails("it took too long".into())));
        if ran != Err(Fault::Ends) {
            ends(&mut doing).await;
        }
        self.note_run(store, job, ran).await
    }

    /// Keeps what came of a run.
    async fn note_run(&self, store: &Store, job: &Job, ran: Result<(), Fault>) -> Result<(), Error> {
        let reason = match ran {
            Ok(()) => {
                tracing::info!(schedule = job.key, "a schedule ran");
                return store.change(&job.key, Progress::succeeded).await.map(drop);
            }
            Err(Fault::Ends) => {
                tracing::info!(schedule = job.key, "the bot ends in the middle of a run");
                return Ok(());
            }
            Err(Fault::Passes(reason)) => {
                tracing::info!(schedule = job.key, reason, "a run of a schedule came to nothing");
                return Ok(());
            }
            Err(Fault::Fails(reason)) => reason,
        };
        tracing::warn!(schedule = job.key, reason, "a run of a schedule failed");
        let rests = store.change(&job.key, |progress| progress.failed(&reason)).await?;
        if rests == Some(true) {
            self.tell_of_rest(job, &reason).await;
        }
        Ok(())
    }

    /// Tells its owner that a schedule rests from now on.
    async fn tell_of_rest(&self, job: &Job, reason: &str) {
        let user = match &job.by {
            By::Owner(user) => Some(user.id.clone()),
            By::Named(address) => self.user_of(address).await.ok().flatten().map(|user| user.id),
            By::Nobody => None,
        };
        let Some(user) = user else {
            return tracing::warn!(schedule = job.key, reason, "a schedule of slack.yaml rests: it failed too often");
        };
        let is_of_file = !matches!(job.by, By::Owner(_));
        self.say_direct(&user, &rests(&job.request.question, reason, is_of_file)).await;
    }
}

/// Nothing is left to be told of it where it ends.
async fn ends(doing: &mut Option<Doing>) {
    if let Some(doing) = doing.take() {
        doing.ends().await;
    }
}

fn task_of(one: &SlackSchedule) -> (By, Work) {
    let message = one.message.clone();
    let Some(task) = &one.task else { return (By::Nobody, Work::Say(message.unwrap_or_default())) };
    let by = By::Named(task.run_as.clone());
    match &task.command {
        SlackCommand::Status => (by, Work::Status(message)),
        _ => (by, Work::Ask(message)),
    }
}
