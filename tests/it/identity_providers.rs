//! People whom an issuer or a proxy vouches for, as a configuration has them.

use std::{collections::BTreeMap, path::Path};

use omni_core::{
    Config, Error, ErrorKind, Omni, Registry, audit,
    config::LoadOptions,
    identity::{Credential, Scope, Via},
    limit, llm, policy,
};
use omni_tests::issuer::{Issuer, Signer};
use serde_json::{Value, json};
use tempfile::TempDir;

const USERS: &str =
    "users: [{ email: ann@company.com, role: contractor }]\nblocked_users: [{ email: bad@company.com }]";

struct Lab {
    dir: TempDir,
    registry: Registry,
    omni: Omni,
}

impl Lab {
    async fn new(security: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut registry = Registry::empty();
        policy::yaml::register(&mut registry);
        limit::memory::register(&mut registry);
        llm::offline::register(&mut registry);
        audit::sql::register(&mut registry);
        std::fs::write(dir.path().join("users.yaml"), USERS).unwrap();
        let omni = Omni::from_config(&config(dir.path(), security), &registry).await.unwrap();
        Self { dir, registry, omni }
    }

    async fn reload(&self, security: &str) {
        self.omni.reload(&config(self.dir.path(), security), &self.registry).await.unwrap();
    }

    /// Role, whether of an administrator, and the channel.
    async fn role(&self, who: Credential) -> Result<(String, bool, Via), Error> {
        let grant = self.omni.grant(who).await?;
        assert!(!grant.principal.scopes.contains(Scope::ActAs));
        Ok((grant.role.name.to_string(), grant.role.is_admin, grant.principal.via))
    }
}

fn config(dir: &Path, security: &str) -> Config {
    let settings = format!("data_dir: data\nllm: {{ provider: offline }}\nsecurity:\n{security}");
    std::fs::write(dir.join("settings.yaml"), settings).unwrap();
    Config::load(LoadOptions::new(BTreeMap::new(), dir).with_dir(dir)).unwrap()
}

fn oidc(issuer: &Issuer, audience: &str) -> String {
    format!(
        "  oidc:\n    issuer: {}\n    audience: {audience}\n    roles:\n      admins: admin\n      dbas: dba\n",
        issuer.url()
    )
}

#[tokio::test]
async fn a_group_of_the_issuer_is_a_role_of_whom_users_yaml_does_not_name() {
    let signer = Signer::p256("k1");
    let issuer = Issuer::start(&[&signer]);
    let lab = Lab::new(&oidc(&issuer, "omni")).await;
    let role = async |email: &str, groups: Value| {
        let claims = issuer.claims(json!({ "email": email, "groups": groups }));
        lab.role(Credential::bearer(signer.token(&claims))).await
    };
    assert_eq!(role("new@company.com", json!(["dbas"])).await.unwrap(), ("dba".into(), false, Via::Oidc));
    assert_eq!(role("new@company.com", json!(["dbas", "admins"])).await.unwrap(), ("admin".into(), true, Via::Oidc));
    let named = role("ann@company.com", json!(["admins"])).await.unwrap();
    assert_eq!(named, ("contractor".into(), false, Via::Oidc), "the file comes first");
    for (email, groups) in [("new@company.com", json!(["others"])), ("bad@company.com", json!(["admins"]))] {
        assert_eq!(role(email, groups).await.unwrap_err().kind(), ErrorKind::Denied, "{email}");
    }
    lab.omni.shutdown().await;
}

#[tokio::test]
async fn a_reload_judges_by_the_new_configuration_and_keeps_the_keys_of_the_same_issuer() {
    let signer = Signer::p256("k1");
    let issuer = Issuer::start(&[&signer]);
    let lab = Lab::new(&oidc(&issuer, "omni")).await;
    let token = || Credential::bearer(signer.token(&issuer.claims(json!({ "email": "new@company.com" }))));
    assert!(lab.role(token()).await.is_ok());
    lab.reload(&oidc(&issuer, "omni")).await;
    assert!(lab.role(token()).await.is_ok());
    assert_eq!(issuer.asked(), 1, "its keys are known already");
    lab.reload(&oidc(&issuer, "another")).await;
    assert_eq!(lab.role(token()).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    lab.reload("  mode: keys\n").await;
    assert_eq!(lab.role(token()).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    assert!(lab.omni.issuer().await.is_none());
    lab.omni.shutdown().await;
}

#[tokio::test]
async fn a_trusted_proxy_says_who_asks_and_nobody_else_does() {
    let security = "  proxy:\n    trusted: [10.0.0.0/8]\n    email_header: X-Auth-Email\n    groups_header: \
                    X-Auth-Groups\n    roles:\n      dbas: dba\n";
    let lab = Lab::new(security).await;
    let headers = |email: &str| {
        let said = [("x-auth-email", email), ("x-auth-groups", "all, dbas")];
        said.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    };
    let (proxy, other) = ("10.0.0.7".parse().unwrap(), "192.0.2.7".parse().unwrap());
    assert!(lab.omni.trusts_proxy(proxy) && !lab.omni.trusts_proxy(other));
    assert!(lab.omni.proxy_credential(other, &headers("new@company.com")).is_none());
    let come = |email: &str| lab.omni.proxy_credential(proxy, &headers(email)).unwrap();
    assert_eq!(lab.role(come("New@company.com")).await.unwrap(), ("dba".into(), false, Via::ProxyHeader));
    assert_eq!(lab.role(come("ann@company.com")).await.unwrap().0, "contractor");
    let as_boss = come("new@company.com").acting_as(Some("boss@company.com".into()));
    assert_eq!(lab.role(as_boss).await.unwrap_err().kind(), ErrorKind::Denied);
    for nobody in ["local:root", " ", "a b"] {
        let refused = lab.role(come(nobody)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unauthenticated, "{nobody}");
        assert_eq!(refused.to_string(), "the proxy does not say who this is");
    }
    // What a proxy said a moment ago counts only while it is trusted.
    let said = come("new@company.com");
    lab.reload("  mode: keys\n").await;
    assert_eq!(lab.role(said).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    assert!(lab.omni.proxy_credential(proxy, &headers("new@company.com")).is_none());
    lab.omni.shutdown().await;
}
