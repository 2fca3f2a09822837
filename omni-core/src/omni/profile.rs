//! What there is to say of people, and to whom: of oneself to everybody, of others to administrators.

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

use super::{Omni, admin::Admin, steps};
use crate::{
    catalog::Health,
    error::Error,
    identity::{Credential, Principal, normalise},
    parts::Parts,
    policy::{Grant, Permission, PolicyError, SourceRef, is_operator},
};

/// How a person stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UserStatus {
    /// They may use omni.
    Active,
    /// They are kept out, or have a role that nobody knows.
    Blocked,
    /// Somebody has to approve them.
    Pending,
    /// They asked once, and nothing lets them in.
    Unknown,
}

impl UserStatus {
    /// The name in JSON documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Blocked => "blocked",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
        }
    }
}

/// A person.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Profile {
    /// The e-mail address, in lower case.
    pub email: String,
    /// The name, or else the address.
    pub name: String,
    /// The role that holds; what they had or would get where none does.
    pub role: Option<String>,
    /// Whether they are super admin.
    pub is_super_admin: bool,
    /// How they stand.
    pub status: UserStatus,
    /// Why they may not, where they may not.
    pub reason: Option<String>,
    /// The servers of which they may use something; `None` is every one.
    pub servers: Option<Vec<String>>,
    /// The domains of knowledge; `None` is every one.
    pub domains: Option<Vec<String>>,
    /// Their teams.
    pub teams: Vec<String>,
    /// Their id in Slack, where `users.yaml` has it.
    pub slack_user_id: Option<String>,
    /// Whether nobody named them, so that they are what anybody is.
    pub is_default: bool,
    /// Where a file names them.
    pub named_at: Option<SourceRef>,
}

/// Some of the people, and how many there are.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct People {
    /// All people.
    pub total: usize,
    /// Super admins among them.
    pub super_admins: usize,
    /// Those of this page, by address.
    pub page: Vec<Profile>,
    /// The address after which the next page begins, if there is one.
    pub next: Option<String>,
}

/// How somebody stands, with their grant where they have one, or why they have none.
pub(super) async fn stand(
    parts: &Parts,
    email: &str,
) -> Result<(UserStatus, Result<Arc<Grant>, PolicyError>), PolicyError> {
    let status = |error: &PolicyError| match error {
        PolicyError::PendingApproval { .. } => UserStatus::Pending,
        PolicyError::UnknownSubject { .. } => UserStatus::Unknown,
        _ => UserStatus::Blocked,
    };
    match parts.policy.resolve(&Principal::email(email)).await {
        Ok(grant) => Ok((UserStatus::Active, Ok(grant))),
        Err(error @ PolicyError::Unavailable { .. }) => Err(error),
        Err(error) => Ok((status(&error), Err(error))),
    }
}

impl Omni {
    /// What there is to say of oneself.
    ///
    /// # Errors
    /// An [`Error`] when credential or policy say no.
    pub async fn profile(&self, who: impl Into<Credential>) -> Result<Profile, Error> {
        let parts = self.parts();
        let principal = steps::identity(&parts, &who.into()).await?;
        Ok(own(&parts, &*steps::policy(&parts, &principal).await?))
    }

    /// The people of whom somebody may know: all for those who may manage them, else oneself. At
    /// most `limit` whose address comes after `after`.
    ///
    /// # Errors
    /// An [`Error`] when credential or policy say no, or they cannot be read.
    pub async fn people(&self, who: impl Into<Credential>, after: &str, limit: usize) -> Result<People, Error> {
        let parts = self.parts();
        let principal = steps::identity(&parts, &who.into()).await?;
        if is_operator(&principal) {
            return people(&parts, after, limit).await;
        }
        let grant = steps::policy(&parts, &principal).await?;
        if grant.require_admin(Permission::CanManageUsers).is_ok() {
            return people(&parts, after, limit).await;
        }
        let own = own(&parts, &grant);
        let super_admins = usize::from(own.is_super_admin);
        let page = Some(own).filter(|own| *own.email > *after).into_iter().collect();
        Ok(People { total: 1, super_admins, page, next: None })
    }
}

impl Admin {
    /// What there is to say of somebody.
    ///
    /// # Errors
    /// [`Error::NotFound`] for somebody whom nobody knows, or an [`Error`] when it may not be told.
    pub async fn profile_of(&self, email: &str) -> Result<Profile, Error> {
        self.require(Permission::CanManageUsers)?;
        let profile = of(self.parts(), &normalise(email)).await?;
        match profile.status {
            UserStatus::Unknown => Err(Error::NotFound { message: format!("nobody is called {email:?}") }),
            _ => Ok(profile),
        }
    }

    /// Everybody whom a file names or the database knows: at most `limit` whose address comes after
    /// `after`.
    ///
    /// # Errors
    /// An [`Error`] when they may not be listed, or cannot.
    pub async fn people(&self, after: &str, limit: usize) -> Result<People, Error> {
        self.require(Permission::CanManageUsers)?;
        people(self.parts(), after, limit).await
    }
}

fn own(parts: &Parts, grant: &Grant) -> Profile {
    let nobody = nobody(parts, &grant.principal.subject, UserStatus::Active);
    Profile {
        name: grant.display_name.clone(),
        role: Some(grant.role.name.to_string()),
        is_super_admin: grant.role.is_super_admin,
        servers: servers(parts, grant),
        domains: grant.domains.clone(),
        teams: grant.teams.clone(),
        ..nobody
    }
}

async fn of(parts: &Parts, email: &str) -> Result<Profile, Error> {
    match stand(parts, email).await? {
        (_, Ok(grant)) => Ok(own(parts, &grant)),
        (status, Err(refused)) => Ok(Profile { reason: Some(refused.to_string()), ..nobody(parts, email, status) }),
    }
}

/// Somebody of whom the policy says nothing but how they stand.
fn nobody(parts: &Parts, email: &str, status: UserStatus) -> Profile {
    let standing = parts.policy.standing(&Principal::email(email));
    let is_default = standing.role.is_none() && standing.offered_role.is_none();
    Profile {
        email: email.into(),
        name: email.into(),
        is_super_admin: standing.role.as_ref().is_some_and(|role| role.is_super_admin),
        role: standing.role.map(|role| role.name.to_string()).or(standing.offered_role),
        status,
        reason: None,
        servers: Some(Vec::new()),
        domains: Some(Vec::new()),
        teams: Vec::new(),
        slack_user_id: parts.config.as_ref().and_then(|config| config.slack_id(email)),
        is_default,
        named_at: standing.named_at,
    }
}

/// The servers of which a grant may use something; `None` where that is every one that is switched on.
fn servers(parts: &Parts, grant: &Grant) -> Option<Vec<String>> {
    let catalog = parts.pool.catalog();
    let on = || catalog.servers.iter().filter(|view| view.health != Health::Disabled);
    let open = on().filter(|view| !grant.rules.is_closed(&view.name));
    let open: Vec<String> = open.map(|view| view.name.to_string()).collect();
    if open.len() < on().count() { Some(open) } else { None }
}

async fn people(parts: &Parts, after: &str, limit: usize) -> Result<People, Error> {
    let named = named(parts);
    let is_super_admin = |email: &&String| {
        let role = parts.policy.standing(&Principal::email(email)).role;
        role.is_some_and(|role| role.is_super_admin)
    };
    // Whoever is super admin is so by the policy, which has all of those at hand.
    let listed: BTreeSet<String> = parts.policy.named().into_iter().chain(named.iter().cloned()).collect();
    let super_admins = listed.iter().filter(is_super_admin).count();
    let mut people = People { total: total(parts, &named).await?, super_admins, ..People::default() };
    let mut rest = following(parts, &named, after, limit).await?.into_iter();
    for email in rest.by_ref().take(limit) {
        people.page.push(of(parts, &email).await?);
    }
    let last = people.page.last().map(|last| last.email.clone());
    people.next = last.filter(|_| rest.next().is_some());
    Ok(people)
}

/// The addresses of everybody whom a file names.
fn named(parts: &Parts) -> BTreeSet<String> {
    let named = parts.config.iter().flat_map(|config| config.named_people());
    // Where the database alone says who people are, a file names nobody.
    let counts = |email: &String| parts.policy.standing(&Principal::email(email)).named_at.is_some();
    named.filter(|email| !email.is_empty() && counts(email)).collect()
}

/// How many people a file names or the database knows.
async fn total(parts: &Parts, named: &BTreeSet<String>) -> Result<usize, Error> {
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    if let Some(tables) = &parts.tables {
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        return Ok(usize::try_from(tables.count_with(&named).await?).unwrap_or(usize::MAX));
    }
    Ok(named.len())
}

/// The addresses of those people after one address, and of one more than `limit` if there are so many.
async fn following(
    parts: &Parts,
    named: &BTreeSet<String>,
    after: &str,
    limit: usize,
) -> Result<BTreeSet<String>, Error> {
    let rest = named.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
    let mut found: BTreeSet<String> = rest.take(limit.saturating_add(1)).cloned().collect();
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    if let Some(tables) = &parts.tables {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1);
        found.extend(tables.addresses(after, limit).await?);
    }
    Ok(found)
}
