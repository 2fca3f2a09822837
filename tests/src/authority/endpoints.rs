//! The endpoints of the authorization server.

use std::collections::BTreeMap;

use axum::{
    Json, Router,
    extract::{RawQuery, State as Extract},
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use super::{
    Shared, State,
    state::{Client, Code},
};

type Words = BTreeMap<String, String>;

pub(super) fn router(state: Shared) -> Router {
    Router::new()
        .route("/.well-known/oauth-authorization-server/as", get(metadata))
        .route("/as/authorize", get(authorize))
        .route("/as/token", post(token))
        .route("/as/register", post(register))
        .route("/as/revoke", post(revoke))
        .with_state(state)
}

async fn metadata(Extract(state): Extract<Shared>) -> Json<Value> {
    let state = state.lock().unwrap();
    let issuer = state.issuer();
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize?tenant=1"),
        "token_endpoint": format!("{issuer}/token"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "response_types_supported": ["code"],
        "scopes_supported": ["tools", "admin", "offline_access"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    if state.rules.registers {
        metadata["registration_endpoint"] = format!("{issuer}/register").into();
    }
    let members = metadata.as_object_mut().unwrap();
    members.extend(state.rules.metadata.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    Json(metadata)
}

async fn register(Extract(state): Extract<Shared>, Json(wish): Json<Value>) -> Response {
    let mut state = state.lock().unwrap();
    let uris: Vec<String> = serde_json::from_value(wish["redirect_uris"].clone()).unwrap_or_default();
    if !state.rules.registers || uris.is_empty() || !uris.iter().all(|uri| uri.starts_with("http://127.0.0.1:")) {
        return refused(state.fault(format!("a client registered with {wish}")));
    }
    state.registered += 1;
    let id = format!("client-{}", Uuid::new_v4());
    let is_public = wish["token_endpoint_auth_method"] == "none";
    let secret = (!is_public).then(|| format!("secret-{}", Uuid::new_v4()));
    state.clients.insert(id.clone(), Client { secret: secret.clone(), redirect_uris: uris });
    let mut answer = wish;
    answer["client_id"] = id.into();
    answer["client_secret"] = secret.into();
    (StatusCode::CREATED, Json(answer)).into_response()
}

/// The person agrees to everything that is asked for well.
async fn authorize(Extract(state): Extract<Shared>, RawQuery(query): RawQuery) -> Response {
    let asked = words(&query.unwrap_or_default());
    let mut state = state.lock().unwrap();
    let word = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let (id, redirect_uri) = (word("client_id"), word("redirect_uri"));
    let Some(client) = state.clients.get(&id) else {
        return refused(state.fault(format!("an unknown client {id:?} asked for a login")));
    };
    // Of a known client any address of this machine, of one that registered letter by letter what it said.
    if !(client.redirect_uris.is_empty() || client.redirect_uris.contains(&redirect_uri)) {
        return refused(state.fault(format!("a login was to go back to {redirect_uri}")));
    }
    let expected = [
        ("response_type", "code".to_owned()),
        ("code_challenge_method", "S256".to_owned()),
        ("resource", state.resource()),
        ("tenant", "1".to_owned()),
    ];
    for (name, value) in expected {
        if word(name) != value {
            return refused(state.fault(format!("a login was asked for with {name}={}", word(name))));
        }
    }
    if word("code_challenge").len() != 43 || word("state").len() < 32 {
        return refused(state.fault("a login was asked for without a challenge or a state"));
    }
    let code = format!("code-{}", Uuid::new_v4());
    let scopes = word("scope").split_whitespace().map(str::to_owned).collect();
    let given = Code { client: id, redirect_uri, challenge: word("code_challenge"), scopes, is_used: false };
    let issuer = state.issuer();
    let back = format!("{}?code={code}&state={}&iss={}", given.redirect_uri, word("state"), encoded(&issuer));
    state.codes.insert(code, given);
    (StatusCode::FOUND, [(LOCATION, back)]).into_response()
}

fn encoded(text: &str) -> String {
    text.replace(':', "%3A").replace('/', "%2F")
}

async fn token(Extract(state): Extract<Shared>, headers: HeaderMap, form: String) -> Response {
    let asked = words(&form);
    let mut state = state.lock().unwrap();
    if state.rules.refuses_tokens {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let grant = asked.get("grant_type").cloned().unwrap_or_default();
    *state.asked.entry(grant.clone()).or_default() += 1;
    let client = match authenticated(&mut state, &headers, &asked) {
        Ok(client) => client,
        Err(code) => return refused(code),
    };
    if asked.get("resource") != Some(&state.resource()) {
        return refused(state.fault(format!("a token was asked for {:?}", asked.get("resource"))));
    }
    let given = match grant.as_str() {
        "authorization_code" => by_code(&mut state, &client, &asked),
        "refresh_token" => by_refresh(&mut state, &client, &asked),
        "client_credentials" if state.clients[&client].secret.is_some() => {
            let scopes = asked.get("scope").map(String::as_str).unwrap_or_default();
            let scopes = scopes.split_whitespace().map(str::to_owned).collect();
            Ok(state.give(&client, scopes, false))
        }
        other => Err(state.fault(format!("a token was asked for by {other:?}"))),
    };
    // It says what it was sent, as servers do that are too helpful.
    given.map_or_else(|code| refused_with(code, &form), |answer| Json(answer).into_response())
}

fn by_code(state: &mut State, client: &str, asked: &Words) -> Result<Value, &'static str> {
    let word = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let Some(code) = state.codes.get_mut(&word("code")) else { return Err("invalid_grant") };
    let was_used = std::mem::replace(&mut code.is_used, true);
    let code = code.clone();
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, word("code_verifier").as_bytes()));
    if was_used || code.client != client || code.redirect_uri != word("redirect_uri") || code.challenge != challenge {
        state.fault(format!("a code was used wrongly (again: {was_used})"));
        return Err("invalid_grant");
    }
    Ok(state.give(client, code.scopes, true))
}

fn by_refresh(state: &mut State, client: &str, asked: &Words) -> Result<Value, &'static str> {
    let name = asked.get("refresh_token").cloned().unwrap_or_default();
    let Some(token) = state.refresh.get_mut(&name).filter(|token| token.client == client) else {
        return Err("invalid_grant");
    };
    let was_used = std::mem::replace(&mut token.is_used, true);
    let scopes = token.scopes.clone();
    if was_used && state.rules.rotates {
        state.fault("a refresh token was used twice");
        state.revoke_all();
        return Err("invalid_grant");
    }
    Ok(state.give(client, scopes, state.rules.rotates))
}

/// Whoever asks, if they show that they are themselves in the way that they have to.
fn authenticated(state: &mut State, headers: &HeaderMap, asked: &Words) -> Result<String, &'static str> {
    let basic = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let basic = basic.and_then(|pair| String::from_utf8(STANDARD.decode(pair).ok()?).ok());
    let (id, secret) = match basic.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((id, secret)) => (decoded(id), Some(decoded(secret))),
        None => (asked.get("client_id").cloned().unwrap_or_default(), asked.get("client_secret").cloned()),
    };
    match state.clients.get(&id) {
        Some(client) if client.secret == secret => Ok(id),
        Some(_) => Err("invalid_client"),
        None => {
            state.fault(format!("an unknown client {id:?} asked for a token"));
            Err("invalid_client")
        }
    }
}

fn words(form: &str) -> Words {
    form_urlencoded::parse(form.as_bytes()).into_owned().collect()
}

/// A part of a pair, which is encoded like a form before it is put into the pair.
fn decoded(text: &str) -> String {
    words(&format!("x={text}")).remove("x").unwrap_or_default()
}

async fn revoke(Extract(state): Extract<Shared>, headers: HeaderMap, form: String) -> Response {
    let asked = words(&form);
    let mut state = state.lock().unwrap();
    if let Err(code) = authenticated(&mut state, &headers, &asked) {
        return refused(code);
    }
    let token = asked.get("token").cloned().unwrap_or_default();
    if state.access.remove(&token).is_some() || state.refresh.remove(&token).is_some() {
        state.revoked += 1;
    }
    StatusCode::OK.into_response()
}

fn refused(code: &'static str) -> Response {
    refused_with(code, "as the test wants it")
}

fn refused_with(code: &'static str, description: &str) -> Response {
    let status = if code == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    (status, Json(json!({ "error": code, "error_description": description }))).into_response()
}
