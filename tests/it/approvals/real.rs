//! A real server whose tool that writes takes a human, and whose tool that reads does not.

use std::{path::Path, time::Duration};

use omni_core::{
    Omni,
    llm::scripted::Scripted,
    mcp::{ServerOptions, stdio::StdioServer},
    policy::RuleSet,
};
use omni_tests::parts::{Parts, base_env};

use super::*;

async fn filesystem(dir: &Path, llm: Scripted) -> Omni {
    let parts = Parts::find();
    let args = [parts.filesystem().display().to_string(), dir.display().to_string()];
    let server = StdioServer::new(parts.node()).with_args(args).with_base_env(base_env());
    let mut options = ServerOptions::default();
    options.connect_timeout = Duration::from_secs(60);
    let policy = Changing::new();
    policy.become_(RuleSet::builder().allow("fs", "*").confirm("fs", "write_*").build().unwrap());
    Omni::builder().llm(llm).policy(policy).server_with("fs", server, options).build().await.unwrap()
}

#[tokio::test]
async fn a_file_is_read_at_once_and_written_when_somebody_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let (note, copy) = (dir.path().join("note.txt"), dir.path().join("copy.txt"));
    std::fs::write(&note, "from the file\n").unwrap();
    let write = json!({ "path": copy, "content": "from the file\n" });
    let llm = Scripted::new()
        .call(&[("fs__read_text_file", json!({ "path": note })), ("fs__write_file", write.clone())])
        .say("Copied.")
        .call(&[("fs__write_file", write)])
        .say("Not again.");
    let omni = filesystem(dir.path(), llm.clone()).await;
    let waiting = parked(&omni, ask()).await;
    assert_eq!(waiting.tool_calls.iter().map(|call| &*call.tool).collect::<Vec<_>>(), ["read_text_file"]);
    assert_eq!((&*waiting.pending[0].tool, copy.exists()), ("write_file", false));
    let answer = approve(&omni, waiting.pending[0].id, ADA).await.unwrap();
    assert_eq!(
        (answer.text.as_str(), std::fs::read_to_string(&copy).unwrap().as_str()),
        ("Copied.", "from the file\n")
    );
    std::fs::remove_file(&copy).unwrap();
    let waiting = parked(&omni, ask()).await;
    assert_eq!(deny(&omni, waiting.pending[0].id, "enough").await.text, "Not again.");
    assert!(!copy.exists());
    omni.shutdown().await;
}
