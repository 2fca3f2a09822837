//! What waits for a restart.

use std::sync::Arc;

use omni_core::{Config, llm::scripted::Scripted};
use omni_tests::server::FakeServer;

use super::Lab;

/// Reloads with these lines; what then waits for a restart, and what servers are made with.
async fn reload(lab: &Lab, data_dir: &str, security: &str) -> (Vec<&'static str>, Arc<Config>) {
    let oidc = "oidc: { issuer: 'https://login.company.com', audience: omni }";
    lab.write(
        "settings.yaml",
        &format!("data_dir: {data_dir}\nllm: {{ provider: script }}\nsecurity: {{ {oidc}{security} }}"),
    );
    let reload = lab.reloader().reload().await.unwrap();
    (reload.after_restart, lab.told.lock().unwrap().take().unwrap())
}

#[tokio::test]
async fn what_is_built_anew_has_what_waits_for_a_restart_as_it_was() {
    let lab = Lab::new(FakeServer::echo(), Scripted::new()).await;
    lab.write("mcps.yaml", "mcps: [{ name: lab, builtin: own }]");
    let (waits, begun) = reload(&lab, "data", "").await;
    assert_eq!(waits, Vec::<&str>::new());
    let key = "07".repeat(32);
    let more = format!(", egress: {{ allow: [10.0.0.0/8] }}, token_store: database, secret_key: '{key}'");
    // It stays so, however often the files are read.
    for _ in 0..2 {
        let (waits, told) = reload(&lab, "elsewhere", &more).await;
        let expected = ["database.url", "data_dir", "security.egress", "security.token_store", "security.secret_key"];
        assert_eq!(waits, expected);
        let tokens = |config: &Config| (config.tokens.in_database, config.tokens.dir.clone());
        assert_eq!(tokens(&told), tokens(&begun), "tokens are where they were");
        assert!(told.tokens.key.is_none(), "and under the key that they were");
        assert_eq!((&told.egress, &told.oidc), (&begun.egress, &begun.oidc), "nobody else is asked");
    }
    lab.omni.shutdown().await;
}
