//! API keys.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{Admin, MAX_NAME, quoted, record, within};
use crate::{
    error::Error,
    identity::{ApiKey, Keys, Principal, Scope, Scopes, is_subject, keys::IssuedKey, normalise},
    policy::{Grant, Permission, PolicyError, Role},
};

/// Most keys of one list.
const MAX_LISTED: u32 = 10_000;
/// Most entries that say for whom one key acts.
const MAX_ACT_AS: usize = 1_000;

/// A key to be made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewKey {
    /// Whose it will be.
    pub owner: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// What it is for.
    pub name: Option<String>,
    /// Whom it may act for: e-mail addresses, `role:<name>`, or `*`. Empty: anybody, where it has
    /// the scope `act_as`.
    pub act_as: Vec<String>,
    /// A role that its rights never exceed. Absent: none, and the owner's for one that may act for
    /// others.
    pub ceiling_role: Option<String>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A portion of the keys, the newest first.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<ApiKey>,
    /// Before which number the next page begins, if there is one.
    pub next: Option<i64>,
}

impl NewKey {
    /// A key of somebody.
    #[must_use]
    pub fn new(owner: impl Into<String>, scopes: Scopes) -> Self {
        Self { owner: owner.into(), scopes, name: None, act_as: Vec::new(), ceiling_role: None, expires_at: None }
    }
}

impl Admin {
    fn keys(&self) -> Result<&Keys, Error> {
        self.parts.authenticator.keys().ok_or(Error::NoDatabase { what: "keys" })
    }

    /// Makes a key. The result is the only moment at which anybody can read it.
    ///
    /// # Errors
    /// [`Error::NotFound`] for somebody whom nobody knows, or an [`Error`] when it may not be made, or cannot.
    pub async fn create_key(&self, new: NewKey) -> Result<IssuedKey, Error> {
        let scopes: Vec<&str> = new.scopes.iter().map(Scope::as_str).collect();
        let details = json!({
            "scopes": scopes, "act_as": new.act_as, "ceiling_role": new.ceiling_role, "expires_at": new.expires_at,
        });
        let said = record("key.create", &new.owner.trim().to_lowercase(), details);
        self.run(Permission::CanManageUsers, said, self.issue(new)).await
    }

    async fn issue(&self, new: NewKey) -> Result<IssuedKey, Error> {
        let invalid = |message: String| Error::Invalid { message };
        let own = self.scopes();
        if new.scopes.iter().next().is_none() {
            return Err(invalid("a key needs a scope".into()));
        }
        if let Some(scope) = new.scopes.iter().find(|scope| !own.contains(*scope)) {
            return Err(Error::Denied { message: format!("nobody may give out the scope {scope} who lacks it") });
        }
        self.keys()?;
        is_in_form(&new)?;
        let owner = self.owner(&new.owner).await?;
        self.may_give(&owner.role)?;
        let for_others = new.scopes.contains(Scope::ActAs);
        if !for_others && !new.act_as.is_empty() {
            return Err(invalid("a key acts for nobody without the scope act_as".into()));
        }
        let ceiling = new.ceiling_role.or_else(|| for_others.then(|| owner.role.rights_name().to_owned()));
        if let Some(name) = &ceiling {
            let role = self.role(name).ok_or_else(|| invalid(format!("there is no role {name:?}")))?;
            self.may_give(&role)?;
        }
        let act_as = if for_others && new.act_as.is_empty() { vec!["*".into()] } else { new.act_as };
        self.may_name(&act_as)?;
        let mut issued = ApiKey::issue(&new.owner, new.scopes);
        let key = &mut issued.key;
        key.name = new.name;
        key.act_as = act_as;
        key.ceiling_role = ceiling;
        key.expires_at = new.expires_at;
        key.created_by = Some(self.actor().into());
        key.id = self.keys()?.store().insert(key).await?;
        Ok(issued)
    }

    async fn owner(&self, email: &str) -> Result<Arc<Grant>, Error> {
        match self.parts.policy.resolve(&Principal::email(email)).await {
            Err(PolicyError::UnknownSubject { subject }) => {
                Err(Error::NotFound { message: format!("nobody is called {subject:?}") })
            }
            known => Ok(known?),
        }
    }

    fn role(&self, name: &str) -> Option<Role> {
        let super_admin = Role::super_admin();
        if *name == *super_admin.name { Some(super_admin) } else { self.parts.policy.role(name) }
    }

    /// Refuses to name somebody to act for whom one's own credential does not name.
    fn may_name(&self, act_as: &[String]) -> Result<(), Error> {
        let own = self.grant.as_ref().and(self.principal.acts_for.as_ref());
        let Some(own) = own.filter(|own| !own.iter().any(|entry| entry == "*")) else { return Ok(()) };
        let is_own = |wanted: &&String| own.iter().any(|entry| normalise(entry) == normalise(wanted));
        match act_as.iter().find(|wanted| !is_own(wanted)) {
            None => Ok(()),
            Some(other) => Err(Error::Denied {
                message: format!("nobody may let a key act for {other} whose own credential may not"),
            }),
        }
    }

    /// Keys, or one owner's, the newest first. Nothing of a key can be read from them.
    ///
    /// # Errors
    /// An [`Error`] when they may not be listed, or cannot.
    pub async fn keys_of(&self, owner: Option<&str>) -> Result<Vec<ApiKey>, Error> {
        Ok(self.keys_page(owner, None, MAX_LISTED).await?.keys)
    }

    /// The same in portions: at most `limit` with smaller numbers than `before`.
    ///
    /// # Errors
    /// As [`Admin::keys_of`].
    pub async fn keys_page(&self, owner: Option<&str>, before: Option<i64>, limit: u32) -> Result<KeyPage, Error> {
        self.require(Permission::CanManageUsers)?;
        let owner = owner.map(|owner| owner.trim().to_lowercase());
        owner.as_deref().map_or(Ok(()), is_owner)?;
        let limit = limit.clamp(1, MAX_LISTED);
        let mut keys = self.keys()?.store().list(owner.as_deref(), before, limit + 1).await?;
        let has_more = keys.len() > limit as usize;
        keys.truncate(limit as usize);
        let next = keys.last().filter(|_| has_more).map(|key| key.id);
        Ok(KeyPage { keys, next })
    }

    /// Takes a key back.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none of that number, [`Error::Denied`] for that of somebody
    /// with more rights than one's own.
    pub async fn revoke_key(&self, id: i64) -> Result<ApiKey, Error> {
        let revoking = async {
            let none = || Error::NotFound { message: format!("there is no key {id}") };
            let keys = self.keys()?;
            let key = keys.store().get(id).await?.ok_or_else(none)?;
            self.may_change(&key.owner).await?;
            let revoked = keys.store().revoke(id, self.actor()).await?;
            keys.forget();
            revoked.ok_or_else(none)
        };
        let said = record("key.revoke", &id.to_string(), serde_json::Value::Null);
        self.run(Permission::CanManageUsers, said, revoking).await
    }
}

/// Refuses what no column has room for.
fn is_in_form(new: &NewKey) -> Result<(), Error> {
    is_owner(&new.owner)?;
    new.name.as_deref().map_or(Ok(()), |name| within("the name", name, MAX_NAME))?;
    if new.act_as.len() > MAX_ACT_AS {
        return Err(Error::Invalid { message: format!("a key may name {MAX_ACT_AS} to act for") });
    }
    new.act_as.iter().try_for_each(|entry| within("an entry of act_as", entry, MAX_NAME))
}

fn is_owner(owner: &str) -> Result<(), Error> {
    if is_subject(owner) {
        return Ok(());
    }
    Err(Error::Invalid { message: format!("nobody can be called {}", quoted(owner)) })
}
