//! `omni audit tail`: the newest entries, and those to come.

use std::{collections::BTreeSet, time::Duration};

use omni_core::audit::{AuditAccess, AuditError, AuditQuery, Cursor, LogEntry, MAX_PAGE, Order};

use super::{Reading, failed, line};
use crate::{
    app::App,
    args::{FilterArgs, TailArgs},
    exit::Exit,
    fault::Fault,
};

/// How often somebody who follows is shown what is new.
const LOOK: Duration = Duration::from_millis(500);
/// How many numbers back is looked each time: who takes a number first may store its entry last.
const OVERLAP: i64 = 2_000;

/// Shows the newest, in the order in which they came, and perhaps what comes.
pub(in crate::commands) async fn tail(app: &App, args: &TailArgs) -> Result<Exit, Fault> {
    let reading = Reading::open(app, &args.filter).await?;
    let shown = tail_of(app, args, &reading.access).await;
    reading.close(shown).await
}

async fn tail_of(app: &App, args: &TailArgs, access: &AuditAccess) -> Result<Exit, Fault> {
    if !args.follow {
        newest(args, access).await?.iter().try_for_each(|entry| show(app, args, entry))?;
        return Ok(Exit::Success);
    }
    // What is there is known before it is shown: what comes between the two is among the newest, or new.
    let mut following = Following::begin(&args.filter, access).await.map_err(failed)?;
    let page = newest(args, access).await?;
    following.seen.extend(page.iter().map(|entry| entry.id));
    page.iter().try_for_each(|entry| show(app, args, entry))?;
    // One for the whole time: what is pressed while the store answers counts too.
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let mut is_away = false;
    loop {
        tokio::select! {
            biased;
            _ = &mut interrupted => return Ok(Exit::Interrupted),
            () = tokio::time::sleep(LOOK) => {}
        }
        match following.news(access).await {
            Ok(news) => {
                is_away = false;
                news.iter().try_for_each(|entry| show(app, args, entry))?;
            }
            Err(error) if !is_away => {
                is_away = true;
                app.console.warning(&format!("the log cannot be read now, which is tried again: {error}"));
            }
            Err(_) => {}
        }
    }
}

/// The newest, the oldest of them first.
async fn newest(args: &TailArgs, access: &AuditAccess) -> Result<Vec<LogEntry>, Fault> {
    let mut query = args.filter.query(Order::NewestFirst);
    query.limit = usize::try_from(args.lines).ok();
    let mut page = access.logs(&query).await.map_err(failed)?.entries;
    page.reverse();
    Ok(page)
}

/// Entries that were seen, as far back as is looked. Numbers grow as entries are stored, so that no clock
/// matters: neither one that is wrong, nor how long a host kept its records for itself.
struct Following {
    query: AuditQuery,
    last: i64,
    seen: BTreeSet<i64>,
}

impl Following {
    /// Begins after all that is there.
    async fn begin(filter: &FilterArgs, access: &AuditAccess) -> Result<Self, AuditError> {
        let mut last = filter.query(Order::LastStoredFirst);
        last.limit = Some(1);
        let last = access.logs(&last).await?.entries.first().map_or(0, |entry| entry.id);
        let mut query = filter.query(Order::AsStored);
        query.limit = Some(MAX_PAGE);
        let mut following = Self { query, last, seen: BTreeSet::new() };
        following.news(access).await?;
        Ok(following)
    }

    /// What was not seen yet, as it was stored.
    async fn news(&mut self, access: &AuditAccess) -> Result<Vec<LogEntry>, AuditError> {
        self.query.after = Some(Cursor::behind(self.last - OVERLAP));
        let mut entries = Vec::new();
        loop {
            let page = access.logs(&self.query).await?;
            entries.extend(page.entries.into_iter().filter(|entry| !self.seen.contains(&entry.id)));
            match page.next {
                Some(next) => self.query.after = Some(next),
                None => break,
            }
        }
        self.seen.extend(entries.iter().map(|entry| entry.id));
        self.last = entries.iter().map(|entry| entry.id).fold(self.last, i64::max);
        self.seen = self.seen.split_off(&(self.last - OVERLAP));
        Ok(entries)
    }
}

fn show(app: &App, args: &TailArgs, entry: &LogEntry) -> Result<(), Fault> {
    if args.json {
        return app.console.json_line(entry);
    }
    Ok(app.console.line(&line(entry))?)
}
