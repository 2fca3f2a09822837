//! What tools returned in a chat: more of it, as CSV, and once more.

use std::{fs::OpenOptions, io::Write as _};

use omni_core::{
    Error, Source,
    results::{KeptResult, ResultFilter, csv},
};

use super::Chat;
use crate::{
    commands::calls::{self, of_results},
    elicit,
    fault::Fault,
};

/// Most bytes that are shown at a time.
const PAGE: usize = 4_000;

/// Which part of which result comes next.
#[derive(Debug, Default)]
pub(super) struct Shown {
    id: String,
    next: Option<usize>,
}

impl Chat<'_> {
    /// The next part of a result. Of one that was not shown yet it is the first.
    pub(super) async fn more(&mut self, id: Option<String>) -> Result<(), Fault> {
        let id = self.result_id(id).await?;
        let offset = match &self.shown {
            Shown { id: shown, next: Some(next) } if *shown == id => *next,
            Shown { id: shown, next: None } if *shown == id => {
                self.shown = Shown::default();
                return Ok(self
                    .app
                    .console
                    .line(&format!("That is all of {id}; /more shows it from the beginning"))?);
            }
            Shown { .. } => 0,
        };
        let kept = self.kept(&id).await?;
        let page = kept.page(offset, PAGE);
        self.app.console.line(page.text.trim_end_matches('\n'))?;
        let (from, to, all) = (page.offset, page.offset + page.text.len(), kept.text.len());
        let more = if page.next.is_some() { "; /more shows the next ones" } else { "" };
        let cut = if kept.call.is_cut && page.next.is_none() { "; there was more, which is not kept" } else { "" };
        self.app.console.hint(&format!("{} {id}: bytes {from} to {to} of {all}{more}{cut}", kept.call.full_name()));
        self.shown = Shown { next: page.next, id };
        Ok(())
    }

    /// Writes a result as CSV to a file that is not there yet.
    pub(super) async fn csv(&self, file: &str, id: Option<String>) -> Result<(), Fault> {
        let kept = self.kept(&self.result_id(id).await?).await?;
        let text = csv::of(&kept)?;
        let path = self.app.process.cwd.join(file);
        let written = OpenOptions::new().write(true).create_new(true).open(&path);
        let written = written.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| Fault::usage(format!("{} cannot be written: {error}", path.display())))?;
        Ok(self.app.console.line(&format!("{} is saved as {file}", kept.call.full_name()))?)
    }

    /// Makes the call of a result again.
    pub(super) async fn again(&mut self, id: Option<String>) -> Result<(), Fault> {
        let id = self.result_id(id).await?;
        let by = calls::Caller {
            who: self.who(),
            timeout: self.args.timeout,
            approver: self.approver(),
            elicit: elicit::elicit(self.app, &self.terminal),
        };
        let call = calls::again(self.app, self.omni, by, &id);
        let reply = tokio::select! {
            biased;
            () = self.interruption.arrives() => Err(Error::Cancelled.into()),
            () = self.given_up.notified() => Err(Error::Cancelled.into()),
            reply = call => reply,
        };
        self.app.console.spinner.clear();
        calls::show(self.app, None, &reply?).map(drop)
    }

    async fn kept(&self, id: &str) -> Result<KeptResult, Fault> {
        self.omni.result(self.who(), id).await.map_err(of_results)
    }

    /// The one that is named, or else the newest of this session.
    async fn result_id(&self, named: Option<String>) -> Result<String, Fault> {
        if let Some(id) = named {
            return Ok(id);
        }
        let filter = ResultFilter::at(Source::Cli).in_thread(&self.session);
        let newest = self.omni.results(self.who(), &filter).await?.into_iter().next();
        newest.map(|call| call.id).ok_or_else(|| Fault::usage("nothing is kept that a tool returned in this session"))
    }
}
