//! The one place where a credential becomes a principal.

use std::collections::HashMap;

use secrecy::SecretString;
use tokio::time::timeout;

#[cfg(feature = "oidc")]
use super::Oidc;
use super::{
    ApiKey, CallerToken, Credential, IdClaims, KeyError, Keys, Principal, Scope, Scopes, Via, is_subject, normalise,
};
use crate::{config::ProxyConfig, parts::STEP_TIMEOUT};

/// Why a credential was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The credential lacks a scope.
    #[error("{subject} may not act for others: the scope `{scope}` is missing")]
    MissingScope {
        /// Who asked.
        subject: String,
        /// What was missing.
        scope: Scope,
    },
    /// No key that counts. Whether it never did, ended or was taken back is nobody's business.
    #[error("the API key is not valid")]
    InvalidKey,
    /// The key may act for others, and not for this one.
    #[error("the API key may not act for {subject}")]
    NotListed {
        /// For whom; what is no name is cut.
        subject: String,
    },
    /// No token that counts. Why is in the log: whoever has a good one knows what they sent.
    #[error("the token is not valid")]
    InvalidToken,
    /// A proxy that says nothing that counts of who asks, or that nobody trusts.
    #[error("the proxy does not say who this is")]
    Unnamed,
    /// Keys cannot be looked up. Fail closed.
    #[error(transparent)]
    Unavailable(#[from] KeyError),
    /// Tokens cannot be checked, because the issuer's keys are not known. Fail closed.
    #[error("tokens cannot be checked: {message}")]
    IssuerAway {
        /// What went wrong.
        message: String,
    },
}

/// What an entry of a key's list begins with that names all who have a role.
const OF_ROLE: &str = "role:";
/// The entry that names everybody.
const EVERYBODY: &str = "*";
/// Most characters of what is no name that an error repeats.
const MAX_TOLD: usize = 100;

/// Turns a [`Credential`] into a [`Principal`].
#[derive(Debug, Clone, Default)]
pub struct Authenticator {
    os_users: HashMap<String, String>,
    local_may_act_as: bool,
    keys: Option<Keys>,
    #[cfg(feature = "oidc")]
    oidc: Option<Oidc>,
    proxy: Option<ProxyConfig>,
}

impl Authenticator {
    /// An authenticator that maps no operating-system user and lets nobody act for others.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Maps an operating-system user to a subject of the policy.
    #[must_use]
    pub fn with_os_user(mut self, os_user: impl Into<String>, subject: impl Into<String>) -> Self {
        self.os_users.insert(os_user.into(), subject.into());
        self
    }

    /// Lets the person at the terminal act as anybody. Right where that person can read config and
    /// database anyway.
    #[must_use]
    pub fn with_local_act_as(mut self) -> Self {
        self.local_may_act_as = true;
        self
    }

    /// Accepts API keys.
    #[must_use]
    pub fn with_keys(mut self, keys: Keys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Accepts the tokens of an issuer.
    #[cfg(feature = "oidc")]
    #[must_use]
    pub fn with_oidc(mut self, oidc: Oidc) -> Self {
        self.oidc = Some(oidc);
        self
    }

    /// Accepts what proxies say.
    #[must_use]
    pub fn with_proxy(mut self, proxy: ProxyConfig) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// The proxies that are believed.
    pub(crate) fn proxy(&self) -> Option<&ProxyConfig> {
        self.proxy.as_ref()
    }

    /// Whose tokens are accepted.
    #[cfg(feature = "oidc")]
    pub(crate) fn oidc(&self) -> Option<&Oidc> {
        self.oidc.as_ref()
    }

    /// Goes on with what `old` knows of an issuer, where both accept its tokens in the same way.
    #[cfg(feature = "oidc")]
    pub(crate) fn succeed(&mut self, old: &Self) {
        if let (Some(new), Some(old)) = (&mut self.oidc, &old.oidc)
            && new.config() == old.config()
        {
            *new = old.clone();
        }
    }

    /// The keys that are accepted.
    pub(crate) fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    /// Whether there is any key, of those that are accepted.
    pub(crate) async fn has_keys(&self) -> Result<bool, AuthError> {
        let Some(keys) = &self.keys else { return Ok(false) };
        let listed = timeout(STEP_TIMEOUT, keys.store().list(None, None, 1)).await;
        Ok(!listed.unwrap_or_else(|_| Err(KeyError::new("no answer in time")))?.is_empty())
    }

    /// Judges a credential.
    ///
    /// # Errors
    /// An [`AuthError`]: key, token or proxy is not valid or cannot be checked, or whoever acts for somebody else may not.
    pub async fn authenticate(&self, credential: Credential) -> Result<Principal, AuthError> {
        match credential {
            Credential::Asserted(principal) => Ok(principal),
            Credential::Admitted(admitted) => Box::pin(self.authenticate(admitted.credential().clone())).await,
            Credential::ApiKey { key, act_as } => {
                let judged = timeout(STEP_TIMEOUT, self.by_key(&key, act_as.as_deref())).await;
                judged.unwrap_or_else(|_| Err(KeyError::new("no answer in time").into()))
            }
            Credential::Bearer { token, act_as } => themselves(self.by_token(&token).await?, act_as.as_deref()),
            Credential::LoggedIn { claims, act_as } => themselves(self.by_claims(&claims)?, act_as.as_deref()),
            Credential::Proxy { headers, act_as } => {
                let config = self.proxy.as_ref().ok_or(AuthError::Unnamed)?;
                themselves(headers.principal(config).ok_or(AuthError::Unnamed)?, act_as.as_deref())
            }
            Credential::Local { os_user, act_as } => self.at_terminal(&os_user, act_as.as_deref()),
        }
    }

    /// The token with which somebody came, after it was judged. Of whoever came by a key, a proxy or somebody's word
    /// there is none.
    pub(crate) fn own_token(&self, credential: &Credential, judged: &Principal) -> Option<CallerToken> {
        let Credential::Bearer { token, .. } = credential.brought() else { return None };
        if judged.via == Via::Oidc { self.read(token) } else { None }
    }

    #[cfg(feature = "oidc")]
    fn read(&self, token: &SecretString) -> Option<CallerToken> {
        self.oidc.as_ref()?.own_token(token)
    }

    #[cfg(not(feature = "oidc"))]
    #[expect(clippy::unused_self, reason = "where there is an issuer it is asked")]
    fn read(&self, _: &SecretString) -> Option<CallerToken> {
        None
    }

    #[cfg(feature = "oidc")]
    async fn by_token(&self, token: &SecretString) -> Result<Principal, AuthError> {
        let oidc = self.oidc.as_ref().ok_or(AuthError::InvalidToken)?;
        // Whoever comes without a token carries none of it.
        let judged = Box::pin(timeout(STEP_TIMEOUT, oidc.judge(token))).await;
        judged.unwrap_or_else(|_| Err(AuthError::IssuerAway { message: "no answer in time".into() }))
    }

    /// A build that knows no issuer has no token that counts.
    #[cfg(not(feature = "oidc"))]
    fn by_token(&self, _: &SecretString) -> std::future::Ready<Result<Principal, AuthError>> {
        std::future::ready(Err(AuthError::InvalidToken))
    }

    #[cfg(feature = "oidc")]
    fn by_claims(&self, claims: &IdClaims) -> Result<Principal, AuthError> {
        self.oidc.as_ref().ok_or(AuthError::InvalidToken)?.judge_again(claims)
    }

    /// A build that knows no issuer lets nobody log in at one.
    #[cfg(not(feature = "oidc"))]
    fn by_claims(&self, _: &IdClaims) -> Result<Principal, AuthError> {
        Err(AuthError::InvalidToken)
    }

    async fn by_key(&self, key: &SecretString, act_as: Option<&str>) -> Result<Principal, AuthError> {
        let keys = self.keys.as_ref().ok_or(AuthError::InvalidKey)?;
        let key = keys.judge(key).await?.ok_or(AuthError::InvalidKey)?;
        // Whoever names the key's owner acts for nobody else.
        match act_as.map(normalise).filter(|subject| *subject != key.owner) {
            None => Ok(of_key(&key, &key.owner)),
            Some(subject) if !key.scopes.contains(Scope::ActAs) => {
                tracing::debug!(key = key.id, subject, "a key without the scope act_as named somebody else");
                Err(AuthError::MissingScope { subject: key.owner.clone(), scope: Scope::ActAs })
            }
            Some(subject) => for_another(&key, &subject),
        }
    }

    fn at_terminal(&self, os_user: &str, act_as: Option<&str>) -> Result<Principal, AuthError> {
        let actor = self.local(os_user);
        // Whoever names themselves acts for nobody else.
        let Some(subject) = act_as.map(normalise).filter(|subject| *subject != actor.subject) else { return Ok(actor) };
        if !actor.scopes.contains(Scope::ActAs) {
            return Err(AuthError::MissingScope { subject: actor.subject, scope: Scope::ActAs });
        }
        // What the subject would have at this terminal; nobody acts for others in their place.
        let scopes = actor.scopes.iter().filter(|scope| *scope != Scope::ActAs).collect();
        Ok(Principal::new(&subject, Via::LocalUser).with_actor(actor.subject).with_scopes(scopes))
    }

    fn local(&self, os_user: &str) -> Principal {
        let principal = match self.os_users.get(os_user) {
            Some(subject) => Principal::new(subject, Via::LocalUser),
            None => Principal::local(os_user),
        };
        let mut scopes = vec![Scope::Ask, Scope::Tools, Scope::Audit, Scope::Admin];
        if self.local_may_act_as {
            scopes.push(Scope::ActAs);
        }
        principal.with_scopes(Scopes::from_iter(scopes))
    }
}

/// Somebody for whom an identity provider speaks, if they name nobody else: no claim and no header
/// lets anybody act for others.
fn themselves(principal: Principal, act_as: Option<&str>) -> Result<Principal, AuthError> {
    if act_as.is_some_and(|subject| normalise(subject) != principal.subject) {
        return Err(AuthError::MissingScope { subject: principal.subject, scope: Scope::ActAs });
    }
    Ok(principal)
}

/// Whoever a key speaks for. What it may be used for, and its ceiling, go with them.
fn of_key(key: &ApiKey, subject: &str) -> Principal {
    let mut principal = Principal::new(subject, Via::ApiKey).with_tenant(&*key.tenant).with_scopes(key.scopes.clone());
    principal.ceiling_role.clone_from(&key.ceiling_role);
    principal.acts_for = key.scopes.contains(Scope::ActAs).then(|| key.act_as.clone());
    principal
}

/// Somebody whom the key's list names, or who has a role that it names: the policy knows that.
fn for_another(key: &ApiKey, subject: &str) -> Result<Principal, AuthError> {
    if !is_somebody(subject) {
        return Err(AuthError::NotListed { subject: subject.chars().take(MAX_TOLD).collect() });
    }
    let principal = of_key(key, subject).with_actor(&*key.owner);
    let is_named = |entry: &String| entry == EVERYBODY || normalise(entry) == subject;
    if key.act_as.iter().any(is_named) {
        return Ok(principal);
    }
    let roles: Vec<String> =
        key.act_as.iter().filter_map(|entry| entry.strip_prefix(OF_ROLE)).map(str::to_owned).collect();
    if roles.is_empty() {
        return Err(AuthError::NotListed { subject: subject.into() });
    }
    Ok(Principal { subject_roles: Some(roles), ..principal })
}

/// Whether it can be a person's name, and is none of the words by which a list names several: whoever goes by one of
/// those would be named by it, whatever their role.
fn is_somebody(subject: &str) -> bool {
    is_subject(subject) && subject != EVERYBODY && !subject.starts_with(OF_ROLE)
}
