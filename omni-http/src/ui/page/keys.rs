//! API keys.

use axum::response::Response;
use chrono::{TimeDelta, Utc};
use omni_core::{ExposeSecret as _, identity::Scope, omni::NewKey};

use crate::{
    error::ApiError,
    ui::{
        answer::{AsJson, Frame, moved, shown},
        fields::Fields,
        person::{Person, Posted},
        view::keys::{self, SCOPES},
    },
    wire::within,
};

/// Keys of a page.
const PAGE: u32 = 50;
/// The longest that a key may last, in days.
const MAX_DAYS: i64 = 3_650;

pub(in crate::ui) async fn show(as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    listed(as_json, &person, None).await
}

async fn listed(as_json: AsJson, person: &Person, made: Option<String>) -> Result<Response, ApiError> {
    let (owner, after) = (person.query.text("user"), person.query.text("after"));
    let before = match &*after {
        "" => None,
        number => Some(number.parse().map_err(|_| ApiError::not_found("there is no such page of the keys"))?),
    };
    let keys = person.admin.keys_page(Some(&*owner).filter(|owner| !owner.is_empty()), before, PAGE).await?;
    shown(as_json, keys::of(Frame::of(person), keys, &person.query, made, Utc::now()))
}

/// Makes a key, which is in this answer and nowhere else ever after; or takes one back.
pub(in crate::ui) async fn change(as_json: AsJson, Posted(person, fields): Posted) -> Result<Response, ApiError> {
    match fields.of("do") {
        Some("create") => {
            let issued = person.admin.create_key(new(&fields)?).await?;
            listed(as_json, &person, Some(issued.secret.expose_secret().to_owned())).await
        }
        Some("revoke") => {
            let id = fields.text("id").parse().map_err(|_| ApiError::not_found("there is no such key"))?;
            person.admin.revoke_key(id).await?;
            moved("keys?notice=revoked")
        }
        _ => Err(ApiError::denied("there is no such change")),
    }
}

fn new(fields: &Fields) -> Result<NewKey, ApiError> {
    let wanted: Vec<&str> = fields.all("scope").collect();
    let scopes: Vec<Scope> =
        SCOPES.into_iter().filter(|(scope, _)| wanted.contains(&scope.as_str())).map(|(scope, _)| scope).collect();
    let set = |name: &str| Some(fields.text(name)).filter(|text| !text.is_empty());
    let mut new = NewKey::new(fields.text("user"), scopes.into_iter().collect());
    new.name = set("name");
    new.ceiling_role = set("ceiling_role");
    new.act_as =
        fields.text("act_as").split([',', ' ', '\n']).filter(|one| !one.is_empty()).map(str::to_owned).collect();
    if let Some(days) = set("expires_days") {
        let days = within("expires_days", days.parse().unwrap_or(0), 1..=MAX_DAYS)?;
        new.expires_at = Some(Utc::now() + TimeDelta::days(days));
    }
    Ok(new)
}
