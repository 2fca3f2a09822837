//! `omni results`.

use omni_core::{
    Error, Omni, Source,
    results::{KeptCall, ResultFilter, csv},
};
use serde_json::{Value, json};

use super::{
    calls,
    follow::{self, Interruption},
    users::{say, table},
};
use crate::{
    app::App,
    approve,
    args::{AgainArgs, ExportResultArgs, ListResultsArgs, ShowResultArgs},
    elicit,
    exit::Exit,
    fault::Fault,
};

/// Most characters of arguments in a list.
const MAX_SHOWN: usize = 60;

/// Looks at what is kept, and ends the pipeline. No server is needed for it.
async fn with<T>(app: &App, work: impl AsyncFnOnce(&Omni) -> Result<T, Error>) -> Result<T, Fault> {
    follow::without_servers(app, work, calls::of_results).await
}

pub(super) async fn list(app: &App, args: &ListResultsArgs) -> Result<Exit, Fault> {
    let who = app.credential(args.act_as.as_deref());
    let filter = match &args.session {
        Some(session) => ResultFilter::at(Source::Cli).in_thread(session),
        None => ResultFilter::default(),
    };
    let calls = with(app, async |omni| omni.results(who, &filter).await).await?;
    let row = |call: &KeptCall| {
        let arguments: String = call.arguments.get().chars().take(MAX_SHOWN).collect();
        let until = call.expires_at.format("%Y-%m-%d %H:%M").to_string();
        [call.id.clone(), call.full_name(), call.bytes.to_string(), until, arguments]
    };
    let text = match calls.is_empty() {
        true => "Nothing is kept that a tool returned.".into(),
        false => table(["ID", "TOOL", "BYTES", "KEPT UNTIL (UTC)", "ARGUMENTS"], calls.iter().map(row)),
    };
    say(app, args.json, &calls.iter().map(document).collect::<Value>(), &text)
}

fn document(call: &KeptCall) -> Value {
    json!({
        "result_id": call.id,
        "server": call.server,
        "tool": call.tool,
        "arguments": call.arguments_json(),
        "request_id": call.request_id,
        "source": call.source.as_str(),
        "session_id": call.thread,
        "bytes": call.bytes,
        "is_cut": call.is_cut,
        "created_at": call.created_at,
        "expires_at": call.expires_at,
    })
}

pub(super) async fn show(app: &App, args: &ShowResultArgs) -> Result<Exit, Fault> {
    let who = app.credential(args.act_as.as_deref());
    let kept = with(app, async |omni| omni.result(who, &args.id).await).await?;
    let page = kept.page(args.offset, args.limit.max(1));
    let mut document = document(&kept.call);
    document["text"] = page.text.into();
    (document["offset"], document["next_offset"]) = (page.offset.into(), page.next.into());
    document["structured"] = kept.structured.clone().unwrap_or_default();
    say(app, args.json, &document, page.text.trim_end_matches('\n'))?;
    match page.next {
        Some(next) => app.console.hint(&format!("there is more: --offset {next}")),
        None if kept.call.is_cut => app.console.hint("there was more, which is not kept"),
        None => {}
    }
    Ok(Exit::Success)
}

pub(super) async fn export(app: &App, args: &ExportResultArgs) -> Result<Exit, Fault> {
    let who = app.credential(args.act_as.as_deref());
    let kept = with(app, async |omni| omni.result(who, &args.id).await).await?;
    match args.csv {
        true => app.console.write(&csv::of(&kept)?)?,
        false => app.console.line(kept.text.trim_end_matches('\n'))?,
    }
    if kept.call.is_cut {
        app.console.warning("there was more, which is not kept");
    }
    Ok(Exit::Success)
}

/// Makes the call anew, as `omni tools call` would.
pub(super) async fn again(app: &App, args: &AgainArgs) -> Result<Exit, Fault> {
    let omni = app.omni().await?;
    let mut interruption = Interruption::listen();
    let result = tokio::select! {
        biased;
        () = interruption.arrives() => Err(Error::Cancelled.into()),
        result = call(app, args, &omni) => result,
    };
    follow::close(&omni).await;
    result
}

async fn call(app: &App, args: &AgainArgs, omni: &Omni) -> Result<Exit, Fault> {
    let terminal = app.terminal();
    let by = calls::Caller {
        who: app.credential(args.act_as.as_deref()),
        timeout: args.timeout,
        approver: approve::approver(app, args.approvals.mode(), &terminal),
        elicit: elicit::elicit(app, &terminal),
    };
    let reply = calls::again(app, omni, by, &args.id).await?;
    calls::show(app, args.output, &reply)
}
