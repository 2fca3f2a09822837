//! The forms of an answer: text as it comes, one JSON document, or JSON lines.

use std::{ffi::OsString, fmt};

use clap::ValueEnum;
use omni_core::{
    Answer, AnswerEvent, Error,
    answer::{
        Failure,
        json::{ErrorJson, EventJson},
    },
    config::ConfigError,
};
use uuid::Uuid;

pub mod document;
mod json;
mod text;

pub(crate) use json::{Document, Lines};
pub(crate) use text::Text;

use crate::{
    args::words,
    console::{Console, clean::Cleaner},
    exit::Exit,
    fault::{self, Fault},
};
use document::{AskDocument, FaultDocument};

/// The form of a command's result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// One JSON event per line.
    Jsonl,
}

impl Format {
    /// JSON, if asked for.
    #[must_use]
    pub fn json_if(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }

    /// The form that arguments ask for that could not be understood as a whole.
    pub(crate) fn guess(args: &[OsString]) -> Self {
        let is_call = words(args).take(2).eq(["tools", "call"]);
        let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        let has = |wanted: &str| args.iter().any(|arg| arg == wanted);
        let value = |wanted: &str| {
            args.windows(2).any(|pair| matches!(&*pair[0], "-o" | "--output") && pair[1] == wanted)
                || has(&format!("--output={wanted}"))
        };
        match () {
            () if has("--jsonl") || value("jsonl") => Self::Jsonl,
            // `tools call` takes its arguments by an option of that name.
            () if (has("--json") && !is_call) || value("json") => Self::Json,
            () => Self::Text,
        }
    }
}

/// How an ask ended, with the exit code that goes with it.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) result: Result<Answer, Failure>,
    pub(crate) exit: Exit,
}

impl Ending {
    pub(crate) fn new(result: Result<Answer, Failure>, allow_denied: bool) -> Self {
        let exit = match &result {
            Ok(answer) => Exit::of_answer(answer, allow_denied),
            Err(failure) => Exit::of_error(&failure.error),
        };
        Self { result, exit }
    }

    pub(crate) fn answer(&self) -> &Answer {
        match &self.result {
            Ok(answer) => answer,
            Err(failure) => &failure.answer,
        }
    }
}

/// Shows an ask.
pub(crate) trait Render {
    /// What happens.
    fn event(&mut self, event: &AnswerEvent) -> Result<(), Fault>;

    /// How it ended.
    fn end(&mut self, ending: &Ending) -> Result<(), Fault>;
}

/// Tells of a failure: one line for people, a document for programs.
pub(crate) fn fault(console: &Console, fault: &Fault, format: Format, is_ask: bool) -> Exit {
    if let Fault::Failed { error, hint, .. } = fault {
        error_lines(console, error, hint.clone());
        if format != Format::Text {
            // The reader may be gone; the exit code still tells.
            let _ = fault_document(console, fault, format, is_ask);
        }
    }
    fault.exit()
}

/// Text from outside as part of a line, which it cannot end: nothing in it passes for a line of its own.
pub(crate) fn one_line(text: &str) -> String {
    Cleaner::all(&text.replace('\r', "\n")).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// So many of something whose name takes an `s` where there are several.
pub(crate) fn counted<N: fmt::Display + PartialEq + From<u8> + Copy>(count: N, name: &str) -> String {
    let many = if count == N::from(1) { "" } else { "s" };
    format!("{count} {name}{many}")
}

/// The lines of an error on standard error.
pub(crate) fn error_lines(console: &Console, error: &Error, hint: Option<String>) {
    let line = fault::line(error);
    match error {
        Error::Config(ConfigError::Several { findings }) => {
            findings.iter().for_each(|finding| console.error(&finding.to_string()));
        }
        Error::Limit(_) => console.marked("🚫", owo_colors::Style::new(), &line),
        _ => console.error(&line),
    }
    if let Some(hint) = hint.or_else(|| fault::advice(error)) {
        console.hint(&hint);
    }
}

/// A failure as a document, in the form of the command that failed.
pub(crate) fn fault_document(console: &Console, fault: &Fault, format: Format, is_ask: bool) -> Result<(), Fault> {
    let Fault::Failed { error, exit, .. } = fault else { return Ok(()) };
    let json = error_json(fault);
    match format {
        Format::Jsonl => {
            let failure = Failure::new((**error).clone(), nothing());
            console.json_line(&failed(failure, json.unwrap_or_else(|| told(error))))
        }
        Format::Json if is_ask => console.json(&AskDocument::of_fault(&nothing(), json, *exit)),
        Format::Json | Format::Text => console.json(&FaultDocument::new(json, *exit)),
    }
}

/// The answer of an ask that never began.
fn nothing() -> Answer {
    let mut answer = Answer::empty(Uuid::nil(), "");
    answer.status = omni_core::answer::Status::Failed;
    answer
}

/// The last line of an ask that failed.
fn failed(failure: Failure, error: ErrorJson) -> EventJson {
    let mut event = EventJson::from(&AnswerEvent::Error(Box::new(failure)));
    if let EventJson::Error(failure) = &mut event {
        failure.error = error;
    }
    event
}

/// An error for programs. They run for whoever is at the terminal, so nothing is kept back.
fn told(error: &Error) -> ErrorJson {
    let mut json = ErrorJson::from(error);
    (json.message, json.hint) = (fault::line(error), fault::advice(error));
    json
}

fn error_json(fault: &Fault) -> Option<ErrorJson> {
    let Fault::Failed { error, hint, exit } = fault else { return None };
    let mut json = told(error);
    json.hint = hint.clone().or(json.hint);
    match exit {
        Exit::InputNeeded => json.code = "input_needed".into(),
        Exit::Failed => json.code = "failed".into(),
        _ => {}
    }
    Some(json)
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
