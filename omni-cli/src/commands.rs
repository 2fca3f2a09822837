//! One file per command.

#[cfg(feature = "sql")]
mod approvals;
mod ask;
mod audit;
mod calls;
mod chat;
mod config;
#[cfg(feature = "sql")]
mod db;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
#[cfg(feature = "sql")]
mod feedback;
mod follow;
#[cfg(feature = "serve")]
mod health;
mod init;
#[cfg(feature = "sql")]
mod keys;
mod manual;
mod mcp;
#[cfg(feature = "sql")]
mod pins;
mod policy;
#[cfg(feature = "sql")]
mod results;
#[cfg(feature = "serve")]
mod serve;
mod servers;
#[cfg(feature = "sql")]
mod sessions;
#[cfg(feature = "slack")]
mod slack;
mod tools;
mod transcript;
#[cfg(feature = "sql")]
mod transfer;
#[cfg(feature = "sql")]
mod users;
mod version;

#[cfg(feature = "sql")]
use crate::args::{ApprovalsCommand, DbCommand, KeysCommand, ResultsCommand, SessionsCommand, UsersCommand};
use crate::{
    app::App,
    args::{AuditCommand, Cli, Command, ConfigCommand, PolicyCommand, ServersCommand, ToolsCommand},
    exit::Exit,
    fault::Fault,
    render,
};

/// Runs a command, and tells of its failure.
pub async fn run(app: &App, cli: &Cli) -> Exit {
    match Box::pin(dispatch(app, &cli.command)).await {
        Ok(exit) => exit,
        Err(fault) => {
            let is_ask = matches!(cli.command, Command::Ask(_));
            render::fault(&app.console, &fault, cli.command.format(), is_ask)
        }
    }
}

async fn dispatch(app: &App, command: &Command) -> Result<Exit, Fault> {
    let carrying_out = Box::pin(carry_out(app, command));
    #[cfg(feature = "demo")]
    if app.global.demo {
        return demo::within(app, command, carrying_out).await;
    }
    carrying_out.await
}

async fn carry_out(app: &App, command: &Command) -> Result<Exit, Fault> {
    match command {
        Command::Ask(args) => ask::run(app, args).await,
        Command::Chat(args) => Box::pin(chat::run(app, args)).await,
        #[cfg(feature = "sql")]
        Command::Approvals(ApprovalsCommand::List(args)) => approvals::list(app, args).await,
        #[cfg(feature = "sql")]
        Command::Approvals(ApprovalsCommand::Show(args)) => approvals::show(app, args).await,
        #[cfg(feature = "sql")]
        Command::Approvals(ApprovalsCommand::Approve(args)) => approvals::approve(app, args).await,
        #[cfg(feature = "sql")]
        Command::Approvals(ApprovalsCommand::Deny(args)) => approvals::deny(app, args).await,
        #[cfg(feature = "sql")]
        Command::Results(ResultsCommand::List(args)) => results::list(app, args).await,
        #[cfg(feature = "sql")]
        Command::Results(ResultsCommand::Show(args)) => results::show(app, args).await,
        #[cfg(feature = "sql")]
        Command::Results(ResultsCommand::Export(args)) => results::export(app, args).await,
        #[cfg(feature = "sql")]
        Command::Results(ResultsCommand::Again(args)) => results::again(app, args).await,
        #[cfg(feature = "sql")]
        Command::Sessions(SessionsCommand::List(args)) => sessions::list(app, args).await,
        #[cfg(feature = "sql")]
        Command::Sessions(SessionsCommand::Show(args)) => sessions::show(app, args).await,
        #[cfg(feature = "sql")]
        Command::Sessions(SessionsCommand::Rm(args)) => sessions::remove(app, args).await,
        #[cfg(feature = "sql")]
        Command::Sessions(SessionsCommand::Export(args)) => sessions::export(app, args).await,
        #[cfg(feature = "sql")]
        Command::Feedback(args) => feedback::run(app, args).await,
        Command::Tools(ToolsCommand::List(args)) => tools::list(app, args).await,
        Command::Tools(ToolsCommand::Show(args)) => tools::show(app, args).await,
        Command::Tools(ToolsCommand::Call(args)) => calls::run(app, args).await,
        #[cfg(feature = "sql")]
        Command::Tools(ToolsCommand::Pins(args)) => pins::list(app, args).await,
        #[cfg(feature = "sql")]
        Command::Tools(ToolsCommand::Diff(args)) => pins::diff(app, args).await,
        #[cfg(feature = "sql")]
        Command::Tools(ToolsCommand::Approve(args)) => pins::approve(app, args).await,
        Command::Servers(ServersCommand::List { json }) => servers::list(app, *json).await,
        Command::Servers(ServersCommand::Check { servers, json }) => servers::check(app, servers, *json).await,
        #[cfg(feature = "mcp-oauth")]
        Command::Servers(ServersCommand::Login(args)) => servers::login::login(app, args).await,
        #[cfg(feature = "mcp-oauth")]
        Command::Servers(ServersCommand::Logout { server }) => servers::login::logout(app, server).await,
        Command::Policy(PolicyCommand::Explain(args)) => policy::run(app, args).await,
        #[cfg(feature = "sql")]
        Command::Policy(PolicyCommand::Import(args)) => transfer::import(app, args).await,
        #[cfg(feature = "sql")]
        Command::Policy(PolicyCommand::Export(args)) => transfer::export(app, args).await,
        #[cfg(feature = "sql")]
        Command::Users(UsersCommand::Add(args)) | Command::AddUser(args) => users::add(app, args).await,
        #[cfg(feature = "sql")]
        Command::Users(UsersCommand::List(args)) => users::list(app, args.json).await,
        #[cfg(feature = "sql")]
        Command::Users(UsersCommand::Disable(args)) => users::disable(app, args).await,
        #[cfg(feature = "sql")]
        Command::Users(UsersCommand::Enable(args)) => users::enable(app, args).await,
        #[cfg(feature = "sql")]
        Command::Users(UsersCommand::Approve(args)) => users::approve(app, args).await,
        #[cfg(feature = "sql")]
        Command::Keys(KeysCommand::Create(args)) => keys::create(app, args).await,
        #[cfg(feature = "sql")]
        Command::Keys(KeysCommand::List(args)) => keys::list(app, args).await,
        #[cfg(feature = "sql")]
        Command::Keys(KeysCommand::Revoke(args)) => keys::revoke(app, args).await,
        Command::ValidatePolicy(args) => policy::run(app, &args.clone().into()).await,
        Command::Audit(AuditCommand::List(args)) => audit::list(app, args).await,
        Command::Audit(AuditCommand::Tail(args)) => audit::tail::tail(app, args).await,
        Command::Audit(AuditCommand::Stats(args)) => audit::stats(app, args).await,
        Command::Audit(AuditCommand::Export(args)) => audit::export(app, args).await,
        Command::Audit(AuditCommand::Head) => audit::proof::head(app).await,
        Command::Audit(AuditCommand::Key(args)) => audit::proof::key(app, args),
        Command::Audit(AuditCommand::Verify(args)) => audit::proof::verify(app, args).await,
        #[cfg(feature = "sql")]
        Command::Db(DbCommand::Migrate(args)) | Command::InitDb(args) => db::migrate(app, args).await,
        #[cfg(feature = "sql")]
        Command::Db(DbCommand::Status { json }) => db::status(app, *json).await,
        #[cfg(feature = "sql")]
        Command::Db(DbCommand::Prune(args)) => db::prune(app, args).await,
        #[cfg(feature = "serve")]
        Command::Serve(args) => Box::pin(serve::run(app, args)).await,
        #[cfg(feature = "serve")]
        Command::Health(args) => health::run(app, args).await,
        #[cfg(feature = "slack")]
        Command::Slack(args) => Box::pin(slack::run(app, args)).await,
        Command::Mcp(args) => Box::pin(mcp::run(app, args)).await,
        Command::Config(ConfigCommand::Check(args)) => config::check(app, args).await,
        Command::Config(ConfigCommand::Schema) => config::schema(app),
        Command::Config(ConfigCommand::Show) => config::effective(app),
        Command::Doctor(args) => doctor::run(app, args).await,
        Command::Init(args) => init::run(app, args),
        Command::Completions { shell } => manual::completions(app, *shell),
        Command::Man { dir } => manual::pages(app, dir.as_deref()),
        Command::Version { json } => version::run(app, *json),
    }
}
