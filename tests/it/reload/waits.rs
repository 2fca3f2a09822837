//! What waits for a restart.

use std::sync::Arc;

use omni_core::{
    Config, Omni, PolicyStore, Principal, ask::DirectCall, llm::scripted::Scripted, policy::memory::MemoryPolicy,
};
use omni_tests::server::FakeServer;
use serde_json::value::RawValue;

use super::{Lab, options};

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

#[tokio::test]
async fn a_policy_of_the_programs_own_stays_whatever_the_files_say_of_people() {
    let mut lab = Lab::new(FakeServer::echo(), Scripted::new()).await;
    lab.omni.shutdown().await;
    let registry = Arc::get_mut(&mut lab.registry).unwrap();
    registry
        .policies
        .register("own", |_| Box::pin(async { Ok(Arc::new(MemoryPolicy::allow_all()) as Arc<dyn PolicyStore>) }));
    let mut config = Config::load(options(lab.dir.path())).unwrap();
    config.policy_kind = "own".into();
    lab.omni = Omni::from_config(&config, &lab.registry).await.unwrap();
    let by_eve = || {
        let arguments = RawValue::from_string(r#"{"message":"hi"}"#.into()).unwrap();
        lab.omni.call_tool(DirectCall::new(Principal::email("eve@elsewhere.com"), "lab", "echo", arguments))
    };
    assert!(by_eve().await.is_ok(), "only the program's own policy knows her");
    for _ in 0..2 {
        lab.reloader().reload().await.unwrap();
        assert!(by_eve().await.is_ok(), "and it still decides");
    }
    lab.omni.shutdown().await;
}
