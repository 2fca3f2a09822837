//! What a token claims: whether it counts here and now, and who it is.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use super::Refusal;
use crate::{
    config::OidcConfig,
    identity::{Principal, Via, claimed},
};

/// How far clocks may be apart, in seconds.
const LEEWAY: f64 = 60.0;
/// Longest name of a tenant.
const MAX_TENANT: usize = 64;
/// How much of somebody's groups is kept while they are logged in, in bytes.
const MAX_GROUPS_BYTES: usize = 1_200;

/// Whether a token counts: for omni, from the issuer, now.
pub(super) fn check(claims: &Map<String, Value>, config: &OidcConfig, now: DateTime<Utc>) -> Result<(), Refusal> {
    if claims.get("iss").and_then(Value::as_str) != Some(config.issuer.as_str()) {
        return Err(Refusal::Issuer);
    }
    let audience = claims.get("aud").map(texts).unwrap_or_default();
    if !audience.iter().any(|one| config.audience.iter().any(|own| own == one)) {
        return Err(Refusal::Audience);
    }
    if let Some(clients) = &config.clients {
        let client = claims.get("azp").or_else(|| claims.get("client_id")).and_then(Value::as_str);
        client.filter(|client| clients.iter().any(|own| own == client)).ok_or(Refusal::Client)?;
    }
    // A token of a logout, and one that is worth something only with a proof that nobody asks for.
    if claims.contains_key("events") || claims.contains_key("cnf") {
        return Err(Refusal::WrongType);
    }
    check_times(claims, now.timestamp_millis() as f64 / 1e3)
}

fn check_times(claims: &Map<String, Value>, now: f64) -> Result<(), Refusal> {
    let time = |name| match claims.get(name) {
        None => Ok(None),
        Some(time) => time.as_f64().map(Some).ok_or(Refusal::Claim),
    };
    if now >= time("exp")?.ok_or(Refusal::Claim)? + LEEWAY {
        return Err(Refusal::Expired);
    }
    let begins = [time("nbf")?, time("iat")?];
    if begins.into_iter().flatten().any(|begin| begin > now + LEEWAY) {
        return Err(Refusal::NotYet);
    }
    Ok(())
}

/// Whether an ID token was given to omni alone, for this one login.
pub(super) fn check_login(claims: &Map<String, Value>, client: &str, nonce: &str) -> Result<(), Refusal> {
    let is_for_others = claims.get("aud").map(texts).unwrap_or_default().len() > 1;
    match claims.get("azp") {
        Some(to) if to.as_str() == Some(client) => {}
        None if !is_for_others => {}
        Some(_) | None => return Err(Refusal::Client),
    }
    let said = claims.get("nonce").and_then(Value::as_str).unwrap_or_default();
    if bool::from(said.as_bytes().ct_eq(nonce.as_bytes())) { Ok(()) } else { Err(Refusal::Login) }
}

/// Those of the claims that say who somebody is here, and until when; no more of a person is kept than that.
pub(super) fn essential(claims: &Map<String, Value>, config: &OidcConfig) -> Map<String, Value> {
    let mut kept = Map::new();
    let groups = known_first(find(claims, &config.roles_claim).map(texts).unwrap_or_default(), config);
    kept.insert(config.roles_claim.clone(), groups.into());
    // A path leads to nothing any more, so that it is the name.
    let tenant = config.tenant_claim.as_ref().and_then(|path| Some((path, find(claims, path)?)));
    kept.extend(tenant.map(|(path, value)| (path.clone(), value.clone())));
    for name in [config.user_claim.as_str(), "email_verified", "iss", "exp"] {
        kept.extend(claims.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    kept.insert("aud".into(), config.audience.clone().into());
    kept
}

/// Groups that a cookie has room for: first those that stand for a role, in the order in which they count.
fn known_first<'a>(groups: Vec<&'a str>, config: &OidcConfig) -> Vec<&'a str> {
    let is_known = |group: &&str| config.roles.entries().any(|(own, _)| own == *group);
    let order = |group: &&str| config.roles.entries().position(|(own, _)| own == *group);
    let (mut known, others): (Vec<&str>, Vec<&str>) = groups.into_iter().partition(is_known);
    known.sort_by_key(order);
    let mut room = MAX_GROUPS_BYTES;
    let has_room = |group: &&str| {
        let left = room.checked_sub(group.len() + 3);
        room = left.unwrap_or(0);
        left.is_some()
    };
    known.into_iter().chain(others).take_while(has_room).collect()
}

/// Whom a token is for, and until when it is accepted here.
pub(super) fn reach(claims: &Map<String, Value>) -> Option<(Vec<String>, SystemTime)> {
    let audience = claims.get("aud").map(texts).unwrap_or_default().into_iter().map(str::to_owned).collect();
    let ends = Duration::try_from_secs_f64(claims.get("exp")?.as_f64()? + LEEWAY).ok()?;
    Some((audience, SystemTime::UNIX_EPOCH.checked_add(ends)?))
}

/// Who it is. Nothing that a token claims lets anybody act for others.
pub(super) fn principal(claims: &Map<String, Value>, config: &OidcConfig) -> Result<Principal, Refusal> {
    let name = claims.get(&config.user_claim).and_then(Value::as_str).ok_or(Refusal::Nobody)?;
    // Where the issuer says nothing of it, it is the issuer's business which addresses it gives out.
    let is_verified = claims.get("email_verified").is_none_or(|said| *said == true || *said == "true");
    if config.user_claim == "email" && !is_verified {
        return Err(Refusal::Unverified);
    }
    let groups = find(claims, &config.roles_claim).map(texts).unwrap_or_default();
    let groups = groups.into_iter().map(str::to_owned).collect();
    let principal = claimed::principal(name, Via::Oidc, groups, &config.roles).ok_or(Refusal::Nobody)?;
    match &config.tenant_claim {
        None => Ok(principal),
        Some(claim) => Ok(principal.with_tenant(tenant(claims, claim)?)),
    }
}

/// The tenant's name; one that could be taken for something else in the key of a count is none.
fn tenant<'a>(claims: &'a Map<String, Value>, claim: &str) -> Result<&'a str, Refusal> {
    let name = find(claims, claim).and_then(Value::as_str).ok_or(Refusal::Claim)?;
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_plain && !name.is_empty() && name.len() <= MAX_TENANT { Ok(name) } else { Err(Refusal::Claim) }
}

/// A claim by its name, which may have dots in it, or else by a path into one.
fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(claim) = claims.get(path) {
        return Some(claim);
    }
    let mut names = path.split('.');
    let first = claims.get(names.next()?)?;
    names.try_fold(first, |value, name| value.get(name))
}

/// One text, or the texts of a list.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::identity::Scope;

    const NOW: i64 = 1_800_000_000;

    fn config() -> OidcConfig {
        let mut config = OidcConfig::new("https://issuer", "omni");
        config.roles = [("dbas".to_owned(), "dba".to_owned())].into_iter().collect();
        config
    }

    /// Claims of a good token with these in their place; `null` takes one away.
    fn claims(mut change: Value) -> Map<String, Value> {
        let mut claims = json!({
            "iss": "https://issuer", "aud": "omni", "exp": NOW + 300, "iat": NOW, "email": "ann@x.org", "groups": ["dbas"],
        });
        let claims = claims.as_object_mut().unwrap();
        claims.append(change.as_object_mut().unwrap());
        claims.retain(|_, value| !value.is_null());
        claims.clone()
    }

    fn checked(change: Value) -> Result<(), Refusal> {
        check(&claims(change), &config(), DateTime::from_timestamp(NOW, 0).unwrap())
    }

    fn of(change: Value, with: impl FnOnce(&mut OidcConfig)) -> Result<Principal, Refusal> {
        let mut config = config();
        with(&mut config);
        principal(&claims(change), &config)
    }

    #[test]
    fn a_token_counts_for_omni_from_the_issuer_now() {
        for good in
            [json!({}), json!({ "aud": ["other", "omni"] }), json!({ "exp": NOW as f64 + 0.5 }), json!({ "iat": null })]
        {
            assert_eq!(checked(good.clone()), Ok(()), "{good}");
        }
        for (bad, refusal) in [
            (json!({ "iss": "https://issuer/" }), Refusal::Issuer),
            (json!({ "iss": ["https://issuer"] }), Refusal::Issuer),
            (json!({ "iss": null }), Refusal::Issuer),
            (json!({ "aud": "Omni" }), Refusal::Audience),
            (json!({ "aud": [] }), Refusal::Audience),
            (json!({ "aud": { "omni": true } }), Refusal::Audience),
            (json!({ "aud": null }), Refusal::Audience),
            (json!({ "exp": NOW - 60 }), Refusal::Expired),
            (json!({ "exp": -1 }), Refusal::Expired),
            (json!({ "exp": null }), Refusal::Claim),
            (json!({ "exp": "2099" }), Refusal::Claim),
            (json!({ "nbf": NOW + 61 }), Refusal::NotYet),
            (json!({ "iat": NOW + 61 }), Refusal::NotYet),
            (json!({ "nbf": "soon" }), Refusal::Claim),
            (json!({ "events": {} }), Refusal::WrongType),
            (json!({ "cnf": { "jkt": "x" } }), Refusal::WrongType),
        ] {
            assert_eq!(checked(bad.clone()), Err(refusal), "{bad}");
        }
        let apart = json!({ "exp": NOW - 59, "nbf": NOW + 59, "iat": NOW + 59 });
        assert_eq!(checked(apart), Ok(()), "clocks may be a minute apart");
    }

    #[test]
    fn a_token_of_another_client_counts_only_where_any_does() {
        let with = |change: Value| {
            let config = OidcConfig { clients: Some(vec!["cli".into()]), ..config() };
            check(&claims(change), &config, DateTime::from_timestamp(NOW, 0).unwrap())
        };
        assert_eq!(checked(json!({ "azp": "other" })), Ok(()));
        assert_eq!(with(json!({ "azp": "cli" })), Ok(()));
        assert_eq!(with(json!({ "client_id": "cli" })), Ok(()));
        assert_eq!(with(json!({ "azp": "other", "client_id": "cli" })), Err(Refusal::Client));
        assert_eq!(with(json!({})), Err(Refusal::Client));
    }

    #[test]
    fn an_address_that_is_not_verified_names_nobody() {
        let ann = of(json!({ "email": " Ann@X.org" }), |_| ()).unwrap();
        assert_eq!((ann.subject.as_str(), ann.via, ann.claimed_role()), ("ann@x.org", Via::Oidc, Some("dba")));
        for said in [json!(false), json!("false"), json!("no"), json!(0), json!([])] {
            let refused = of(json!({ "email_verified": said }), |_| ());
            assert_eq!(refused, Err(Refusal::Unverified));
        }
        assert!(of(json!({ "email_verified": true }), |_| ()).is_ok());
        assert!(of(json!({ "email_verified": "true" }), |_| ()).is_ok());
        assert_eq!(of(json!({ "email": null, "sub": "ann" }), |_| ()), Err(Refusal::Nobody));
        assert_eq!(of(json!({ "email": ["ann@x.org"] }), |_| ()), Err(Refusal::Nobody));
        assert_eq!(of(json!({ "email": "local:root" }), |_| ()), Err(Refusal::Nobody));
    }

    #[test]
    fn groups_are_where_the_configuration_says() {
        let role = |path: &str, change: Value| {
            of(change, |config| config.roles_claim = path.into()).unwrap().claimed_role().map(str::to_owned)
        };
        assert_eq!(role("roles", json!({ "roles": "dbas" })).as_deref(), Some("dba"));
        assert_eq!(role("realm.roles", json!({ "realm": { "roles": ["x", "dbas"] } })).as_deref(), Some("dba"));
        assert_eq!(role("https://x.org/roles", json!({ "https://x.org/roles": ["dbas"] })).as_deref(), Some("dba"));
        assert_eq!(role("roles", json!({ "roles": { "dbas": true } })), None);
        assert_eq!(role("roles", json!({})), None);
    }

    #[test]
    fn a_tenant_has_a_plain_name_or_the_token_does_not_count() {
        let tenant = |value: Value| of(json!({ "org": value }), |config| config.tenant_claim = Some("org".into()));
        assert_eq!(tenant(json!("acme-1")).unwrap().tenant, "acme-1");
        for bad in [json!(""), json!("a}b"), json!("a:b"), json!("ä"), json!(1), json!(null), json!("x".repeat(65))] {
            assert_eq!(tenant(bad.clone()), Err(Refusal::Claim), "{bad}");
        }
        assert_eq!(of(json!({ "org": "acme" }), |_| ()).unwrap().tenant, "default");
    }

    #[test]
    fn an_id_token_is_of_one_login_of_omni() {
        let with = |change: Value| check_login(&claims(change), "omni", "n-1");
        for good in [
            json!({ "nonce": "n-1" }),
            json!({ "nonce": "n-1", "azp": "omni" }),
            json!({ "nonce": "n-1", "aud": ["omni", "other"], "azp": "omni" }),
        ] {
            assert_eq!(with(good.clone()), Ok(()), "{good}");
        }
        for (bad, refusal) in [
            (json!({}), Refusal::Login),
            (json!({ "nonce": "" }), Refusal::Login),
            (json!({ "nonce": ["n-1"] }), Refusal::Login),
            (json!({ "nonce": "n-2" }), Refusal::Login),
            (json!({ "nonce": "n-1", "azp": "other" }), Refusal::Client),
            (json!({ "nonce": "n-1", "azp": ["omni"] }), Refusal::Client),
            (json!({ "nonce": "n-1", "aud": ["omni", "other"] }), Refusal::Client),
        ] {
            assert_eq!(with(bad.clone()), Err(refusal), "{bad}");
        }
    }

    #[test]
    fn what_is_kept_of_a_person_says_the_same_of_them_and_no_more() {
        let mut config = config();
        (config.roles_claim, config.tenant_claim) = ("realm.roles".into(), Some("org.name".into()));
        let whole = claims(json!({
            "realm": { "roles": ["x", "dbas"] }, "org": { "name": "acme" }, "email_verified": true,
            "phone": "1", "nonce": "n-1", "aud": ["omni", "other"],
        }));
        let kept = essential(&whole, &config);
        let mut names: Vec<_> = kept.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["aud", "email", "email_verified", "exp", "iss", "org.name", "realm.roles"]);
        assert_eq!((&kept["aud"], &kept["realm.roles"]), (&json!(["omni"]), &json!(["dbas", "x"])));
        let of = |claims| {
            let principal = principal(claims, &config).unwrap();
            (principal.subject.clone(), principal.tenant.clone(), principal.claimed_role().map(str::to_owned))
        };
        assert_eq!(of(&kept), of(&whole));
        assert_eq!(essential(&kept, &config), kept);
    }

    #[test]
    fn of_many_groups_those_are_kept_that_count() {
        let mut config = config();
        config.roles =
            [("admins", "admin"), ("dbas", "dba")].map(|(a, b)| (a.to_owned(), b.to_owned())).into_iter().collect();
        let many: Vec<_> = (0..500).map(|at| format!("group-{at}")).chain(["dbas".into(), "admins".into()]).collect();
        let kept = essential(&claims(json!({ "groups": many })), &config);
        let groups = kept["groups"].as_array().unwrap();
        assert_eq!((&groups[0], &groups[1], &groups[2]), (&json!("admins"), &json!("dbas"), &json!("group-0")));
        assert!(kept["groups"].to_string().len() <= MAX_GROUPS_BYTES + 2);
        let huge = essential(&claims(json!({ "groups": ["x".repeat(5_000)] })), &config);
        assert_eq!(huge["groups"], json!([]));
    }

    const NAMES: [&str; 7] = ["act_as", "admin", "*", "root@x.org", "role:admin", "dbas", "true"];

    fn value() -> impl Strategy<Value = Value> {
        let name = || prop::sample::select(&NAMES[..]);
        prop_oneof![
            Just(json!(true)),
            name().prop_map(Value::from),
            prop::collection::vec(name(), 0..4).prop_map(Value::from),
            name().prop_map(|name| json!({ "sub": name, "act_as": [name] })),
        ]
    }

    proptest! {
        #[test]
        fn nothing_that_a_token_says_lets_anybody_act_for_others(
            said in prop::collection::btree_map(
                prop::sample::select(vec![
                    "act", "act_as", "may_act", "scope", "scp", "scopes", "roles", "groups", "actor", "subject",
                    "subject_roles", "acts_for", "ceiling_role", "role", "via", "sub", "permissions", "entitlements",
                ]),
                value(),
                0..8,
            )
        ) {
            let ann = of(json!(said), |_| ()).unwrap();
            prop_assert!(!ann.scopes.contains(Scope::ActAs));
            prop_assert_eq!((ann.subject.as_str(), ann.via), ("ann@x.org", Via::Oidc));
            prop_assert_eq!((ann.actor, ann.acts_for, ann.subject_roles), (None, None, None));
            prop_assert!(ann.claimed_role.as_deref().is_none_or(|role| role == "dba"), "only a mapped group is a role");
        }
    }
}
