//! Answers for programs.

use omni_core::{AnswerEvent, answer::json::EventJson};

use super::{Ending, Render, document::AskDocument, failed, told};
use crate::{console::Console, fault::Fault};

/// One document at the end.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    pub(crate) console: &'a Console,
}

impl Render for Document<'_> {
    fn event(&mut self, _: &AnswerEvent) -> Result<(), Fault> {
        Ok(())
    }

    fn end(&mut self, ending: &Ending) -> Result<(), Fault> {
        self.console.json(&AskDocument::of(ending))
    }
}

/// One line per event, the last one `done` or `error`.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    pub(crate) console: &'a Console,
}

impl Render for Lines<'_> {
    fn event(&mut self, event: &AnswerEvent) -> Result<(), Fault> {
        self.console.json_line(&EventJson::from(event))
    }

    fn end(&mut self, ending: &Ending) -> Result<(), Fault> {
        match &ending.result {
            Ok(answer) => self.event(&AnswerEvent::Done(Box::new(answer.clone()))),
            Err(failure) => self.console.json_line(&failed(failure.clone(), told(&failure.error))),
        }
    }
}
