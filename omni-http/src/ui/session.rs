//! Who sits before the pages: what they logged in with, sealed into a cookie that no script reads.
//!
//! Nothing is kept here but which sessions were ended early: every instance that shares the ledger's key opens the
//! cookie, and what is in it is judged anew with each request.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use omni_core::identity::Credential;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    caller::{self, Caller},
    error::ApiError,
    state::App,
};

/// How long a session lasts.
const LASTS_SECONDS: i64 = 8 * 3_600;
/// Longest value that browsers keep.
const MAX_COOKIE: usize = 3_800;
/// Most sessions that are known to have ended early.
const MAX_ENDED: usize = 10_000;
const LABEL: &str = "omni ui session 1";

/// The cookie of a page that came over https; no other host can set it.
const SECURE: &str = "__Host-omni";
/// The cookie of a page that did not.
const PLAIN: &str = "omni-ui";

/// Who is logged in.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Session {
    id: Uuid,
    who: Who,
    /// What every form brings along.
    csrf: String,
    /// When it is over, in seconds since 1970.
    ends: i64,
}

#[derive(Clone, Serialize, Deserialize)]
enum Who {
    /// Whoever has this key or token.
    Bearer(String),
    /// Whoever the proxy says, or who trusts this machine: each request says so again.
    Ambient,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id).field("ends", &self.ends).finish_non_exhaustive()
    }
}

/// Sessions that were ended before their time, until it is over.
#[derive(Debug, Default)]
pub(super) struct Ended(Mutex<HashMap<Uuid, i64>>);

impl Ended {
    fn has(&self, id: Uuid) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }

    fn add(&self, session: &Session, now: i64) {
        let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|_, ends| *ends > now);
        if ended.len() >= MAX_ENDED
            && let Some(first) = ended.iter().min_by_key(|(_, ends)| **ends).map(|(id, _)| *id)
        {
            ended.remove(&first);
        }
        ended.insert(session.id, session.ends);
    }
}

impl Session {
    /// A session of whoever has a key or token; of whoever needs none, without it.
    pub(super) fn begin(bearer: Option<&str>) -> Self {
        let who = bearer.map_or(Who::Ambient, |bearer| Who::Bearer(bearer.to_owned()));
        Self { id: Uuid::new_v4(), who, csrf: token(), ends: Utc::now().timestamp() + LASTS_SECONDS }
    }

    pub(super) fn csrf(&self) -> &str {
        &self.csrf
    }

    /// The session that a request has, while it lasts.
    pub(super) fn of(app: &App, headers: &HeaderMap) -> Option<Self> {
        let sealed = cookie(headers, SECURE).or_else(|| cookie(headers, PLAIN))?;
        let session = Self::open(&app.omni.door_key(LABEL), sealed)?;
        let lasts = session.ends > Utc::now().timestamp() && !app.ui.ended.has(session.id);
        lasts.then_some(session)
    }

    /// Ends it before its time.
    pub(super) fn end(&self, app: &App) {
        app.ui.ended.add(self, Utc::now().timestamp());
    }

    /// What sets it; over https as a cookie that comes back over https alone.
    ///
    /// # Errors
    /// A token that is too long for a cookie.
    pub(super) fn set_cookie(&self, app: &App, is_secure: bool) -> Result<HeaderValue, ApiError> {
        let sealed =
            self.seal(&app.omni.door_key(LABEL)).ok_or_else(|| ApiError::internal("a session cannot be sealed"))?;
        if sealed.len() > MAX_COOKIE {
            return Err(ApiError::denied("this token is too long for a session; log in with an API key"));
        }
        set(if is_secure { SECURE } else { PLAIN }, &sealed, LASTS_SECONDS, is_secure)
    }

    fn credential(&self, app: &App, parts: &Parts) -> Result<Credential, ApiError> {
        match &self.who {
            Who::Bearer(bearer) => Ok(Credential::bearer(bearer.clone())),
            Who::Ambient => caller::ambient(app, parts),
        }
    }

    fn seal(&self, key: &[u8; 32]) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut text = serde_json::to_vec(self).ok()?;
        let (sealing, nonce_of) = (cipher(key)?, Nonce::assume_unique_for_key(nonce));
        sealing.seal_in_place_append_tag(nonce_of, Aad::from(LABEL), &mut text).ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce[..], &text].concat()))
    }

    fn open(key: &[u8; 32], sealed: &str) -> Option<Self> {
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = cipher(key)?.open_in_place(nonce, Aad::from(LABEL), text).ok()?;
        serde_json::from_slice(text).ok()
    }
}

fn cipher(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new)
}

/// What nobody guesses.
pub(super) fn token() -> String {
    Uuid::new_v4().simple().to_string()
}

/// A cookie of a request.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
}

/// What sets a cookie for so long; no time takes it away.
pub(super) fn set(name: &str, value: &str, seconds: i64, is_secure: bool) -> Result<HeaderValue, ApiError> {
    let secure = if is_secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).map_err(|_| ApiError::internal("a cookie cannot be written"))
}

/// What takes both cookies away.
pub(super) fn unset() -> Result<[HeaderValue; 2], ApiError> {
    Ok([set(SECURE, "", 0, true)?, set(PLAIN, "", 0, false)?])
}

/// Lets in whoever logged in, or brings a key or a token with the request itself.
pub(crate) async fn admit(app: &App, request: Request) -> Result<Request, ApiError> {
    let (mut parts, body) = request.into_parts();
    let credential = match caller::own(&parts.headers) {
        Some(own) => own,
        None => {
            let session = Session::of(app, &parts.headers).ok_or_else(ApiError::unauthenticated)?;
            let credential = session.credential(app, &parts)?;
            parts.extensions.insert(session);
            credential
        }
    };
    let caller = Caller::by(app, &parts, credential).await?;
    parts.extensions.insert(caller);
    Ok(Request::from_parts(parts, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_opened_by_its_key_alone_and_as_it_was_sealed() {
        let session = Session::begin(Some("omni_abc"));
        let (key, other) = ([7; 32], [8; 32]);
        let sealed = session.seal(&key).unwrap();
        assert!(!sealed.contains("omni_"));
        assert_eq!(Session::open(&key, &sealed).unwrap().csrf, session.csrf);
        assert!(Session::open(&other, &sealed).is_none());
        let altered = sealed.replace(sealed.chars().nth(20).unwrap(), "_");
        for bad in [altered.as_str(), "", "x", "AAAA", &sealed[..30]] {
            assert!(Session::open(&key, bad).is_none(), "{bad}");
        }
        assert!(!format!("{session:?}").contains("omni_abc"));
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("a=1; omni-ui=x=y; b=2"));
        assert_eq!((cookie(&headers, PLAIN), cookie(&headers, SECURE)), (Some("x=y"), None));
    }
}
