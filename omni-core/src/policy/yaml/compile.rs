//! From the files to people: each person's role, quota and rules.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    People, Person,
    access::{Subject, SubjectKind, plan},
    role::{self, NO_ROLE},
};
use crate::{
    config::{
        Config, ConfigError, ConfigFiles, Diagnostic, Need, Severity, nearest,
        spec::{OneOrMany, UserSpec},
    },
    cost::alias,
    policy::{
        PatternError, PolicyVersion, RuleSet,
        rules::{PatternSets, Plan},
    },
};

/// Everybody whom the files know.
pub(super) fn people(config: &Config, version: PolicyVersion) -> Result<People, ConfigError> {
    config.require(Need::Policy)?;
    let files = &*config.files;
    Compiler { files, known: role::known_roles(files), made: HashMap::new(), sets: PatternSets::default() }
        .people(config, version)
        .map_err(|error| {
            let (severity, key, message) = (Severity::Error, String::new(), error.to_string());
            Diagnostic { severity, source: None, key, message }.into()
        })
}

struct Compiler<'a> {
    files: &'a ConfigFiles,
    known: BTreeSet<String>,
    /// Rule sets by what they say and how, so that people with equal rules share one.
    made: HashMap<String, Arc<RuleSet>>,
    sets: PatternSets,
}

impl Compiler<'_> {
    fn people(mut self, config: &Config, version: PolicyVersion) -> Result<People, PatternError> {
        let mut people = People { version, os_users: config.os_users.clone(), ..People::default() };
        match &self.files.users {
            Some(users) => {
                for (at, user) in users.users.iter().enumerate() {
                    let person = self.person(user, SubjectKind::User, format!("users[{at}]"))?;
                    people.listed.insert(normalise(&user.email), person);
                }
                // After the others: who is in both lists is super admin.
                for (at, user) in users.super_admins.iter().enumerate() {
                    let person = self.person(user, SubjectKind::SuperAdmin, format!("super_admins[{at}]"))?;
                    people.listed.insert(normalise(&user.email), person);
                }
                people.listed.remove("");
                if let Some(anybody) = &users.default_user {
                    let user = UserSpec {
                        role: anybody.role.clone(),
                        allowed_mcps: anybody.allowed_mcps.clone(),
                        allowed_domains: anybody.allowed_domains.clone(),
                        allowed_databases: anybody.allowed_databases.clone(),
                        is_active: anybody.is_active,
                        rate_limit: anybody.rate_limit.clone(),
                        budget: anybody.budget.clone(),
                        ..UserSpec::default()
                    };
                    people.unlisted = Some(self.person(&user, SubjectKind::Default, "default_user".into())?);
                }
            }
            None => {
                let user = UserSpec::default();
                people.local =
                    Some(self.person(&user, SubjectKind::SuperAdmin, "the person at the terminal".into())?);
            }
        }
        for name in self.known.clone() {
            let user = UserSpec { role: Some(name.clone()), ..UserSpec::default() };
            let person = self.person(&user, SubjectKind::User, format!("roles.{name}"))?;
            people.ceilings.insert(name, person);
        }
        Ok(people)
    }

    fn person(&mut self, user: &UserSpec, kind: SubjectKind, path: String) -> Result<Person, PatternError> {
        let role = match kind {
            SubjectKind::SuperAdmin => role::super_admin(user.role.as_deref()),
            SubjectKind::User | SubjectKind::Default => role::role(user.role.as_deref().unwrap_or(NO_ROLE)),
        };
        let rules = match self.why_blocked(user, kind, &role.name) {
            Some(reason) => Err(reason),
            None => Ok(self.rules(plan(self.files, &Subject { kind, path, user, role: &role }))?),
        };
        let models = role::declared(self.files, &role).and_then(|declared| declared.models.clone());
        Ok(Person {
            name: user.name.clone(),
            quota: role::quota(self.files, &role, &user.rate_limit, &user.budget),
            models: models.map(|models| models.into_iter().map(resolved).collect()),
            domains: user.allowed_domains.as_ref().filter(|domains| !domains.is_everything()).map(items),
            role,
            rules,
        })
    }

    fn why_blocked(&self, user: &UserSpec, kind: SubjectKind, role: &str) -> Option<String> {
        if user.is_active == Some(false) {
            return Some("the account is not active".into());
        }
        if kind == SubjectKind::SuperAdmin || self.known.contains(role) {
            return None;
        }
        let near = nearest(role, self.known.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        Some(format!("the role {role:?} is not known{near}"))
    }

    fn rules(&mut self, plan: Plan) -> Result<Arc<RuleSet>, PatternError> {
        let identity = plan.identity();
        if let Some(made) = self.made.get(&identity) {
            return Ok(made.clone());
        }
        let rules = RuleSet::compile(plan, &mut self.sets)?;
        self.made.insert(identity, rules.clone());
        Ok(rules)
    }
}

fn normalise(email: &str) -> String {
    email.trim().to_lowercase()
}

fn items(texts: &OneOrMany) -> Vec<String> {
    texts.items().to_vec()
}

/// A model's id, where an alias is given.
fn resolved(model: String) -> String {
    alias(&model).map_or(model, str::to_owned)
}
