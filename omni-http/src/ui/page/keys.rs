//! API keys.

use axum::response::Response;
use chrono::{TimeDelta, Utc};
use omni_core::{ExposeSecret as _, identity::Scope, omni::NewKey};

use crate::{
    error::ApiError,
    ui::{
        answer::{AsJson, Frame, is_told_there, moved, refused, shown, told},
        fields::Fields,
        person::{Person, Posted},
        view::keys::{self, Came, SCOPES, View},
    },
    wire::{FieldError, within},
};

/// Keys of a page.
const PAGE: u32 = 50;
/// The longest that a key may last, in days.
const MAX_DAYS: i64 = 3_650;

pub(in crate::ui) async fn show(as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    shown(as_json, listed(&person, Came::Nothing).await?)
}

async fn listed(person: &Person, came: Came) -> Result<View, ApiError> {
    let (owner, after) = (person.query.text("user"), person.query.text("after"));
    let before = match &*after {
        "" => None,
        number => Some(number.parse().map_err(|_| ApiError::not_found("there is no such page of the keys"))?),
    };
    let keys = person.admin.keys_page(Some(&*owner).filter(|owner| !owner.is_empty()), before, PAGE).await?;
    Ok(keys::of(Frame::of(person), keys, &person.query, came, Utc::now()))
}

/// Makes a key, which is in this answer and nowhere else ever after; or takes one back.
pub(in crate::ui) async fn change(as_json: AsJson, Posted(person, fields): Posted) -> Result<Response, ApiError> {
    match fields.of("do") {
        Some("create") => match create(&person, &fields).await {
            Ok(key) => shown(as_json, listed(&person, Came::Made(key)).await?),
            Err(error) if is_told_there(as_json, &error) => {
                refused(listed(&person, Came::Refused(fields, told(&error))).await?, &error)
            }
            Err(error) => Err(error),
        },
        Some("revoke") => {
            let id = fields.text("id").parse().map_err(|_| ApiError::not_found("there is no such key"))?;
            person.admin.revoke_key(id).await?;
            moved("keys?notice=revoked")
        }
        _ => Err(ApiError::denied("there is no such change")),
    }
}

async fn create(person: &Person, fields: &Fields) -> Result<String, ApiError> {
    let issued = person.admin.create_key(new(fields)?).await?;
    Ok(issued.secret.expose_secret().to_owned())
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
        let number = days.parse::<i64>().map_err(|_| not_whole("expires_days", &days))?;
        let days = within("expires_days", number, 1..=MAX_DAYS)?;
        new.expires_at = Some(Utc::now() + TimeDelta::days(days));
    }
    Ok(new)
}

fn not_whole(name: &str, text: &str) -> ApiError {
    let message = format!("expected a whole number, found {text:?}");
    ApiError::invalid(vec![FieldError::of(&["body", name], &message, "value_error")])
}
