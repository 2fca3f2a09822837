//! `omni chat`.

use std::{fs::OpenOptions, io::Write as _, sync::Arc, time::Duration};

use omni_core::{
    Answer, Ask, Config, Error, Omni, Source, ask::AskOptions, confirm::Approver, cost::NanoUsd, identity::Credential,
    thread::Conversation,
};
use serde_json::{Map, Value};
use tokio::{sync::Notify, time::timeout};
use uuid::Uuid;

use super::{
    ask::{is_kept, new_name},
    calls,
    follow::{self, Interruption},
    tools, transcript,
};
use crate::{
    app::App,
    approve,
    args::{ApproveMode, ChatArgs, ListArgs},
    console::clean::Cleaner,
    elicit,
    exit::Exit,
    fault::Fault,
    render::{Ending, Render as _, Text, counted, error_lines},
    tty::Modes,
    typed::Terminal,
};

mod command;
mod lines;
mod results;

use command::{Command, HELP};
use lines::{Line, Lines, Prompt};
use results::Shown;

/// What stands before each line that is typed.
const PROMPT: &str = "omni> ";
/// How long the end of a chat waits to learn whether something of it is kept.
const LOOKED_UP_WITHIN: Duration = Duration::from_secs(2);

/// Talks until the person ends it.
pub(super) async fn run(app: &App, args: &ChatArgs) -> Result<Exit, Fault> {
    // A chat that is ended from outside does not end the reading of a line.
    let _modes = Modes::keep();
    let config = app.config()?;
    let omni = app.build(&config).await?;
    let result = match Chat::begin(app, args, &config, &omni).await {
        Ok(mut chat) => chat.talk().await,
        Err(fault) => Err(fault),
    };
    follow::close(&omni).await;
    result
}

/// A chat, as it stands.
struct Chat<'a> {
    app: &'a App,
    args: &'a ChatArgs,
    omni: &'a Omni,
    lines: Arc<Lines>,
    terminal: Arc<Terminal>,
    interruption: Interruption,
    /// Told when the person gives a turn up where they were asked something.
    given_up: Arc<Notify>,
    session: String,
    is_kept: bool,
    model: Option<String>,
    mode: ApproveMode,
    last: Option<String>,
    shown: Shown,
    spent: Spent,
}

/// What the answers of this chat took.
#[derive(Debug, Default)]
struct Spent {
    questions: u64,
    tokens: u64,
    cost: NanoUsd,
    /// Answers whose price is not known.
    unknown: u64,
}

impl Spent {
    fn add(&mut self, answer: &Answer) {
        self.questions += 1;
        self.tokens += answer.usage.total();
        match answer.cost {
            Some(cost) => self.cost = self.cost + cost,
            None => self.unknown += 1,
        }
    }

    fn told(&self) -> String {
        let Self { questions, tokens, cost, unknown } = self;
        let unknown = if *unknown > 0 { format!(", and {unknown} of unknown price") } else { String::new() };
        let (questions, tokens) = (counted(*questions, "question"), counted(*tokens, "token"));
        format!("{questions}, {tokens}, {cost}{unknown}")
    }
}

impl<'a> Chat<'a> {
    async fn begin(app: &'a App, args: &'a ChatArgs, config: &Config, omni: &'a Omni) -> Result<Self, Fault> {
        let who = app.credential(args.act_as.as_deref());
        let session = match args.resume.as_deref() {
            None => new_name(Uuid::now_v7()),
            Some("") => last(omni, who).await?,
            Some(name) => known(omni, who, name).await?,
        };
        let (lines, given_up) = (Lines::open(app, config)?, Arc::default());
        let typed = Arc::new(Prompt::new(lines.clone(), Arc::clone(&given_up)));
        Ok(Self {
            app,
            args,
            omni,
            lines,
            terminal: Terminal::new(app.console.clone(), typed),
            interruption: Interruption::listen(),
            given_up,
            session,
            is_kept: is_kept(config),
            model: args.model.clone(),
            mode: args.approvals.mode(),
            last: None,
            shown: Shown::default(),
            spent: Spent::default(),
        })
    }

    async fn talk(&mut self) -> Result<Exit, Fault> {
        self.app.console.hint(&format!("session {}; /help lists the commands, Ctrl-D ends the chat", self.session));
        let mut is_leaving = false;
        let exit = loop {
            if self.lines.is_outlived() {
                self.app.console.hint("the question above is over; press Enter");
            }
            let line = tokio::select! {
                biased;
                () = self.interruption.arrives() => break Exit::Interrupted,
                line = self.lines.next(PROMPT, true) => line?,
            };
            match line {
                Line::End => break Exit::Success,
                Line::Interrupted if is_leaving => break Exit::Success,
                Line::Interrupted => {
                    self.app.console.hint("Ctrl-C once more ends the chat");
                    is_leaving = true;
                    continue;
                }
                Line::Text(text) => {
                    if !self.take(&text).await? {
                        break Exit::Success;
                    }
                    // Ctrl-C ends what runs, and whatever else arrives the chat too.
                    if self.interruption.is_final() {
                        break Exit::Interrupted;
                    }
                }
            }
            is_leaving = false;
        };
        if self.can_go_on().await {
            self.app.console.hint(&format!("`omni chat --resume={}` goes on with this session", self.session));
        }
        Ok(exit)
    }

    /// Whether something of this session is there later: what failed or was given up is not.
    async fn can_go_on(&self) -> bool {
        if !self.is_kept || self.spent.questions == 0 {
            return false;
        }
        let kept = timeout(LOOKED_UP_WITHIN, self.omni.thread(self.who(), Source::Cli, &self.session)).await;
        matches!(kept, Ok(Ok(_)))
    }

    /// Does what a line says; whether the chat goes on.
    async fn take(&mut self, text: &str) -> Result<bool, Fault> {
        let done = match Command::of(text) {
            Ok(Command::Nothing) => Ok(()),
            Ok(Command::Exit) => return Ok(false),
            Ok(Command::Ask(question)) => self.ask(question).await,
            Ok(command) => self.carry_out(command).await,
            Err(message) => Err(Fault::usage(message)),
        };
        match done {
            Ok(()) => Ok(true),
            Err(Fault::Failed { error, hint, .. }) => {
                error_lines(&self.app.console, &error, hint);
                Ok(true)
            }
            Err(gone @ Fault::BrokenPipe) => Err(gone),
        }
    }

    async fn carry_out(&mut self, command: Command) -> Result<(), Fault> {
        match command {
            Command::Nothing | Command::Exit | Command::Ask(_) => Ok(()),
            Command::Help => Ok(self.app.console.write(HELP)?),
            Command::Tools(server) => {
                let args = ListArgs::new(server, self.args.act_as.clone());
                tokio::select! {
                    biased;
                    () = self.interruption.arrives() => Err(Error::Cancelled.into()),
                    listed = tools::list_with(self.app, &args, self.omni) => listed.map(drop),
                }
            }
            Command::Tool { name, arguments } => self.call(&name, arguments).await,
            Command::Model(None) => {
                let model = self.model.as_deref().unwrap_or("the model of the configuration");
                Ok(self.app.console.line(model)?)
            }
            Command::Model(model) => {
                self.model = model;
                Ok(())
            }
            Command::Clear => {
                self.session = new_name(Uuid::now_v7());
                self.last = None;
                Ok(self.app.console.line(&format!("A new session begins: {}", self.session))?)
            }
            Command::Retry => match self.last.clone() {
                Some(question) => self.ask(question).await,
                None => Err(Fault::usage("nothing was asked yet")),
            },
            Command::Save(file) => self.save(file).await,
            Command::More(id) => self.more(id).await,
            Command::Csv { file, id } => self.csv(&file, id).await,
            Command::Again(id) => self.again(id).await,
            Command::Cost => Ok(self.app.console.line(&self.spent.told())?),
            Command::Session => Ok(self.app.console.line(&self.session)?),
            Command::Approve(None) => Ok(self.app.console.line(command::mode_name(self.mode))?),
            Command::Approve(Some(mode)) => {
                self.mode = mode;
                Ok(())
            }
        }
    }

    async fn ask(&mut self, question: String) -> Result<(), Fault> {
        let mut options = AskOptions::default();
        options.model.clone_from(&self.model);
        options.timeout = self.args.timeout;
        options.max_cost = self.args.max_cost.map(NanoUsd::from_usd);
        let mut ask = Ask::new(self.who(), question.clone())
            .with_source(Source::Cli)
            .with_options(options)
            .with_approver(self.approver())
            .with_elicit(elicit::elicit(self.app, &self.terminal));
        ask.thread = Some(Conversation::Own(self.session.clone()));
        self.last = Some(question);
        // What was given up before is over.
        let _ = timeout(Duration::ZERO, self.given_up.notified()).await;
        let mut render = Text::new(&self.app.console, true);
        let stream = self.omni.ask_stream(ask);
        let (given_up, mut is_given_up) = (Arc::clone(&self.given_up), false);
        let gives_up = async {
            given_up.notified().await;
            is_given_up = true;
        };
        let result = follow::follow(stream, &mut self.interruption, gives_up, &mut render).await?;
        let ending = Ending::new(result, true);
        self.spent.add(ending.answer());
        if is_given_up {
            self.app.console.release();
            self.app.console.spinner.clear();
            self.app.console.warning("given up");
            return Ok(());
        }
        render.end(&ending)
    }

    async fn call(&mut self, name: &str, arguments: Map<String, Value>) -> Result<(), Fault> {
        let by = calls::Caller {
            who: self.who(),
            timeout: self.args.timeout,
            approver: self.approver(),
            elicit: elicit::elicit(self.app, &self.terminal),
        };
        let call = calls::by_name(self.app, self.omni, by, name, (arguments, &[]));
        let reply = tokio::select! {
            biased;
            () = self.interruption.arrives() => Err(Error::Cancelled.into()),
            () = self.given_up.notified() => Err(Error::Cancelled.into()),
            reply = call => reply,
        };
        self.app.console.spinner.clear();
        calls::show(self.app, None, &reply?).map(drop)
    }

    /// Writes the session to a file that is not there yet.
    async fn save(&mut self, file: Option<String>) -> Result<(), Fault> {
        let who = self.who();
        let read = tokio::select! {
            biased;
            () = self.interruption.arrives() => Err(Error::Cancelled),
            read = transcript::read(self.omni, who, &self.session) => read,
        };
        let (kept, summary) = match read {
            Err(Error::NotFound { .. }) => return Err(Fault::usage("nothing is kept of this session yet")),
            read => read?,
        };
        let text = transcript::markdown(&transcript::Session::new(&self.session, &kept, summary.as_ref()));
        let file = file.unwrap_or_else(|| format!("{}.md", self.session));
        let path = self.app.process.cwd.join(&file);
        let written = OpenOptions::new().write(true).create_new(true).open(&path);
        let written = written.and_then(|mut file| writeln!(file, "{}", Cleaner::all(&text)));
        written.map_err(|error| Fault::usage(format!("{} cannot be written: {error}", path.display())))?;
        Ok(self.app.console.line(&format!("Saved as {file}"))?)
    }

    fn who(&self) -> Credential {
        self.app.credential(self.args.act_as.as_deref())
    }

    fn approver(&self) -> Arc<dyn Approver> {
        approve::approver(self.app, self.mode, &self.terminal)
    }
}

/// The session that was used last.
async fn last(omni: &Omni, who: Credential) -> Result<String, Fault> {
    let last = omni.threads(who, Source::Cli).await?.into_iter().next();
    let none = || Fault::usage("there is no session to go on with; `omni chat` begins one");
    last.map(|entry| entry.key.thread).ok_or_else(none)
}

/// A session that is there.
async fn known(omni: &Omni, who: Credential, name: &str) -> Result<String, Fault> {
    match omni.thread(who, Source::Cli, name).await {
        Ok(_) => Ok(name.to_owned()),
        Err(error @ Error::NotFound { .. }) => {
            Err(Fault::from(error).hint("`omni sessions list` shows what there is; `omni chat` begins a new one"))
        }
        Err(error) => Err(error.into()),
    }
}
