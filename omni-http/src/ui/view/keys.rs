//! API keys, of which nothing can be read that opens anything.

use askama::Template;
use chrono::{DateTime, Utc};
use omni_core::{
    identity::{ApiKey, Scope},
    omni::KeyPage,
};
use serde::Serialize;

use crate::{
    ui::{
        answer::Frame,
        fields::{Fields, link},
        show,
    },
    wire::KeyEntry,
};

/// What a key may be used for, and what that is in words.
pub(in crate::ui) const SCOPES: [(Scope, &str); 5] = [
    (Scope::Ask, "ask questions"),
    (Scope::Tools, "list and call tools"),
    (Scope::Audit, "read what others asked"),
    (Scope::Admin, "use these pages"),
    (Scope::ActAs, "act for others"),
];

/// What came of the form.
#[derive(Debug)]
pub(in crate::ui) enum Came {
    Nothing,
    /// The key that was just made. This is the only time that it can be read.
    Made(String),
    /// What was written, and why no key is made of it.
    Refused(Fields, Vec<String>),
}

#[derive(Debug, Template, Serialize)]
#[template(path = "keys.html")]
pub(in crate::ui) struct View {
    #[serde(skip)]
    frame: Frame,
    keys: Vec<KeyEntry>,
    /// What `after` is of the next page.
    next: Option<i64>,
    /// The key that was just made. This is the only time that it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<String>,
    #[serde(skip)]
    owner: String,
    #[serde(skip)]
    more: Option<String>,
    #[serde(skip)]
    first: Option<String>,
    #[serde(skip)]
    rows: Vec<Row>,
    /// Why none was made.
    #[serde(skip)]
    refused: Vec<String>,
    #[serde(skip)]
    written: Written,
}

/// The form as it was written.
#[derive(Debug)]
struct Written {
    user: String,
    name: String,
    /// Each scope, what it is in words, and whether it was chosen.
    scopes: Vec<(&'static str, &'static str, bool)>,
    ceiling_role: String,
    expires_days: String,
    act_as: String,
}

impl Written {
    fn of(fields: &Fields) -> Self {
        let is_chosen = |scope: &str| fields.all("scope").any(|chosen| chosen == scope);
        let scope = |(scope, told): (Scope, &'static str)| (scope.as_str(), told, is_chosen(scope.as_str()));
        Self {
            user: fields.text("user"),
            name: fields.text("name"),
            scopes: SCOPES.map(scope).into(),
            ceiling_role: fields.text("ceiling_role"),
            expires_days: fields.text("expires_days"),
            act_as: fields.text("act_as"),
        }
    }
}

#[derive(Debug)]
struct Row {
    id: i64,
    prefix: String,
    name: String,
    owner: String,
    owner_to: String,
    scopes: Vec<&'static str>,
    limits: String,
    created: String,
    used: String,
    state: String,
    mark: &'static str,
    is_valid: bool,
}

pub(in crate::ui) fn of(frame: Frame, page: KeyPage, query: &Fields, came: Came, now: DateTime<Utc>) -> View {
    let (made, written, refused) = match came {
        Came::Nothing => (None, Fields::default(), Vec::new()),
        Came::Made(key) => (Some(key), Fields::default(), Vec::new()),
        Came::Refused(written, why) => (None, written, why),
    };
    let at = |after: &str| format!("keys?{}", query.with(&[("after", after), ("notice", "")]));
    View {
        frame,
        rows: page.keys.iter().map(|key| row(key, now)).collect(),
        more: page.next.map(|next| at(&next.to_string())),
        first: query.of("after").map(|_| at("")),
        next: page.next,
        keys: page.keys.into_iter().map(KeyEntry::from).collect(),
        made,
        owner: query.text("user"),
        refused,
        written: Written::of(&written),
    }
}

fn row(key: &ApiKey, now: DateTime<Utc>) -> Row {
    let (state, mark) = match (key.revoked_at, key.expires_at) {
        (Some(at), _) => (format!("revoked {}", show::ago(at, now)), "dim"),
        (None, Some(end)) if end <= now => (format!("ended {}", show::ago(end, now)), "dim"),
        (None, Some(end)) => (format!("ends {}", show::ago(end, now)), "ok"),
        (None, None) => ("does not end".into(), "ok"),
    };
    let ceiling = key.ceiling_role.as_ref().map(|role| format!("at most {role}"));
    let act_as = (!key.act_as.is_empty()).then(|| format!("for {}", key.act_as.join(", ")));
    Row {
        id: key.id,
        prefix: format!("omni_{}…", key.prefix),
        name: key.name.clone().unwrap_or_default(),
        owner: key.owner.clone(),
        owner_to: link("user", &[("email", &key.owner)]),
        scopes: key.scopes.iter().map(Scope::as_str).collect(),
        limits: [ceiling, act_as].into_iter().flatten().collect::<Vec<_>>().join("; "),
        created: show::ago(key.created_at, now),
        used: key.last_used.map_or_else(|| "never".into(), |at| show::ago(at, now)),
        state,
        mark,
        is_valid: key.is_valid(now),
    }
}
