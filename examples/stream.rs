//! The answer as it comes, event by event: `cargo run -p omni-examples --example stream`.

use std::io::Write as _;

use omni_core::{AnswerEvent, Ask, Omni, Principal, llm::scripted::Scripted};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let llm = Scripted::new().say("An answer comes in pieces, and this one was written beforehand.");
    let omni = Omni::builder().llm(llm).build().await?;
    let mut events = omni.ask_stream(Ask::new(Principal::email("dba@company.com"), "Say something."));
    let mut out = std::io::stdout();
    while let Some(event) = events.next().await {
        match event {
            AnswerEvent::Text { text } => write!(out, "{text}")?,
            AnswerEvent::ToolStarted { server, tool, .. } => writeln!(out, "[{server}.{tool} …]")?,
            AnswerEvent::ToolFinished(call) => {
                writeln!(out, "[{}.{} {} ms]", call.server, call.tool, call.duration_ms)?
            }
            AnswerEvent::Done(answer) => writeln!(out, "\n(model turns: {})", answer.iterations)?,
            AnswerEvent::Error(failure) => writeln!(out, "\nfailed: {}", failure.error)?,
            // More kinds of events may come with later versions.
            _ => {}
        }
        out.flush()?;
    }
    omni.shutdown().await;
    Ok(())
}
