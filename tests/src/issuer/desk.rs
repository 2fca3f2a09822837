//! Where people log in at the issuer: they agree to everything that is asked for well, and what no good client asks is
//! remembered as a fault, and refused.

use std::collections::{BTreeMap, HashMap};

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header::LOCATION},
    response::{Html, IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use super::{Shared, Signer};

type Words = BTreeMap<String, String>;

/// What the token endpoint gives for a good code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gives {
    /// An ID token.
    Well,
    /// Nothing, for it is away.
    Away,
    /// An address where it is to be asked in its place.
    Redirect(String),
    /// No, in these words.
    Refusal(&'static str),
    /// An access token alone.
    NoIdToken,
}

/// A desk for one client.
#[derive(Debug)]
pub struct Desk {
    signer: Signer,
    client_id: String,
    client_secret: Option<String>,
    codes: HashMap<String, Code>,
    /// What it says of whoever logs in, beside what it has to; `null` leaves something out.
    pub claims: Value,
    /// Why it lets nobody in, and its words for that.
    pub refuses: Option<(&'static str, &'static str)>,
    /// What a code is good for.
    pub gives: Gives,
    /// Whether people see a page, and have to agree there.
    pub has_page: bool,
    /// Whether people log out at it too.
    pub has_exit: bool,
    /// Whether a code counts as often as it comes, as it does at no good issuer.
    pub is_lax: bool,
    /// What was asked that no good client asks.
    pub faults: Vec<String>,
    /// How many ID tokens it gave.
    pub given: usize,
}

#[derive(Debug, Clone)]
struct Code {
    redirect_uri: String,
    challenge: String,
    nonce: String,
}

impl Desk {
    /// A desk that signs with this key, for a client of this name; a public one, where it has no secret.
    pub fn new(signer: Signer, client_id: &str, client_secret: Option<&str>) -> Self {
        Self {
            signer,
            client_id: client_id.into(),
            client_secret: client_secret.map(str::to_owned),
            codes: HashMap::new(),
            claims: json!({}),
            refuses: None,
            gives: Gives::Well,
            has_page: false,
            has_exit: false,
            is_lax: false,
            faults: Vec::new(),
            given: 0,
        }
    }

    fn fault(&mut self, what: String) -> Response {
        let answer = (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_request", "error_description": what })));
        self.faults.push(what);
        answer.into_response()
    }

    /// The ID token of somebody who logged in.
    fn id_token(&mut self, issuer: &str, nonce: &str) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": issuer, "aud": self.client_id, "iat": now, "exp": now + 300, "nonce": nonce, "sub": "u-1",
            "email": "boss@company.com", "email_verified": true,
        });
        let all = claims.as_object_mut().unwrap();
        all.extend(self.claims.as_object().unwrap().clone());
        all.retain(|_, value| !value.is_null());
        self.given += 1;
        self.signer.token(&claims)
    }
}

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/authorize", get(authorize)).route("/token", post(token)).route("/exit", get(exit))
}

pub(super) fn metadata(issuer: &str, desk: &Desk) -> Map<String, Value> {
    let mut metadata = json!({
        "authorization_endpoint": format!("{issuer}/authorize?tenant=1"),
        "token_endpoint": format!("{issuer}/token"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "authorization_response_iss_parameter_supported": true,
    });
    if desk.has_exit {
        metadata["end_session_endpoint"] = format!("{issuer}/exit?tenant=1").into();
    }
    metadata.as_object().unwrap().clone()
}

/// The person leaves, and is sent back.
async fn exit(State(says): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let mut says = says.lock().unwrap();
    let desk = says.desk.as_mut().unwrap();
    let asked = words(&query.unwrap_or_default());
    let word = |name: &str| asked.get(name).cloned().unwrap_or_default();
    if word("client_id") != desk.client_id || word("tenant") != "1" {
        return desk.fault(format!("a logout was asked for by {:?}", word("client_id")));
    }
    (StatusCode::FOUND, [(LOCATION, word("post_logout_redirect_uri"))]).into_response()
}

/// The person agrees, unless nobody is let in.
async fn authorize(State(says): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let mut says = says.lock().unwrap();
    let issuer = says.url.clone();
    let desk = says.desk.as_mut().unwrap();
    let asked = words(&query.unwrap_or_default());
    let word = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let expected = [
        ("response_type", "code"),
        ("code_challenge_method", "S256"),
        ("tenant", "1"),
        ("client_id", &*desk.client_id.clone()),
    ];
    for (name, value) in expected {
        if word(name) != value {
            return desk.fault(format!("a login was asked for with {name}={}", word(name)));
        }
    }
    if word("code_challenge").len() != 43 || word("state").len() < 32 || word("nonce").len() < 32 {
        return desk.fault("a login was asked for without a challenge, a state or a nonce".into());
    }
    if !word("scope").split(' ').any(|scope| scope == "openid") {
        return desk.fault(format!("a login was asked for with the scopes {:?}", word("scope")));
    }
    if !word("redirect_uri").ends_with("/ui/callback") {
        return desk.fault(format!("a login was to go back to {}", word("redirect_uri")));
    }
    let mut back = form_urlencoded::Serializer::new(String::new());
    back.append_pair("state", &word("state")).append_pair("iss", &issuer);
    if let Some((error, description)) = desk.refuses {
        back.append_pair("error", error).append_pair("error_description", description);
    } else {
        let code = format!("code-{}", Uuid::new_v4());
        back.append_pair("code", &code);
        let (redirect_uri, challenge, nonce) = (word("redirect_uri"), word("code_challenge"), word("nonce"));
        desk.codes.insert(code, Code { redirect_uri, challenge, nonce });
    }
    let back = format!("{}?{}", word("redirect_uri"), back.finish());
    if desk.has_page {
        return Html(format!("<h1>Log in</h1><a id=\"agree\" href=\"{back}\">Agree</a>")).into_response();
    }
    (StatusCode::FOUND, [(LOCATION, back)]).into_response()
}

async fn token(State(says): State<Shared>, headers: HeaderMap, form: String) -> Response {
    let mut says = says.lock().unwrap();
    let issuer = says.url.clone();
    let desk = says.desk.as_mut().unwrap();
    let asked = words(&form);
    let word = |name: &str| asked.get(name).cloned().unwrap_or_default();
    if !is_client(desk, &headers, &asked) {
        desk.faults.push("somebody else asked for a token".into());
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" }))).into_response();
    }
    // A code counts once, whatever comes of it.
    let code = if desk.is_lax { desk.codes.get(&word("code")).cloned() } else { desk.codes.remove(&word("code")) };
    let Some(code) = code else {
        return desk.fault("an unknown code, or one that was used".into());
    };
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, word("code_verifier").as_bytes()));
    if word("grant_type") != "authorization_code" || code.redirect_uri != word("redirect_uri") {
        return desk.fault("a code was used for something else".into());
    }
    if code.challenge != challenge {
        return desk.fault("a code was used by somebody else".into());
    }
    let mut tokens = json!({ "access_token": "access-1", "token_type": "Bearer", "expires_in": 300 });
    match desk.gives.clone() {
        Gives::Well => tokens["id_token"] = desk.id_token(&issuer, &code.nonce).into(),
        Gives::NoIdToken => {}
        Gives::Away => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Gives::Redirect(to) => return (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, to)]).into_response(),
        Gives::Refusal(words) => {
            let body = json!({ "error": "invalid_grant", "error_description": words });
            return (StatusCode::BAD_REQUEST, Json(body)).into_response();
        }
    }
    Json(tokens).into_response()
}

/// Whether whoever asks is the client, in the way that such a client shows it.
fn is_client(desk: &Desk, headers: &HeaderMap, asked: &Words) -> bool {
    let basic = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let basic = basic.and_then(|pair| String::from_utf8(STANDARD.decode(pair).ok()?).ok());
    match (&desk.client_secret, basic) {
        (Some(secret), Some(pair)) => pair == format!("{}:{secret}", desk.client_id),
        (None, None) => asked.get("client_id") == Some(&desk.client_id) && !asked.contains_key("client_secret"),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn words(form: &str) -> Words {
    form_urlencoded::parse(form.as_bytes()).into_owned().collect()
}
