//! People.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    super::profile::{UserStatus, stand},
    Admin, MAX_NAME, quoted, record, within,
};
use crate::{
    config::{Config, ConfigError, Diagnostic, Severity, nearest},
    db::DbError,
    error::Error,
    identity::{is_address, normalise},
    ledger::AdminRecord,
    people::{Blocks, Imported, KnownUser, Tables, UserState},
    policy::{Permission, yaml::YamlPolicy},
};

/// How many people are read at once.
const PAGE: u32 = 1_000;
/// Most people of one list.
const MAX_LISTED: usize = 100_000;

/// Longest text that somebody reads who is kept out, in bytes.
const MAX_MESSAGE: usize = 1_000;
/// Most people of one kind whom the record of an import names.
const MAX_TOLD: usize = 100;
/// A person, and how they stand.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct ListedUser {
    /// The e-mail address.
    pub email: String,
    /// The name.
    pub name: String,
    /// The role that holds; what they had or would get where none does.
    pub role: Option<String>,
    /// How they stand.
    pub status: UserStatus,
    /// Why they may not, where they may not.
    pub reason: Option<String>,
    /// Where a file names them; else `assigned`, `seen`, or `blocked` where somebody keeps out an
    /// address that never asked.
    pub source: String,
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        Self::People { message: error.to_string() }
    }
}

impl Admin {
    fn tables(&self) -> Result<&Tables, Error> {
        self.parts.tables.as_ref().ok_or(Error::NoDatabase { what: "people" })
    }

    /// What only a file can change is not changed here.
    fn not_in_file(&self, email: &str) -> Result<(), Error> {
        match self.standing(email).named_at {
            Some(at) => Err(Error::NamedInFile { subject: email.trim().to_lowercase(), at }),
            None => Ok(()),
        }
    }

    /// Gives somebody a role who has none; they need not have asked before. It holds for their next ask.
    ///
    /// # Errors
    /// As [`Admin::add_user`], and [`Error::Conflict`] for somebody who has one.
    pub async fn new_user(&self, email: &str, name: Option<&str>, role: &str) -> Result<(), Error> {
        let said = record("user.add", &normalise(email), json!({ "role": role }));
        let adding = async {
            address(email)?;
            self.parts.policy.refresh().await?;
            self.not_in_file(email)?;
            if let Some(own) = self.standing(email).role {
                let message = format!("{} has the role {} already", normalise(email), own.name);
                return Err(Error::Conflict { message });
            }
            self.assign(email, name, role).await
        };
        self.run_and_tell(Permission::CanManageUsers, said, adding, unblocked).await.map(drop)
    }

    /// Gives somebody a role, or another one; they need not have asked before. It holds for their next ask, also where
    /// they were kept out until now: returns whether they were.
    ///
    /// # Errors
    /// [`Error::NamedInFile`] for somebody whom `users.yaml` names, [`Error::Invalid`] for a role
    /// that nobody knows, [`Error::Denied`] for one that is more than one's own.
    pub async fn add_user(&self, email: &str, name: Option<&str>, role: &str) -> Result<bool, Error> {
        let said = record("user.add", &normalise(email), json!({ "role": role }));
        self.run_and_tell(Permission::CanManageUsers, said, self.assign(email, name, role), unblocked).await
    }

    async fn assign(&self, email: &str, name: Option<&str>, role: &str) -> Result<bool, Error> {
        address(email)?;
        name.map_or(Ok(()), |name| within("the name", name, MAX_NAME))?;
        self.require(Permission::CanPromoteUsers)?;
        let tables = self.tables()?;
        // A database that was not read yet knows roles that are not known here yet.
        self.parts.policy.refresh().await?;
        self.not_in_file(email)?;
        self.may_change(email).await?;
        let known = self.parts.policy.role(role).ok_or_else(|| no_role(role))?;
        self.may_give(&known)?;
        let was_out = tables.assign(email, name, role).await?;
        self.refresh().await;
        Ok(was_out)
    }

    /// Lets in somebody who waits for it, with the role that is on offer for them or another one.
    /// Returns the role.
    ///
    /// # Errors
    /// As [`Admin::add_user`], and [`Error::Invalid`] when no role is on offer.
    pub async fn approve_user(&self, email: &str, role: Option<&str>) -> Result<String, Error> {
        let offered = self.standing(email).offered_role;
        let said = record("user.approve", &normalise(email), json!({ "role": role.or(offered.as_deref()) }));
        let approving = async {
            self.parts.policy.refresh().await?;
            self.not_in_file(email)?;
            let none = || format!("no role is on offer for {email}: name one");
            let role = role.map(str::to_owned).or_else(|| self.standing(email).offered_role);
            let role = role.ok_or_else(|| Error::Invalid { message: none() })?;
            let was_out = self.assign(email, None, &role).await?;
            Ok((role, was_out))
        };
        let tell = |said: &mut AdminRecord, (_, was_out): &(String, bool)| unblocked(said, was_out);
        let (role, _) = self.run_and_tell(Permission::CanManageUsers, said, approving, tell).await?;
        Ok(role)
    }

    /// Keeps somebody out; `message` is what they read.
    ///
    /// # Errors
    /// [`Error::NamedInFile`] for somebody whom `users.yaml` names.
    pub async fn disable_user(&self, email: &str, message: Option<&str>) -> Result<(), Error> {
        let said = record("user.disable", &normalise(email), json!({ "message": message }));
        let disabling = async {
            address(email)?;
            message.map_or(Ok(()), |message| within("the message", message, MAX_MESSAGE))?;
            self.not_in_file(email)?;
            self.may_change(email).await?;
            self.tables()?.disable(email, message, self.actor()).await?;
            self.refresh().await;
            Ok(())
        };
        self.run(Permission::CanManageUsers, said, disabling).await
    }

    /// Lets somebody in again who was kept out.
    ///
    /// # Errors
    /// [`Error::NamedInFile`] for somebody whom `users.yaml` names, [`Error::Conflict`] when nothing
    /// kept them out.
    pub async fn enable_user(&self, email: &str) -> Result<(), Error> {
        let said = record("user.enable", &normalise(email), Value::Null);
        let enabling = async {
            address(email)?;
            self.parts.policy.refresh().await?;
            self.not_in_file(email)?;
            self.may_change(email).await?;
            let was_out = self.tables()?.enable(email).await?;
            self.refresh().await;
            let message = || format!("{email} was not disabled");
            if was_out { Ok(()) } else { Err(Error::Conflict { message: message() }) }
        };
        self.run(Permission::CanManageUsers, said, enabling).await
    }

    /// Everybody whom the policy names or the table has, by address, and how they stand.
    ///
    /// # Errors
    /// An [`Error`] when they may not be listed, or cannot.
    pub async fn users(&self) -> Result<Vec<ListedUser>, Error> {
        self.require(Permission::CanManageUsers)?;
        self.parts.policy.refresh().await?;
        let named = self.parts.policy.named().into_iter().map(|email| (email, None));
        let mut people: BTreeMap<String, Option<KnownUser>> = named.collect();
        people.extend(seen(self.tables()?).await?.into_iter().map(|user| (user.email.clone(), Some(user))));
        let mut listed = Vec::new();
        // Whoever sits at a terminal without being mapped has no account here.
        for (email, known) in people.into_iter().filter(|(email, _)| !email.starts_with("local:")) {
            listed.push(self.listed(email, known).await?);
        }
        Ok(listed)
    }

    async fn listed(&self, email: String, known: Option<KnownUser>) -> Result<ListedUser, Error> {
        let standing = self.standing(&email);
        let source = match (&standing.named_at, known.as_ref().map(|user| user.state)) {
            (Some(at), _) => at.to_string(),
            (None, Some(UserState::Assigned)) => "assigned".into(),
            (None, Some(UserState::Seen)) => "seen".into(),
            (None, None) => "blocked".into(),
        };
        let (name, had) = known.map(|user| (user.name, user.role)).unzip();
        let had = had.flatten().or_else(|| standing.role.map(|role| role.name.to_string()));
        let (status, grant) = stand(&self.parts, &email).await?;
        let own_name = grant.as_ref().ok().map(|grant| grant.display_name.clone());
        let (role, reason) = match (grant, status) {
            (Ok(grant), _) => (Some(grant.role.name.to_string()), None),
            (Err(refused), UserStatus::Pending) => (standing.offered_role, Some(refused.to_string())),
            (Err(refused), _) => (had, Some(refused.to_string())),
        };
        let name = name.or(own_name).unwrap_or_else(|| email.clone());
        Ok(ListedUser { email, name, role, status, reason, source })
    }

    /// Puts into the database what the `users.yaml` of a configuration says, in place of all that
    /// was there; `blocks` says what becomes of those whom somebody keeps out. Returns whom that changed.
    ///
    /// # Errors
    /// [`Error::Config`] when the configuration has no `users.yaml`, or one that cannot be used.
    pub async fn import_policy(&self, from: &Config, blocks: Blocks) -> Result<Imported, Error> {
        let place = from.dir.as_ref().map(|dir| dir.display().to_string()).unwrap_or_default();
        let said = record("policy.import", &place, Value::Null);
        let importing = async {
            let Some(users) = &from.files.users else { return Err(no_users(&place)) };
            if let Some(grant) = self.grant.as_ref().filter(|grant| !grant.role.is_super_admin) {
                let message = format!("the role {} may not replace who is super admin", grant.role.name);
                return Err(Error::Denied { message });
            }
            // What a file may not say, a database must not say either.
            from.check_people()?;
            YamlPolicy::from_config(from)?;
            let imported = self.tables()?.replace(users, self.actor(), blocks).await?;
            self.refresh().await;
            Ok(imported)
        };
        self.run_and_tell(Permission::CanModifyConfig, said, importing, |record, imported| {
            record.details = told(imported);
        })
        .await
    }

    /// What the database says, as a `users.yaml`.
    ///
    /// # Errors
    /// An [`Error`] when it may not be read, or cannot.
    pub async fn export_policy(&self) -> Result<String, Error> {
        self.require(Permission::CanModifyConfig)?;
        let stored = self.tables()?.read().await?;
        if !stored.broken.is_empty() {
            let rows: Vec<String> = stored.broken.iter().map(ToString::to_string).collect();
            let message = format!("nothing is exported, because these rows cannot be read: {}", rows.join(", "));
            return Err(Error::Invalid { message });
        }
        let value =
            serde_json::to_value(&stored.users).map_err(|error| Error::Internal { message: error.to_string() })?;
        Ok(crate::config::to_yaml(&value))
    }
}

/// Everybody in the table, by address.
async fn seen(tables: &Tables) -> Result<Vec<KnownUser>, DbError> {
    let (mut seen, mut after) = (Vec::new(), String::new());
    while seen.len() < MAX_LISTED {
        let page = tables.users(&after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.email);
        // Whoever sits at a terminal without being mapped has no account here.
        seen.extend(page.into_iter().filter(|user| !user.email.starts_with("local:")));
    }
    Ok(seen)
}

fn address(email: &str) -> Result<(), Error> {
    if is_address(email) {
        return Ok(());
    }
    Err(Error::Invalid { message: format!("{} is no e-mail address", quoted(email)) })
}

/// That a role let somebody in who was kept out, for its record.
fn unblocked(said: &mut AdminRecord, was_out: &bool) {
    if *was_out {
        said.details["unblocked"] = true.into();
    }
}

/// Of an import, for its record: all numbers, and some of the names.
fn told(imported: &Imported) -> Value {
    let some = |people: &[String]| json!({ "count": people.len(), "people": people[..people.len().min(MAX_TOLD)] });
    json!({
        "people": imported.people,
        "no_longer_named": some(&imported.no_longer_named),
        "still_blocked": some(&imported.still_blocked),
        "let_in": some(&imported.let_in),
    })
}

fn no_role(role: &str) -> Error {
    let built_in = crate::policy::yaml::BUILT_IN;
    let near = nearest(role, built_in.into_iter()).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
    Error::Invalid { message: format!("there is no role {role:?}{near}") }
}

fn no_users(place: &str) -> Error {
    let message = format!("there is no users.yaml in {place}");
    ConfigError::from(Diagnostic { severity: Severity::Error, source: None, key: String::new(), message }).into()
}
