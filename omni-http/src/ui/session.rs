//! Who sits before the pages: what they logged in with, sealed into a cookie that no script reads.
//!
//! Nothing is kept here but which sessions were ended early: every instance that shares the ledger's key opens the
//! cookie, and what is in it is judged anew with each request.

use std::fmt;

use axum::{
    extract::Request,
    http::{HeaderValue, request::Parts},
};
use chrono::Utc;
use omni_core::{
    Principal,
    identity::{Credential, IdClaims},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    cookie::{self, MAX_VALUE, SESSION},
    place,
};
use crate::{
    caller::{self, Caller},
    error::ApiError,
    state::App,
};

/// How long a session lasts at most.
const LASTS_SECONDS: i64 = 8 * 3_600;
const LABEL: &str = "omni ui session 2";

/// Who is logged in.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Session {
    id: Uuid,
    who: Who,
    /// Whose it is. Whatever vouches for them: nobody goes on with the session of somebody else.
    tenant: String,
    subject: String,
    /// What every form brings along.
    csrf: String,
    /// When it is over, in seconds since 1970.
    ends: i64,
    /// How long that is from its beginning, which its cookie is told.
    #[serde(skip)]
    seconds: i64,
}

/// By what they are known.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Who {
    /// Whoever has this key or token.
    Bearer(String),
    /// Whoever logged in at the issuer's page.
    LoggedIn(IdClaims),
    /// Whoever the proxy says, or who trusts this machine: each request says so again.
    Ambient,
}

impl Who {
    pub(super) fn credential(&self, app: &App, parts: &Parts) -> Result<Credential, ApiError> {
        match self {
            Self::Bearer(bearer) => Ok(Credential::bearer(bearer.clone())),
            Self::LoggedIn(claims) => Ok(Credential::logged_in(claims.clone())),
            Self::Ambient => caller::ambient(app, parts),
        }
    }

    /// A session lasts no longer than what proved who it is of.
    fn seconds(&self, now: i64) -> i64 {
        match self {
            Self::LoggedIn(claims) => (claims.ends() - now).clamp(0, LASTS_SECONDS),
            Self::Bearer(_) | Self::Ambient => LASTS_SECONDS,
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id).field("ends", &self.ends).finish_non_exhaustive()
    }
}

impl Session {
    /// A new session of somebody, whatever their browser had before.
    pub(super) fn begin(who: Who, principal: &Principal) -> Self {
        let now = Utc::now().timestamp();
        let seconds = who.seconds(now);
        let (tenant, subject) = (principal.tenant.clone(), principal.subject.clone());
        Self { id: Uuid::new_v4(), who, tenant, subject, csrf: token(), ends: now + seconds, seconds }
    }

    /// Whether it began at the issuer's page.
    #[cfg(feature = "oidc")]
    pub(super) fn is_of_issuer(&self) -> bool {
        matches!(self.who, Who::LoggedIn(_))
    }

    pub(super) fn csrf(&self) -> &str {
        &self.csrf
    }

    /// The session that a request has, while it lasts.
    ///
    /// # Errors
    /// It cannot be looked up whether it was ended.
    pub(super) async fn of(app: &App, parts: &Parts) -> Result<Option<Self>, ApiError> {
        let Some(sealed) = SESSION.of(&parts.headers, place::is_https_alone(app)) else { return Ok(None) };
        let Some(session) = cookie::open::<Self>(&app.omni.door_key(LABEL), LABEL, sealed) else { return Ok(None) };
        let lasts = session.lasts(app, !parts.method.is_safe()).await?;
        Ok(lasts.then_some(session))
    }

    /// Whether it is not over; `for_change`: as of this very moment, wherever it was ended.
    pub(super) async fn lasts(&self, app: &App, for_change: bool) -> Result<bool, ApiError> {
        let is_in_time = self.ends > Utc::now().timestamp();
        Ok(is_in_time && !app.ui.ended.has(&app.omni, self.id, self.ends, for_change).await?)
    }

    /// Ends it before its time.
    ///
    /// # Errors
    /// Other processes cannot be told.
    pub(super) async fn end(&self, app: &App) -> Result<(), ApiError> {
        app.ui.ended.everywhere(&app.omni, self.id, self.ends).await?;
        Ok(())
    }

    /// What sets it.
    ///
    /// # Errors
    /// A token that is too long for a cookie.
    pub(super) fn set_cookie(&self, app: &App, is_https: bool) -> Result<HeaderValue, ApiError> {
        let sealed = cookie::seal(&app.omni.door_key(LABEL), LABEL, self);
        let sealed = sealed.ok_or_else(|| ApiError::internal("a session cannot be sealed"))?;
        if sealed.len() > MAX_VALUE {
            return Err(ApiError::denied("this token is too long for a session; log in another way"));
        }
        SESSION.set(&sealed, self.seconds, is_https)
    }

    fn is_of(&self, principal: &Principal) -> bool {
        (&self.tenant, &self.subject) == (&principal.tenant, &principal.subject)
    }
}

/// What nobody guesses.
pub(super) fn token() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Lets in whoever logged in, or brings a key or a token with the request itself.
pub(crate) async fn admit(app: &App, request: Request) -> Result<Request, ApiError> {
    let (mut parts, body) = request.into_parts();
    let caller = match caller::own(&parts.headers) {
        Some(own) => Caller::by(app, &parts, own).await?,
        None => {
            let session = Session::of(app, &parts).await?.ok_or_else(ApiError::unauthenticated)?;
            let caller = Caller::by(app, &parts, session.who.credential(app, &parts)?).await?;
            // A browser that changed hands behind a proxy, or a name that stands for somebody else by now.
            if !session.is_of(caller.principal()) {
                return Err(ApiError::unauthenticated());
            }
            parts.extensions.insert(session);
            caller
        }
    };
    parts.extensions.insert(caller);
    Ok(Request::from_parts(parts, body))
}
