//! One question through one MCP server: `cargo run -p omni-examples --example embed -- COMMAND [ARG …]`.
//!
//! For instance `… -- npx -y @modelcontextprotocol/server-everything stdio`. The language model is
//! Anthropic's if `ANTHROPIC_API_KEY` is set, and the offline provider otherwise.

use omni_core::{
    Ask, Omni, Principal,
    llm::{anthropic::Anthropic, offline::Offline},
    mcp::stdio::StdioServer,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut command = std::env::args().skip(1);
    let mut builder = Omni::builder();
    builder = match Anthropic::from_env() {
        Ok(anthropic) => builder.llm(anthropic),
        Err(_) => builder.llm(Offline::new()),
    };
    if let Some(program) = command.next() {
        builder = builder.server("sample", StdioServer::new(program).args(command));
    }
    let omni = builder.build().await?;
    let answer = omni.ask(Ask::new(Principal::email("dba@company.com"), "What is the sum of 17 and 25?")).await;
    omni.shutdown().await;
    show(&answer?.text);
    Ok(())
}

#[allow(clippy::print_stdout, reason = "this sample's output is for a person")]
fn show(text: &str) {
    println!("{text}");
}
