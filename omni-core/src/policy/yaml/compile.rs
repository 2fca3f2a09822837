//! From the files to people: each person's role, quota and rules.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    People, Person,
    access::{Subject, SubjectKind, plan},
    live::{Origin, Sources},
    provision::Provisioning,
    role::{self, NO_ROLE},
};
use crate::{
    config::{
        ConfigError, ConfigFiles, Diagnostic, Lines, Need, Severity, nearest, os_users,
        spec::{OneOrMany, UserSpec, UsersSpec},
    },
    cost::alias,
    policy::{
        PatternError, PolicyVersion, RuleSet,
        rules::{PatternSets, Plan},
    },
};

/// What somebody reads who is blocked without a message of their own.
const BLOCKED: &str = "the account is blocked";

/// Everybody whom the sources know.
pub(super) fn people(sources: &Sources, version: PolicyVersion) -> Result<People, ConfigError> {
    sources.config.require(Need::Policy)?;
    let made = match (sources.origin, &sources.table) {
        (Origin::Files, table) => {
            let os_users = sources.config.os_users.clone();
            let people = People { version, os_users, ..People::default() };
            Compiler::new(&sources.config.files).people(people, table.as_deref().map(|table| &table.users))
        }
        (Origin::Table, None) => Ok(People { version, ..People::default() }),
        (Origin::Table, Some(table)) => {
            let users_lines = Lines::none("the database");
            let files =
                ConfigFiles { users: Some(table.users.clone()), users_lines, ..(*sources.config.files).clone() };
            let people = People { version, os_users: os_users(Some(&table.users)), ..People::default() };
            Compiler::of_table(&files, &table.broken_roles).people(people, None)
        }
    };
    made.map_err(|error| {
        let (severity, key, message) = (Severity::Error, String::new(), error.to_string());
        Diagnostic { severity, source: None, key, message }.into()
    })
}

struct Compiler<'a> {
    files: &'a ConfigFiles,
    /// Whether `files.users` is what a database says.
    is_table: bool,
    known: BTreeSet<String>,
    /// Roles of which it is not known what they deny.
    broken: BTreeSet<String>,
    /// Rule sets by what they say and how, so that people with equal rules share one.
    made: HashMap<String, Arc<RuleSet>>,
    /// Those of people of whom nothing is said but their role, which are most.
    by_role: HashMap<(SubjectKind, Arc<str>), Arc<RuleSet>>,
    sets: PatternSets,
}

impl<'a> Compiler<'a> {
    fn new(files: &'a ConfigFiles) -> Self {
        let known = role::known_roles(files);
        Self {
            files,
            is_table: false,
            known,
            broken: BTreeSet::new(),
            made: HashMap::new(),
            by_role: HashMap::new(),
            sets: PatternSets::default(),
        }
    }

    /// For files whose `users` a database says.
    fn of_table(files: &'a ConfigFiles, broken: &BTreeSet<String>) -> Self {
        let mut compiler = Self::new(files);
        compiler.is_table = true;
        // A built-in role would be known without its row, and deny nothing of what that says.
        compiler.known.retain(|role| !broken.contains(role));
        compiler.broken.clone_from(broken);
        compiler
    }

    fn people(mut self, mut people: People, table: Option<&UsersSpec>) -> Result<People, PatternError> {
        let files = self.files;
        match &files.users {
            Some(users) => self.listed(&mut people, users, &files.users_lines)?,
            None => {
                let path = "the person at the terminal".into();
                let user = UserSpec::default();
                let subject = (SubjectKind::SuperAdmin, path, &files.users_lines);
                people.local = Some(self.person(&user, subject)?);
            }
        }
        if let Some(table) = table {
            self.assigned(&mut people, table);
        }
        for name in self.known.clone() {
            let user = UserSpec { role: Some(name.clone()), ..UserSpec::default() };
            // A bare person of the highest role is one of `super_admins`: as a ceiling it cuts nothing of what they may.
            let kind = if name == role::SUPER_ADMIN { SubjectKind::SuperAdmin } else { SubjectKind::User };
            let subject = (kind, format!("roles.{name}"), &files.users_lines);
            let person = self.person_or_nobody(&user, subject)?;
            people.ceilings.insert(name, person);
        }
        Ok(people)
    }

    fn listed(&mut self, people: &mut People, users: &UsersSpec, lines: &Lines) -> Result<(), PatternError> {
        // Super admins come last: who is in both lists is super admin.
        let lists = [("users", &users.users), ("super_admins", &users.super_admins)];
        for (list, kind) in lists.into_iter().zip([SubjectKind::User, SubjectKind::SuperAdmin]) {
            let (list, listed) = list;
            for (at, user) in listed.iter().enumerate() {
                let path = if self.is_table { format!("users.{}", user.email) } else { format!("{list}[{at}]") };
                let person = self.person_of_list(user, (kind, path, lines))?;
                people.listed.insert(normalise(&user.email), person);
            }
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
                argument_rules: anybody.argument_rules.clone(),
                ..UserSpec::default()
            };
            let subject = (SubjectKind::Default, "default_user".into(), lines);
            people.unlisted = Some(self.person_or_nobody(&user, subject)?);
        }
        people.provisioning = Provisioning::new(users.auto_provisioning.as_ref());
        people.blocked.extend(blocks(users));
        Ok(())
    }

    /// A person of a list, with the line that they stand on.
    fn person_of_list(
        &mut self,
        user: &UserSpec,
        subject: (SubjectKind, String, &Lines),
    ) -> Result<Person, PatternError> {
        let source = (!self.is_table).then(|| subject.2.at(&subject.1));
        Ok(Person { source, ..self.person_or_nobody(user, subject)? })
    }

    /// A person. In a file a rule that cannot be used is an error; a row of a database that has one
    /// is a person who may do nothing, and keeps nobody else out.
    fn person_or_nobody(
        &mut self,
        user: &UserSpec,
        subject: (SubjectKind, String, &Lines),
    ) -> Result<Person, PatternError> {
        let kind = subject.0;
        match self.person(user, subject) {
            Err(error) if self.is_table => Ok(self.nobody(user, kind, &error)),
            person => person,
        }
    }

    /// Whom the database has and `users.yaml` does not name.
    fn assigned(&mut self, people: &mut People, table: &UsersSpec) {
        let lines = Lines::none("the database");
        let lists = [(SubjectKind::User, &table.users), (SubjectKind::SuperAdmin, &table.super_admins)];
        let named =
            |people: &People, email: &str| people.listed.get(email).is_some_and(|person| person.source.is_some());
        for (kind, user) in lists.into_iter().flat_map(|(kind, list)| list.iter().map(move |user| (kind, user))) {
            let email = normalise(&user.email);
            if named(people, &email) {
                continue;
            }
            let person = self.person(user, (kind, format!("users.{email}"), &lines));
            let person = person.unwrap_or_else(|error| self.nobody(user, kind, &error));
            people.listed.insert(email, person);
        }
        for (email, message) in blocks(table) {
            if !named(people, &email) {
                people.blocked.entry(email).or_insert(message);
            }
        }
    }

    /// Somebody whose rules cannot be used.
    fn nobody(&self, user: &UserSpec, kind: SubjectKind, error: &PatternError) -> Person {
        let role = self.role(user, kind);
        Person {
            name: user.name.clone(),
            quota: role::quota(self.files, &role, &user.rate_limit, &user.budget),
            models: Some(Vec::new()),
            domains: Some(Vec::new()),
            teams: user.teams.clone(),
            role,
            rules: Err(error.to_string()),
            source: None,
        }
    }

    fn role(&self, user: &UserSpec, kind: SubjectKind) -> crate::policy::Role {
        match kind {
            SubjectKind::SuperAdmin => role::super_admin(user.role.as_deref()),
            SubjectKind::User | SubjectKind::Default => role::role(self.files, user.role.as_deref().unwrap_or(NO_ROLE)),
        }
    }

    fn person(
        &mut self,
        user: &UserSpec,
        (kind, path, lines): (SubjectKind, String, &Lines),
    ) -> Result<Person, PatternError> {
        let role = self.role(user, kind);
        let rules = match self.why_blocked(user, kind, &role.name) {
            Some(reason) => Err(reason),
            None => Ok(self.rules_of(&Subject { kind, path, lines, user, role: &role })?),
        };
        let models = role::declared(self.files, &role).and_then(|declared| declared.models.clone());
        Ok(Person {
            name: user.name.clone(),
            quota: role::quota(self.files, &role, &user.rate_limit, &user.budget),
            models: models.map(|models| models.into_iter().map(resolved).collect()),
            domains: user.allowed_domains.as_ref().filter(|domains| !domains.is_everything()).map(items),
            teams: user.teams.clone(),
            role,
            rules,
            source: None,
        })
    }

    fn why_blocked(&self, user: &UserSpec, kind: SubjectKind, role: &str) -> Option<String> {
        if user.is_active == Some(false) {
            return Some("the account is not active".into());
        }
        if self.broken.contains(role) {
            return Some(format!("what the database says of the role {role:?} cannot be read"));
        }
        if kind == SubjectKind::SuperAdmin || self.known.contains(role) {
            return None;
        }
        let near = nearest(role, self.known.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        Some(format!("the role {role:?} is not known{near}"))
    }

    fn rules_of(&mut self, subject: &Subject<'_>) -> Result<Arc<RuleSet>, PatternError> {
        let user = subject.user;
        let has_own =
            user.allowed_mcps.is_some() || user.allowed_databases.is_some() || !user.argument_rules.is_empty();
        if has_own {
            return self.rules(plan(self.files, subject));
        }
        let key = (subject.kind, subject.role.name.clone());
        if let Some(made) = self.by_role.get(&key) {
            return Ok(made.clone());
        }
        let rules = self.rules(plan(self.files, subject))?;
        self.by_role.insert(key, rules.clone());
        Ok(rules)
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

/// Who is blocked, and what they read.
fn blocks(users: &UsersSpec) -> impl Iterator<Item = (String, String)> {
    let message = |text: &Option<String>| text.clone().unwrap_or_else(|| BLOCKED.into());
    users.blocked_users.iter().map(move |blocked| (normalise(&blocked.email), message(&blocked.message)))
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
