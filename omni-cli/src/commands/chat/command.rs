//! What a line of a chat says.

use clap::ValueEnum as _;
use serde_json::{Map, Value};

use crate::args::ApproveMode;

pub(super) const HELP: &str = "\
/tools [SERVER]             tools that you may use
/tool SERVER.TOOL [OBJECT]  call one yourself, with its arguments as JSON
/model [MODEL]              the model that answers; with a name, another one from now on
/approve [ask|auto|never]   how calls that need approval are decided
/clear                      begin a new session
/retry                      ask the last question again
/more [ID]                  more of what a tool returned: the last one, or this one
/csv FILE [ID]              write what a tool returned as CSV
/again [ID]                 make the same call once more
/save [FILE]                write this session as Markdown
/cost                       what this chat took so far
/session                    the name of this session
/exit                       end the chat (Ctrl-D)
Anything else is a question; one that begins with a slash is written with two.
";

/// The names of all commands.
pub(super) const NAMES: [&str; 14] = [
    "/again", "/approve", "/clear", "/cost", "/csv", "/exit", "/help", "/model", "/more", "/retry", "/save",
    "/session", "/tool", "/tools",
];

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    Nothing,
    Ask(String),
    Help,
    Tools(Option<String>),
    Tool { name: String, arguments: Map<String, Value> },
    Model(Option<String>),
    Approve(Option<ApproveMode>),
    Clear,
    Retry,
    Save(Option<String>),
    More(Option<String>),
    Csv { file: String, id: Option<String> },
    Again(Option<String>),
    Cost,
    Session,
    Exit,
}

impl Command {
    /// Of a line.
    ///
    /// # Errors
    /// What is not understood.
    pub(super) fn of(line: &str) -> Result<Self, String> {
        let line = line.trim();
        if line.is_empty() {
            return Ok(Self::Nothing);
        }
        let Some(rest) = line.strip_prefix('/') else { return Ok(Self::Ask(line.into())) };
        if rest.starts_with('/') {
            return Ok(Self::Ask(rest.into()));
        }
        let (name, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let rest = rest.trim();
        let given = (!rest.is_empty()).then(|| rest.to_owned());
        match (name, &given) {
            ("help" | "?", None) => Ok(Self::Help),
            ("tools", _) => Ok(Self::Tools(given)),
            ("tool", Some(call)) => tool(call),
            ("tool", None) => Err("which one? /tool SERVER.TOOL {\"argument\": \"value\"}".into()),
            ("model", _) => Ok(Self::Model(given)),
            ("approve", None) => Ok(Self::Approve(None)),
            ("approve", Some(mode)) => approve(mode),
            ("clear" | "new", None) => Ok(Self::Clear),
            ("retry", None) => Ok(Self::Retry),
            ("save", _) => Ok(Self::Save(given)),
            ("more", _) => Ok(Self::More(given)),
            ("again", _) => Ok(Self::Again(given)),
            ("csv", Some(rest)) => Ok(csv(rest)),
            ("csv", None) => Err("into which file? /csv FILE [ID]".into()),
            ("cost", None) => Ok(Self::Cost),
            ("session", None) => Ok(Self::Session),
            ("exit" | "quit", None) => Ok(Self::Exit),
            (known, Some(_)) if NAMES.iter().any(|name| name[1..] == *known) => Err(format!("/{known} takes nothing")),
            (unknown, _) => Err(no_such(unknown)),
        }
    }
}

fn tool(call: &str) -> Result<Command, String> {
    let (name, arguments) = call.split_once(char::is_whitespace).unwrap_or((call, ""));
    let arguments = match arguments.trim() {
        "" => Map::new(),
        text => match serde_json::from_str(text) {
            Ok(Value::Object(arguments)) => arguments,
            Ok(_) => return Err("arguments are one JSON object, such as {\"database\": \"prod\"}".into()),
            Err(error) => return Err(format!("the arguments are not JSON: {error}")),
        },
    };
    Ok(Command::Tool { name: name.into(), arguments })
}

/// A file, and perhaps a result: its id is the last word, for files may have blanks.
fn csv(rest: &str) -> Command {
    let last = rest.rsplit_once(char::is_whitespace).filter(|(_, last)| last.starts_with("r_"));
    match last {
        Some((file, id)) => Command::Csv { file: file.trim().into(), id: Some(id.into()) },
        None => Command::Csv { file: rest.into(), id: None },
    }
}

fn approve(mode: &str) -> Result<Command, String> {
    let mode = ApproveMode::from_str(mode, true).map_err(|_| format!("{mode:?} is none of ask, auto and never"))?;
    Ok(Command::Approve(Some(mode)))
}

pub(super) fn mode_name(mode: ApproveMode) -> &'static str {
    match mode {
        ApproveMode::Ask => "ask",
        ApproveMode::Never => "never",
        ApproveMode::Auto => "auto",
    }
}

fn no_such(name: &str) -> String {
    let near = NAMES.iter().map(|known| (strsim::jaro_winkler(&known[1..], name), known));
    let near = near.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    let near = near.map(|(_, known)| format!("; did you mean {known}?")).unwrap_or_default();
    format!("there is no /{name}{near} /help lists the commands", near = if near.is_empty() { ";" } else { &near })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_a_question_unless_it_begins_with_a_slash() {
        for (line, question) in [("Is it up?", "Is it up?"), ("  why? ", "why?"), ("//etc?", "/etc?")] {
            assert_eq!(Command::of(line), Ok(Command::Ask(question.into())), "{line}");
        }
        assert_eq!(Command::of("  "), Ok(Command::Nothing));
    }

    #[test]
    fn commands_are_read_with_what_belongs_to_them() {
        let arguments = json!({ "a": 1 }).as_object().cloned().unwrap();
        for (line, command) in [
            ("/tools", Command::Tools(None)),
            ("/tools db", Command::Tools(Some("db".into()))),
            ("/tool db.get {\"a\": 1}", Command::Tool { name: "db.get".into(), arguments }),
            ("/tool db.get", Command::Tool { name: "db.get".into(), arguments: Map::new() }),
            ("/model haiku", Command::Model(Some("haiku".into()))),
            ("/approve auto", Command::Approve(Some(ApproveMode::Auto))),
            ("/save a b.md", Command::Save(Some("a b.md".into()))),
            ("/more", Command::More(None)),
            ("/more r_1", Command::More(Some("r_1".into()))),
            ("/csv a b.csv", Command::Csv { file: "a b.csv".into(), id: None }),
            ("/csv a b.csv  r_1", Command::Csv { file: "a b.csv".into(), id: Some("r_1".into()) }),
            ("/again r_1", Command::Again(Some("r_1".into()))),
            ("/quit", Command::Exit),
        ] {
            assert_eq!(Command::of(line), Ok(command), "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_says_what_would_be() {
        for (line, words) in [
            ("/tols", "did you mean /tools? /help"),
            ("/xyz", "there is no /xyz; /help"),
            ("/tool", "/tool SERVER.TOOL"),
            ("/tool db.get [1]", "one JSON object"),
            ("/tool db.get {", "not JSON"),
            ("/approve maybe", "ask, auto and never"),
            ("/csv", "/csv FILE"),
            ("/cost now", "/cost takes nothing"),
        ] {
            let error = Command::of(line).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn help_tells_of_every_command() {
        for name in NAMES.iter().filter(|name| **name != "/help") {
            assert!(HELP.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name}");
        }
    }
}
