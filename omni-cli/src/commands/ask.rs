//! `omni ask`.

use std::future;

use omni_core::{
    Ask, Config, Omni, Source, ask::AskOptions, config::StoreContent, cost::NanoUsd, omni::Preview,
    thread::Conversation,
};
use uuid::Uuid;

use super::follow::{self, Interruption};
use crate::{
    app::App,
    approve,
    args::AskArgs,
    elicit,
    exit::Exit,
    fault::Fault,
    input::{self, Input},
    render::{Document, Ending, Format, Lines, Render, Text, document::DryRunDocument},
};

/// Asks, shows what happens, and leaves nothing behind unrecorded.
pub(super) async fn run(app: &App, args: &AskArgs) -> Result<Exit, Fault> {
    if args.dry_run && args.format() == Format::Jsonl {
        return Err(Fault::usage("--dry-run has no events; use --json"));
    }
    let input = input::read(app, &args.question, args.timeout).await?;
    let mut config = app.config()?;
    if args.no_tools {
        // What is not offered need not be complete.
        config.servers.clear();
    }
    let omni = app.build(&config).await?;
    let mut ask = ask(app, args, input);
    let result = match conversation(app, args, &config, &omni, &ask).await {
        Err(fault) => Err(fault),
        Ok(_) if args.dry_run => dry_run(app, args, &omni, ask).await,
        Ok(conversation) => {
            ask.thread = conversation;
            answer(app, args, &omni, ask).await
        }
    };
    follow::close(&omni).await;
    let has_own = config.servers.iter().any(|server| server.builtin.is_none()) || config.dir.is_some();
    if !has_own && !args.no_tools && matches!(result, Ok(Exit::Success)) {
        app.console
            .hint("no MCP server is configured yet; `omni init --example minimal` writes a configuration with one");
    }
    result
}

fn ask(app: &App, args: &AskArgs, input: Input) -> Ask {
    let mut options = AskOptions::default();
    options.model.clone_from(&args.model);
    options.no_tools = args.no_tools;
    options.timeout = args.timeout;
    options.max_cost = args.max_cost.map(NanoUsd::from_usd);
    options.max_turns = args.max_iterations;
    let terminal = app.terminal();
    let mut ask = Ask::new(app.credential(args.act_as.as_deref()), input.question)
        .with_source(Source::Cli)
        .with_options(options)
        .with_approver(approve::approver(app, args.approvals.mode(), &terminal))
        .with_elicit(elicit::elicit(app, &terminal));
    ask.attachments.extend(input.attachment);
    ask
}

/// The session that the question belongs to: a new one, unless it goes on with another.
async fn conversation(
    app: &App,
    args: &AskArgs,
    config: &Config,
    omni: &Omni,
    ask: &Ask,
) -> Result<Option<Conversation>, Fault> {
    if let Some(name) = &args.session {
        if !is_kept(config) {
            app.console.warning("the session ends with this command: the ledger is in no database");
        }
        return Ok(Some(Conversation::Own(name.clone())));
    }
    if args.go_on {
        let last = omni.threads(app.credential(args.act_as.as_deref()), Source::Cli).await?.into_iter().next();
        let last = last.ok_or_else(|| Fault::usage("there is no session to go on with; `omni ask` begins one"))?;
        return Ok(Some(Conversation::Own(last.key.thread)));
    }
    // Whoever wants no content in the ledger wants none beside it that nobody asked for.
    let is_new = !args.no_session && is_kept(config) && config.store_content != StoreContent::None;
    Ok(is_new.then(|| Conversation::New(new_name(ask.request_id))))
}

/// Whether sessions outlive the command.
pub(super) fn is_kept(config: &Config) -> bool {
    config.audit.has_database()
}

/// Short enough to be typed.
pub(super) fn new_name(id: Uuid) -> String {
    let id = id.simple().to_string();
    id[id.len() - 8..].to_owned()
}

async fn answer(app: &App, args: &AskArgs, omni: &Omni, ask: Ask) -> Result<Exit, Fault> {
    let mut render = renderer(app, args);
    let mut interruption = Interruption::listen();
    let result = follow::follow(omni.ask_stream(ask), &mut interruption, future::pending(), &mut *render).await?;
    let ending = Ending::new(result, args.allow_denied);
    render.end(&ending)?;
    Ok(ending.exit)
}

fn renderer<'a>(app: &'a App, args: &AskArgs) -> Box<dyn Render + Send + 'a> {
    let console = &*app.console;
    match args.format() {
        Format::Text => Box::new(Text::new(console, !args.no_stream)),
        Format::Json => Box::new(Document { console }),
        Format::Jsonl => Box::new(Lines { console }),
    }
}

async fn dry_run(app: &App, args: &AskArgs, omni: &Omni, ask: Ask) -> Result<Exit, Fault> {
    let preview = omni.preview(ask).await?;
    match args.format() {
        Format::Text => app.console.line(&shown(&preview))?,
        Format::Json | Format::Jsonl => app.console.json(&DryRunDocument::of(&preview))?,
    }
    Ok(Exit::Success)
}

fn shown(preview: &Preview) -> String {
    let mut text = format!(
        "Model: {} ({})\nUser:  {}\nRole:  {}\nTools: {}\n",
        preview.model.id,
        preview.model.provider,
        preview.grant.principal.subject,
        preview.grant.role.name,
        preview.tools.len(),
    );
    for tool in preview.tools.tools() {
        text.push_str(&format!("  {}\n", tool.def.full_name()));
    }
    text.push_str(&format!("\nSystem prompt:\n{}", preview.system));
    text
}
