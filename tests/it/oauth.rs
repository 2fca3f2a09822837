//! Tokens for servers, against an authorization server that takes nothing amiss lightly.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use omni_core::{
    config::{EgressConfig, OAuthConfig, OAuthGrant},
    ledger::SealKey,
    mcp::{
        CallContext, Connector, CredentialSource as _, McpError, McpTransport, McpTransportExt as _,
        auth::{
            LoginOptions, LoginState, OAuth, OAuthError,
            store::{FileTokens, Lease, MemoryTokens, StoredTokens, TokenKey, TokenStore, TokenStoreError, Vault},
        },
        http::HttpServer,
    },
};
use omni_tests::authority::{Authority, Rules, State};
use serde_json::{json, value::to_raw_value};
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(30);
const REDIRECT: &str = "http://127.0.0.1:9/callback";

/// omni's tokens for the server of an authority.
fn oauth(authority: &Authority, config: OAuthConfig, vault: Vault) -> OAuth {
    OAuth::new("lab", &authority.mcp_url(), config, EgressConfig::default(), vault).unwrap()
}

async fn log_in(authority: &Authority, oauth: &OAuth, scopes: &[&str]) {
    let scopes = scopes.iter().map(ToString::to_string).collect();
    let login = oauth.begin_login(LoginOptions::new(REDIRECT).with_scopes(scopes)).await.unwrap();
    let back = authority.agree(login.url().as_str()).await;
    oauth.finish_login(login, &back).await.unwrap();
}

/// Somebody who is logged in.
async fn logged_in(rules: Rules) -> (Authority, OAuth) {
    let authority = Authority::start(rules);
    let oauth = oauth(&authority, OAuthConfig::default(), Vault::in_memory());
    log_in(&authority, &oauth, &[]).await;
    (authority, oauth)
}

async fn connect(authority: &Authority, oauth: &OAuth) -> Result<Arc<dyn McpTransport>, McpError> {
    let server = HttpServer::new(authority.mcp_url()).unwrap().with_credentials(Arc::new(oauth.clone()));
    server.connect(&CallContext::within(LONG)).await
}

async fn call(transport: &dyn McpTransport, tool: &str) -> Result<String, McpError> {
    let arguments = to_raw_value(&json!({})).unwrap();
    Ok(transport.call_tool(tool, &arguments, 1_000, &CallContext::within(LONG)).await?.for_person())
}

/// Calls until it works: nobody is asked again at once who could not answer.
async fn succeeds(transport: &dyn McpTransport, tool: &str) {
    let again = async {
        while call(transport, tool).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LONG, again).await.unwrap();
}

fn machine(authority: &Authority) -> OAuthConfig {
    let mut config = OAuthConfig::default();
    config.grant = OAuthGrant::ClientCredentials;
    config.client_id = Some("omni-service".into());
    config.client_secret = Some("s3cret of omni/&=".to_owned().into());
    config.issuer = Some(authority.issuer());
    config
}

#[tokio::test]
async fn a_login_lasts_until_it_is_taken_back_and_a_call_is_made_once_whatever_happens_to_its_token() {
    let (authority, oauth) = logged_in(Rules::default()).await;
    let transport = connect(&authority, &oauth).await.unwrap();
    assert_eq!(call(&*transport, "greet").await.unwrap(), "hello from greet");
    assert_eq!(authority.state().asked("refresh_token"), 0, "a token that counts is not renewed");

    authority.state().expire();
    assert_eq!(call(&*transport, "greet").await.unwrap(), "hello from greet");
    let seen = |state: &State| (state.asked("refresh_token"), state.calls.len());
    assert_eq!(seen(&authority.state()), (1, 2));

    authority.state().revoke_all();
    let error = call(&*transport, "greet").await.unwrap_err();
    assert!(matches!(error, McpError::Unauthorized { .. }), "{error}");
    assert!(error.to_string().contains("run `omni servers login lab`"), "{error}");
    let error = connect(&authority, &oauth).await.unwrap_err();
    assert!(error.to_string().contains("run `omni servers login lab`"), "{error}");
    let asked = authority.state().asked("refresh_token");
    assert!(call(&*transport, "greet").await.is_err());
    assert_eq!(authority.state().asked("refresh_token"), asked, "what was taken back is not asked for again");
    assert!(matches!(oauth.state().await.unwrap(), LoginState::Ended { .. }));

    log_in(&authority, &oauth, &[]).await;
    assert_eq!(call(&*transport, "greet").await.unwrap(), "hello from greet");
    assert_eq!(authority.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn whoever_is_not_logged_in_is_told_how_and_the_server_is_not_asked() {
    let authority = Authority::start(Rules::default());
    let oauth = oauth(&authority, OAuthConfig::default(), Vault::in_memory());
    assert_eq!(oauth.state().await.unwrap(), LoginState::LoggedOut);
    let error = connect(&authority, &oauth).await.unwrap_err().to_string();
    assert!(error.contains("nobody is logged in; run `omni servers login lab`"), "{error}");
}

#[tokio::test]
async fn many_calls_at_once_renew_a_token_once_in_however_many_processes() {
    let authority = Authority::start(Rules::default());
    let (dir, key) = (tempfile::tempdir().unwrap(), SealKey::generate());
    let instance = || {
        let vault = Vault::new(FileTokens::new(dir.path()), key.clone());
        oauth(&authority, OAuthConfig::default(), vault)
    };
    let (one, other) = (instance(), instance());
    log_in(&authority, &one, &[]).await;
    let transports = [connect(&authority, &one).await.unwrap(), connect(&authority, &other).await.unwrap()];
    for round in 1..=3 {
        authority.state().expire();
        let calls = (0..40).map(|at| call(&*transports[at % 2], "greet"));
        for answer in join_all(calls).await {
            assert_eq!(answer.unwrap(), "hello from greet");
        }
        assert_eq!(authority.state().asked("refresh_token"), round);
    }
    assert_eq!(authority.faults(), Vec::<String>::new(), "no refresh token is used twice");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_one_that_stays_is_used_again() {
    let authority = Authority::start(Rules { token_life: Duration::ZERO, rotates: false, ..Rules::default() });
    let oauth = oauth(&authority, OAuthConfig::default(), Vault::in_memory());
    log_in(&authority, &oauth, &[]).await;
    authority.state().rules.token_life = LONG;
    let transport = connect(&authority, &oauth).await.unwrap();
    call(&*transport, "greet").await.unwrap();
    authority.state().expire();
    call(&*transport, "greet").await.unwrap();
    let state = authority.state();
    assert_eq!(state.asked("refresh_token"), 2, "the first one had ended before it was sent");
    assert_eq!(state.faults, Vec::<String>::new());
}

#[tokio::test]
async fn an_authorization_server_that_is_away_for_a_moment_ends_no_login() {
    let (authority, oauth) = logged_in(Rules::default()).await;
    let transport = connect(&authority, &oauth).await.unwrap();
    authority.state().rules.refuses_tokens = true;
    authority.state().expire();
    let error = call(&*transport, "greet").await.unwrap_err();
    assert!(!error.to_string().contains("servers login"), "{error}");
    authority.state().rules.refuses_tokens = false;
    succeeds(&*transport, "greet").await;
    assert_eq!(authority.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_login_is_not_for_is_told_with_the_way_to_it() {
    let rules = Rules { admin_scope: Some("admin"), ..Rules::default() };
    let (authority, oauth) = logged_in(rules).await;
    let transport = connect(&authority, &oauth).await.unwrap();
    let error = call(&*transport, "admin").await.unwrap_err();
    assert!(matches!(error, McpError::Unauthorized { .. }), "{error}");
    assert!(error.to_string().contains("run `omni servers login lab --scope admin`"), "{error}");
    assert_eq!(call(&*transport, "greet").await.unwrap(), "hello from greet", "the login is good for the rest");
    log_in(&authority, &oauth, &["admin"]).await;
    assert_eq!(call(&*transport, "admin").await.unwrap(), "hello from admin");
    let LoginState::LoggedIn(granted) = oauth.state().await.unwrap() else { panic!("logged in") };
    assert_eq!(granted.scopes, ["tools", "admin", "offline_access"]);
    log_in(&authority, &oauth, &["more"]).await;
    assert_eq!(call(&*transport, "admin").await.unwrap(), "hello from admin", "more is more than there was");
    log_in(&authority, &oauth, &[]).await;
    let LoginState::LoggedIn(granted) = oauth.state().await.unwrap() else { panic!("logged in") };
    assert_eq!(granted.scopes, ["tools", "offline_access"], "a login for nothing in particular begins anew");
    assert_eq!(authority.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn more_that_is_not_given_costs_nothing_of_what_there_is_and_may_be_given_later() {
    let authority = Authority::start(Rules {
        known: Some(("omni-service", Some("s3cret of omni/&="))),
        admin_scope: Some("admin"),
        ..Rules::default()
    });
    let oauth = oauth(&authority, machine(&authority), Vault::in_memory());
    let transport = connect(&authority, &oauth).await.unwrap();
    authority.state().rules.refuses_tokens = true;
    call(&*transport, "admin").await.unwrap_err();
    assert_eq!(call(&*transport, "greet").await.unwrap(), "hello from greet", "the token that there was");
    authority.state().rules.refuses_tokens = false;
    succeeds(&*transport, "admin").await;
    assert_eq!(authority.faults(), Vec::<String>::new());
}

/// Who replaces them, and at what server.
type Overtaker = (Arc<Authority>, OAuth);

/// Tokens that somebody else replaces right before they are renewed.
#[derive(Debug, Clone, Default)]
struct Overtaken {
    tokens: Arc<MemoryTokens>,
    by: Arc<Mutex<Option<Overtaker>>>,
}

#[async_trait::async_trait]
impl TokenStore for Overtaken {
    async fn get(&self, key: &TokenKey) -> Result<Option<StoredTokens>, TokenStoreError> {
        self.tokens.get(key).await
    }

    async fn put(
        &self,
        key: &TokenKey,
        tokens: &StoredTokens,
        expected: Option<Uuid>,
    ) -> Result<bool, TokenStoreError> {
        self.tokens.put(key, tokens, expected).await
    }

    async fn lease(&self, key: &TokenKey, lease: &Lease) -> Result<bool, TokenStoreError> {
        let had = self.tokens.lease(key, lease).await;
        let other = self.by.lock().unwrap().take();
        if let Some((authority, other)) = other {
            log_in(&authority, &other, &[]).await;
        }
        had
    }

    async fn remove(&self, key: &TokenKey) -> Result<bool, TokenStoreError> {
        self.tokens.remove(key).await
    }
}

#[tokio::test]
async fn a_login_that_comes_while_an_older_one_is_refused_is_the_one_that_counts() {
    let authority = Arc::new(Authority::start(Rules::default()));
    let (store, key) = (Overtaken::default(), SealKey::generate());
    let instance = || oauth(&authority, OAuthConfig::default(), Vault::new(store.clone(), key.clone()));
    let (one, other) = (instance(), instance());
    log_in(&authority, &one, &[]).await;
    let transport = connect(&authority, &one).await.unwrap();
    authority.state().revoke_all();
    *store.by.lock().unwrap() = Some((authority.clone(), other));
    assert_eq!(call(&*transport, "greet").await.unwrap(), "hello from greet");
    assert!(matches!(one.state().await.unwrap(), LoginState::LoggedIn(_)));
    assert_eq!(authority.state().asked("refresh_token"), 1);
}

#[tokio::test]
async fn omni_lets_itself_in_with_its_secret_and_asks_for_more_by_itself() {
    for methods in [json!(null), json!(["client_secret_post"]), json!(["client_secret_basic", "private_key_jwt"])] {
        let authority = Authority::start(Rules {
            known: Some(("omni-service", Some("s3cret of omni/&="))),
            admin_scope: Some("admin"),
            metadata: json!({ "token_endpoint_auth_methods_supported": methods }),
            ..Rules::default()
        });
        let oauth = oauth(&authority, machine(&authority), Vault::in_memory());
        assert_eq!(oauth.state().await.unwrap(), LoginState::Machine);
        let transport = connect(&authority, &oauth).await.unwrap();
        assert_eq!(call(&*transport, "greet").await.unwrap(), "hello from greet");
        assert_eq!(call(&*transport, "admin").await.unwrap(), "hello from admin");
        authority.state().expire();
        assert_eq!(call(&*transport, "admin").await.unwrap(), "hello from admin");
        assert!(authority.state().asked("client_credentials") <= 3);
        assert_eq!(authority.faults(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_server_that_refuses_whatever_it_is_given_is_not_given_ever_more() {
    let authority = Authority::start(Rules {
        known: Some(("omni-service", Some("s3cret of omni/&="))),
        token_life: LONG,
        ..Rules::default()
    });
    let oauth = oauth(&authority, machine(&authority), Vault::in_memory());
    authority.state().rules.accepts_nothing = true;
    for _ in 0..20 {
        let error = connect(&authority, &oauth).await.unwrap_err();
        assert!(matches!(error, McpError::Unauthorized { .. }), "{error}");
    }
    let asked = authority.state().asked("client_credentials");
    assert!(asked <= 6, "one, and five in place of what was refused, not {asked}");
}

#[tokio::test]
async fn a_secret_goes_to_its_own_issuer_only() {
    let authority =
        Authority::start(Rules { known: Some(("omni-service", Some("s3cret of omni/&="))), ..Rules::default() });
    let mut config = machine(&authority);
    config.issuer = Some("https://login.example.com".into());
    let oauth = oauth(&authority, config, Vault::in_memory());
    let error = connect(&authority, &oauth).await.unwrap_err().to_string();
    assert!(error.contains("mcps.yaml wants those of https://login.example.com"), "{error}");
    assert!(authority.state().asked.is_empty());
}

#[tokio::test]
async fn a_login_is_renewed_and_taken_back_by_its_own_issuer_only() {
    let authority = Authority::start(Rules::default());
    let vault = Vault::in_memory();
    let logged_in = oauth(&authority, OAuthConfig::default(), vault.clone());
    log_in(&authority, &logged_in, &[]).await;
    let transport = connect(&authority, &logged_in).await.unwrap();
    // Metadata names somebody else by now.
    let elsewhere = "https://evil.example/token";
    authority.state().rules.metadata = json!({ "token_endpoint": elsewhere, "revocation_endpoint": elsewhere });
    authority.state().expire();
    assert_eq!(call(&*transport, "greet").await.unwrap(), "hello from greet");
    assert_eq!(authority.state().asked("refresh_token"), 1);

    // The operator names somebody else.
    let mut config = OAuthConfig::default();
    config.issuer = Some("https://login.example.com".into());
    let other = oauth(&authority, config, vault);
    authority.state().expire();
    let error = connect(&authority, &other).await.unwrap_err().to_string();
    assert!(error.contains("another issuer") && error.contains("run `omni servers login lab`"), "{error}");
    assert!(matches!(other.state().await.unwrap(), LoginState::Ended { .. }));
    assert!(other.logout().await.unwrap());
    assert_eq!(other.state().await.unwrap(), LoginState::LoggedOut);
    let seen = |state: &State| (state.asked("refresh_token"), state.revoked);
    assert_eq!(seen(&authority.state()), (1, 0), "the issuer of before is shown nothing more");
}

#[tokio::test]
async fn tokens_are_for_the_address_that_they_were_given_for() {
    let (one, other) = (Authority::start(Rules::default()), Authority::start(Rules::default()));
    let vault = Vault::in_memory();
    let logged_in = oauth(&one, OAuthConfig::default(), vault.clone());
    log_in(&one, &logged_in, &[]).await;
    // The server of that name is another one by now.
    let moved = oauth(&other, OAuthConfig::default(), vault);
    assert_eq!(moved.state().await.unwrap(), LoginState::LoggedOut);
    let error = connect(&other, &moved).await.unwrap_err().to_string();
    assert!(error.contains("nobody is logged in"), "{error}");
    assert_eq!((other.faults(), other.state().asked.len()), (Vec::new(), 0));
    log_in(&other, &moved, &[]).await;
    assert!(connect(&other, &moved).await.is_ok());
}

#[tokio::test]
async fn a_logout_forgets_the_tokens_and_has_them_taken_back() {
    let (authority, oauth) = logged_in(Rules::default()).await;
    let transport = connect(&authority, &oauth).await.unwrap();
    call(&*transport, "greet").await.unwrap();
    assert!(oauth.logout().await.unwrap());
    let seen = |state: &State| (state.revoked > 0, state.tokens().is_empty());
    assert_eq!(seen(&authority.state()), (true, true));
    assert_eq!(oauth.state().await.unwrap(), LoginState::LoggedOut);
    assert!(call(&*transport, "greet").await.unwrap_err().to_string().contains("nobody is logged in"));
    assert!(!oauth.logout().await.unwrap());
}

#[tokio::test]
async fn a_code_counts_for_one_login_and_an_answer_of_another_is_refused() {
    let authority = Authority::start(Rules::default());
    let oauth = oauth(&authority, OAuthConfig::default(), Vault::in_memory());
    let begin = || oauth.begin_login(LoginOptions::new(REDIRECT));
    let (one, other) = (begin().await.unwrap(), begin().await.unwrap());
    assert_eq!(authority.state().registered, 1, "one client for both");
    let back = authority.agree(one.url().as_str()).await;
    let error = oauth.finish_login(other, &back).await.unwrap_err();
    assert!(error.to_string().contains("another login"), "{error}");
    let forged = back.replace("iss=", "iss=https%3A%2F%2Fevil.example&x=");
    let error = oauth.finish_login(one, &forged).await.unwrap_err().to_string();
    assert!(error.contains("the answer is of https://evil.example"), "{error}");
    assert!(authority.state().asked.is_empty(), "no code went anywhere");
}

#[tokio::test]
async fn an_authorization_server_that_cannot_be_trusted_with_a_login_is_told_apart() {
    for (metadata, word) in [
        (json!({ "code_challenge_methods_supported": null }), "PKCE"),
        (json!({ "code_challenge_methods_supported": ["plain"] }), "PKCE"),
        (json!({ "issuer": "https://evil.example" }), "calls itself https://evil.example"),
        (json!({ "authorization_endpoint": null }), "lets no person log in"),
        (json!({ "authorization_endpoint": "file:///bin/sh" }), "is not https"),
        (json!({ "authorization_endpoint": "http://evil.example/authorize" }), "is not https"),
        (json!({ "registration_endpoint": "http://169.254.169.254/latest/meta-data/" }), "is not https"),
        (json!({ "registration_endpoint": "https://169.254.169.254/latest/meta-data/" }), "link-local"),
        (json!({ "registration_endpoint": "https://10.0.0.1/register" }), "private network"),
        (json!({ "registration_endpoint": null }), "put its client_id into mcps.yaml"),
        (json!({ "token_endpoint": null }), "is not what it should be"),
    ] {
        let authority = Authority::start(Rules { metadata: metadata.clone(), ..Rules::default() });
        let oauth = oauth(&authority, OAuthConfig::default(), Vault::in_memory());
        let error = oauth.begin_login(LoginOptions::new(REDIRECT)).await.unwrap_err().to_string();
        assert!(
            error.contains(word) || (word == "is not what it should be" && error.contains("no metadata")),
            "{metadata}: {error}"
        );
    }
}

#[tokio::test]
async fn a_code_goes_to_no_token_endpoint_that_may_not_be_asked() {
    for (endpoint, word) in [
        ("http://evil.example/token", "is not https"),
        ("https://10.0.0.1/token", "private network"),
        ("https://169.254.169.254/", "link-local"),
    ] {
        let authority = Authority::start(Rules { metadata: json!({ "token_endpoint": endpoint }), ..Rules::default() });
        let oauth = oauth(&authority, OAuthConfig::default(), Vault::in_memory());
        let login = oauth.begin_login(LoginOptions::new(REDIRECT)).await.unwrap();
        let back = authority.agree(login.url().as_str()).await;
        let error = oauth.finish_login(login, &back).await.unwrap_err().to_string();
        assert!(error.contains("is not asked") && error.contains(word), "{endpoint}: {error}");
        assert_eq!(oauth.state().await.unwrap(), LoginState::LoggedOut);
    }
}

#[tokio::test]
async fn nobody_logs_in_for_the_tokens_of_another_server() {
    let rules = Rules { resource: Some("https://other.example/mcp"), ..Rules::default() };
    let authority = Authority::start(rules);
    let oauth = oauth(&authority, OAuthConfig::default(), Vault::in_memory());
    // Where the server says that its metadata is, and where it has to be.
    let options = LoginOptions::new(REDIRECT);
    for options in [options.clone(), options.with_challenges(Vec::new())] {
        let error = oauth.begin_login(options).await.unwrap_err().to_string();
        assert!(error.contains("the metadata is that of https://other.example/mcp"), "{error}");
    }
    assert_eq!((authority.faults(), authority.state().registered), (Vec::new(), 0), "nobody was asked for a client");
}

#[tokio::test]
async fn a_token_is_in_no_error_whatever_the_server_says() {
    let (authority, oauth) = logged_in(Rules { admin_scope: Some("admin"), ..Rules::default() }).await;
    let transport = connect(&authority, &oauth).await.unwrap();
    let mut errors = vec![format!("{:?}", oauth.credential().await.unwrap()), format!("{oauth:?} {transport:?}")];
    let tokens = authority.state().tokens();
    errors.push(call(&*transport, "admin").await.unwrap_err().to_string());
    authority.state().rules.accepts_nothing = true;
    errors.push(call(&*transport, "greet").await.unwrap_err().to_string());
    errors.push(connect(&authority, &oauth).await.unwrap_err().to_string());
    let tokens = tokens.into_iter().chain(authority.state().tokens());
    for token in tokens {
        assert!(errors.iter().all(|error| !error.contains(&token)), "{token} in {errors:?}");
    }
}

#[tokio::test]
async fn tokens_that_cannot_be_read_with_this_key_are_an_error_that_says_so() {
    let authority = Authority::start(Rules::default());
    let dir = tempfile::tempdir().unwrap();
    let with = |key: SealKey| oauth(&authority, OAuthConfig::default(), Vault::new(FileTokens::new(dir.path()), key));
    log_in(&authority, &with(SealKey::generate()), &[]).await;
    let other = with(SealKey::generate());
    let error = other.state().await.unwrap_err();
    assert!(matches!(error, OAuthError::Store { .. }) && error.to_string().contains("OMNI_SECRET_KEY"), "{error}");
    // Logging in again puts it right.
    log_in(&authority, &other, &[]).await;
    assert!(connect(&authority, &other).await.is_ok());
}
