//! `omni audit tail`: the newest entries, and those to come.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use omni_core::audit::{AuditAccess, AuditQuery, Cursor, LogEntry, MAX_PAGE, Order};

use super::{Reading, failed, line};
use crate::{app::App, args::TailArgs, exit::Exit, fault::Fault};

/// How often somebody who follows is shown what is new.
const LOOK: Duration = Duration::from_millis(500);
/// How far back is looked each time: what another process wrote may be stored after what came later.
const OVERLAP: TimeDelta = TimeDelta::minutes(2);

/// Shows the newest, in the order in which they came, and perhaps what comes.
pub(in crate::commands) async fn tail(app: &App, args: &TailArgs) -> Result<Exit, Fault> {
    let reading = Reading::open(app, &args.filter).await?;
    let shown = tail_of(app, args, &reading.access).await;
    reading.close(shown).await
}

async fn tail_of(app: &App, args: &TailArgs, access: &AuditAccess) -> Result<Exit, Fault> {
    let began = Utc::now();
    let mut newest = args.filter.query(Order::NewestFirst);
    newest.limit = usize::try_from(args.lines).ok();
    let mut page = access.logs(&newest).await.map_err(failed)?.entries;
    page.reverse();
    if !args.follow {
        return page.iter().try_for_each(|entry| show(app, args, entry)).map(|()| Exit::Success);
    }
    let mut following = Following::from(args.filter.query(Order::OldestFirst), began);
    // What was there before is known, shown or not; what is among the newest is shown below.
    following.news(access).await?;
    following.seen.extend(page.iter().map(Cursor::of));
    page.iter().try_for_each(|entry| show(app, args, entry))?;
    // One for the whole time: what is pressed while the store answers counts too.
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        tokio::select! {
            biased;
            _ = &mut interrupted => return Ok(Exit::Interrupted),
            () = tokio::time::sleep(LOOK) => {}
        }
        following.news(access).await?.iter().try_for_each(|entry| show(app, args, entry))?;
    }
}

/// Entries that were seen, as far back as is looked.
struct Following {
    query: AuditQuery,
    /// From when on the asker wants entries at all.
    since: Option<DateTime<Utc>>,
    newest: DateTime<Utc>,
    seen: BTreeSet<Cursor>,
}

impl Following {
    fn from(mut query: AuditQuery, newest: DateTime<Utc>) -> Self {
        query.limit = Some(MAX_PAGE);
        Self { since: query.since, query, newest, seen: BTreeSet::new() }
    }

    /// What was not seen yet, the oldest first.
    async fn news(&mut self, access: &AuditAccess) -> Result<Vec<LogEntry>, Fault> {
        let back_to = self.newest - OVERLAP;
        self.query.since = self.since.max(Some(back_to));
        self.query.after = None;
        let mut news = Vec::new();
        loop {
            let page = access.logs(&self.query).await.map_err(failed)?;
            news.extend(page.entries.into_iter().filter(|entry| self.seen.insert(Cursor::of(entry))));
            match page.next {
                Some(next) => self.query.after = Some(next),
                None => break,
            }
        }
        self.newest = news.iter().map(|entry| entry.created_at).fold(self.newest, DateTime::max);
        self.seen.retain(|seen| seen.at() >= self.newest - OVERLAP);
        Ok(news)
    }
}

fn show(app: &App, args: &TailArgs, entry: &LogEntry) -> Result<(), Fault> {
    if args.json {
        return app.console.json_line(entry);
    }
    Ok(app.console.line(&line(entry))?)
}
