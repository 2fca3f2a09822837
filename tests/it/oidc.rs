//! Tokens of an issuer: which count, and what happens while it changes its keys or is away.

use std::time::Duration;

use futures::future::join_all;
use omni_core::{
    Error, ErrorKind, Principal,
    config::{OidcConfig, OidcLoginConfig},
    identity::{
        ApiKey, AuthError, Authenticator, Credential, KeyStore as _, Keys, LoginError, Oidc, Scope, Scopes,
        keys::memory,
    },
    net,
};
use omni_tests::issuer::{Answer, Desk, Issuer, Signer};
use serde_json::json;

/// One that asks the issuer whenever there is something to ask.
fn judge(issuer: &Issuer) -> Authenticator {
    judge_that(issuer, |config| config.min_refresh = Duration::ZERO)
}

fn judge_that(issuer: &Issuer, change: impl FnOnce(&mut OidcConfig)) -> Authenticator {
    let mut config = OidcConfig::new(issuer.url(), "omni");
    config.roles = [("dbas".to_owned(), "dba".to_owned())].into_iter().collect();
    change(&mut config);
    Authenticator::new().with_oidc(Oidc::new(config).unwrap())
}

async fn come(judge: &Authenticator, token: &str) -> Result<Principal, AuthError> {
    judge.authenticate(Credential::bearer(token)).await
}

/// Makes sure that a token opens nothing, and says nothing of why.
async fn refused(judge: &Authenticator, token: &str, why: &str) {
    let refused = come(judge, token).await.unwrap_err();
    assert!(matches!(refused, AuthError::InvalidToken), "{why}: {refused:?}");
    let error = Error::from(refused);
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unauthenticated, "the token is not valid"));
}

async fn is_away(judge: &Authenticator, token: &str, why: &str) {
    let away = come(judge, token).await.unwrap_err();
    let AuthError::IssuerAway { message } = &away else { panic!("{away:?}") };
    assert!(message.contains(why), "{message}");
    let error = Error::from(away);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.public_message(), "tokens cannot be checked at the moment");
}

#[tokio::test]
async fn every_kind_of_key_pair_signs_tokens_that_count() {
    let signers = [Signer::rsa("rsa"), Signer::p256("p256"), Signer::p384("p384"), Signer::ed25519("ed")];
    let issuer = Issuer::start(&signers.each_ref());
    let judge = judge(&issuer);
    let claims = issuer.claims(json!({}));
    for signer in &signers {
        let ann = come(&judge, &signer.token(&claims)).await.unwrap();
        assert_eq!((ann.subject.as_str(), ann.claimed_role()), ("ann@company.com", Some("dba")));
        assert_eq!(ann.groups, ["dbas"]);
    }
    for algorithm in ["RS384", "RS512", "PS256", "PS384", "PS512"] {
        let token = signers[0].token_with(json!({ "alg": algorithm }), &claims);
        assert!(come(&judge, &token).await.is_ok(), "{algorithm}");
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_person_with_a_token_may_ask_and_administer_and_never_acts_for_others() {
    let signer = Signer::p256("k1");
    let issuer = Issuer::start(&[&signer]);
    let judge = judge(&issuer);
    let token = signer.token(&issuer.claims(json!({ "scope": "act_as admin", "act": { "sub": "boss@company.com" } })));
    let ann = come(&judge, &token).await.unwrap();
    assert_eq!(ann.scopes, [Scope::Ask, Scope::Tools, Scope::Audit, Scope::Admin].into_iter().collect::<Scopes>());
    let as_somebody = |name: &str| Credential::bearer(token.as_str()).acting_as(Some(name.into()));
    assert!(judge.authenticate(as_somebody(" Ann@Company.com")).await.is_ok(), "herself");
    let refused = judge.authenticate(as_somebody("boss@company.com")).await.unwrap_err();
    assert!(matches!(refused, AuthError::MissingScope { scope: Scope::ActAs, .. }), "{refused:?}");
}

#[tokio::test]
async fn a_token_that_is_not_for_omni_from_the_issuer_now_is_refused() {
    let signer = Signer::p256("k1");
    let issuer = Issuer::start(&[&signer]);
    let judge = judge(&issuer);
    assert!(come(&judge, &signer.token(&issuer.claims(json!({})))).await.is_ok());
    for (why, change) in [
        ("another issuer", json!({ "iss": "https://elsewhere.org" })),
        ("the issuer with a slash", json!({ "iss": format!("{}/", issuer.url()) })),
        ("another audience", json!({ "aud": ["account", "other"] })),
        ("expired", json!({ "exp": 1_700_000_000 })),
        ("without an end", json!({ "exp": null })),
        ("not yet valid", json!({ "nbf": 32_000_000_000_u64 })),
        ("from the future", json!({ "iat": 32_000_000_000_u64 })),
        ("an address that is not verified", json!({ "email_verified": false })),
        ("nobody", json!({ "email": null })),
        ("the terminal's user", json!({ "email": "local:root" })),
    ] {
        refused(&judge, &signer.token(&issuer.claims(change)), why).await;
    }
}

#[tokio::test]
async fn a_signature_that_no_key_of_the_issuer_made_is_refused() {
    let (signer, rsa) = (Signer::p256("k1"), Signer::rsa("r1"));
    let issuer = Issuer::start(&[&signer, &rsa]);
    let judge = judge(&issuer);
    let claims = issuer.claims(json!({}));
    let good = signer.token(&claims);
    assert!(come(&judge, &good).await.is_ok());

    let stranger = Signer::p256("k1");
    refused(&judge, &stranger.token(&claims), "a stranger's key of the same name").await;
    refused(&judge, &Signer::p256("k9").token(&claims), "a key that nobody knows").await;
    let brought = json!({ "kid": "k9", "jwk": stranger.jwk(), "jku": "http://127.0.0.1:1/keys" });
    refused(&judge, &stranger.token_with(brought, &claims), "a key that the token brings along").await;
    refused(&judge, &signer.unsigned(&claims), "alg none").await;
    for signer in [&signer, &rsa] {
        refused(&judge, &signer.forged_with_the_public_key(&claims), "the public key as a secret").await;
    }
    refused(&judge, &rsa.token_with(json!({ "alg": "RS256", "kid": "k1" }), &claims), "another key's name").await;
    refused(&judge, &signer.token_with(json!({ "typ": "logout+jwt" }), &claims), "a token for something else").await;

    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let boss = signer.token(&issuer.claims(json!({ "email": "boss@company.com" })));
    let boss = boss.split('.').nth(1).unwrap();
    refused(&judge, &format!("{header}.{boss}.{signature}"), "other claims under the signature").await;
    refused(&judge, &format!("{message}."), "no signature").await;
    refused(&judge, "abc", "no token").await;
    refused(&judge, &signer.token(&issuer.claims(json!({ "pad": "x".repeat(20_000) }))), "huge").await;
}

#[tokio::test]
async fn a_token_without_a_key_s_name_counts_where_only_one_key_could_have_made_it() {
    let (one, two) = (Signer::p256("k1"), Signer::p256("k2"));
    let issuer = Issuer::start(&[&one, &Signer::rsa("r1")]);
    let judge = judge(&issuer);
    let nameless = one.token_with(json!({ "kid": null }), &issuer.claims(json!({})));
    assert!(come(&judge, &nameless).await.is_ok());
    issuer.rotates_to(&[&one, &two]);
    refused(&judge, &two.token_with(json!({ "kid": null }), &issuer.claims(json!({}))), "either could have").await;
}

#[tokio::test]
async fn a_new_key_counts_without_a_restart_and_an_old_one_no_longer() {
    let (old, new) = (Signer::p256("2025"), Signer::ed25519("2026"));
    let issuer = Issuer::start(&[&old]);
    let judge = judge(&issuer);
    let claims = issuer.claims(json!({}));
    assert!(come(&judge, &old.token(&claims)).await.is_ok());
    issuer.rotates_to(&[&new]);
    assert!(come(&judge, &new.token(&claims)).await.is_ok());
    assert_eq!(issuer.asked(), 2);
    refused(&judge, &old.token(&claims), "its key is gone").await;
}

#[tokio::test]
async fn nobody_makes_omni_ask_the_issuer_again_and_again() {
    let signer = Signer::p256("k1");
    let issuer = Issuer::start(&[&signer]);
    let judge = judge_that(&issuer, |config| config.min_refresh = Duration::from_secs(3600));
    let good = signer.token(&issuer.claims(json!({})));
    let came = join_all((0..50).map(|_| come(&judge, &good))).await;
    assert!(came.iter().all(Result::is_ok), "all wait for the one that asks");
    assert_eq!(issuer.asked(), 1);
    let forged: Vec<String> =
        (0..50).map(|at| Signer::p256(&format!("x{at}")).token(&issuer.claims(json!({})))).collect();
    join_all(forged.iter().map(|token| refused(&judge, token, "unknown"))).await;
    assert_eq!(issuer.asked(), 1);
    // What is no token for omni is nothing to ask about.
    let eager = self::judge(&issuer);
    refused(&eager, &signer.token(&issuer.claims(json!({ "aud": "other" }))), "another audience").await;
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn while_the_issuer_is_away_tokens_wait_and_everybody_else_goes_on() {
    let signer = Signer::p256("k1");
    let issuer = Issuer::start(&[&signer]);
    issuer.answers(Answer::Away);
    let issued = ApiKey::issue("bot@company.com", Scopes::user());
    let store = memory::MemoryKeys::new();
    store.insert(&issued.key).await.unwrap();
    let judge = judge(&issuer).with_keys(Keys::new(store));
    let token = signer.token(&issuer.claims(json!({})));
    is_away(&judge, &token, "503").await;
    let bearer = Credential::bearer(issued.secret);
    assert_eq!(judge.authenticate(bearer).await.unwrap().subject, "bot@company.com");
    issuer.answers(Answer::Well);
    assert!(come(&judge, &token).await.is_ok(), "it is there again");
    issuer.answers(Answer::Away);
    assert!(come(&judge, &token).await.is_ok(), "its keys are known");
    is_away(&judge, &Signer::p256("k2").token(&issuer.claims(json!({}))), "503").await;
}

#[tokio::test]
async fn whoever_answers_in_the_issuers_place_is_not_believed() {
    let signer = Signer::p256("k1");
    let (issuer, other) = (Issuer::start(&[&signer]), Issuer::start(&[&signer]));
    let judge = judge(&issuer);
    let token = signer.token(&issuer.claims(json!({})));
    let keys = format!("{}/keys", issuer.url());
    let document = |issuer: &str, keys: &str| Answer::Document(json!({ "issuer": issuer, "jwks_uri": keys }));
    for (answer, why) in [
        (document(&other.url(), &keys), "another issuer"),
        (document(&format!("{}/", issuer.url()), &keys), "another issuer"),
        (document(&issuer.url(), "http://keys.company.com/keys"), "no safe address"),
        (document(&issuer.url(), "file:///etc/passwd"), "no safe address"),
        (Answer::Document(json!({ "jwks_uri": keys })), "not what it should be"),
        (Answer::Document(json!([])), "not what it should be"),
        (Answer::Redirect(format!("{}/.well-known/openid-configuration", other.url())), "redirects are not followed"),
        (Answer::Huge, "more than 262144 bytes"),
    ] {
        issuer.answers(answer);
        is_away(&judge, &token, why).await;
    }
    assert_eq!(other.asked(), 0);
    issuer.answers(Answer::Well);
    assert!(come(&judge, &token).await.is_ok());
}

#[tokio::test]
async fn without_an_issuer_no_token_counts() {
    let signer = Signer::p256("k1");
    let issuer = Issuer::start(&[&signer]);
    let nobody = Authenticator::new().with_local_act_as();
    refused(&nobody, &signer.token(&issuer.claims(json!({}))), "no issuer").await;
    refused(&nobody, "", "nothing").await;
    assert!(matches!(come(&nobody, "omni_0").await, Err(AuthError::InvalidKey)));
    assert_eq!(issuer.asked(), 0);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_trusted_is_none() {
    for bad in ["http://login.company.com", "login.company.com", ""] {
        assert!(Oidc::new(OidcConfig::new(bad, "omni")).is_err(), "{bad}");
    }
}

/// An issuer where people log in for a client of this name.
fn opened(client_id: &str) -> Issuer {
    let signer = Signer::p256("k1");
    let issuer = Issuer::start(&[&signer]);
    issuer.opens(Desk::new(signer, client_id, Some("s3cret")));
    issuer
}

#[tokio::test]
async fn a_login_counts_at_the_issuer_and_for_the_client_that_it_began_with_alone() {
    let (issuer, other) = (opened("omni-pages"), opened("omni-pages"));
    let client = |issuer: &Issuer, client_id: &str| {
        let mut login = OidcLoginConfig::new(client_id);
        login.client_secret = Some("s3cret".into());
        let mut config = OidcConfig::new(issuer.url(), "omni");
        config.login = Some(login);
        Oidc::new(config).unwrap()
    };
    let own = client(&issuer, "omni-pages");
    let (to, pending) = own.begin_login("http://127.0.0.1:1/ui/callback").await.unwrap();
    let browser = net::client(&net::ClientOptions::default()).unwrap();
    let sent = browser.get(to).send().await.unwrap();
    let back = sent.headers()["location"].to_str().unwrap();
    // As after a reload in the midst of it.
    for changed in [client(&issuer, "omni-desk"), client(&other, "omni-pages")] {
        assert_eq!(changed.finish_login(pending.clone(), back).await.unwrap_err(), LoginError::Foreign);
    }
    for issuer in [&issuer, &other] {
        issuer.desk(|desk| assert_eq!((desk.given, &*desk.faults), (0, &[][..])));
    }
    own.finish_login(pending, back).await.unwrap();
}
