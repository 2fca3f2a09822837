//! API keys.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{super::named, admin};
use crate::{
    caller::Caller,
    error::ApiError,
    extract::{Invalid, Json, Path, Query},
    state::App,
    wire::{CreateKey, CreatedKey, KeyEntry, ListKeys},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// List keys
///
/// The newest first. Nothing that opens anything can be read of them.
#[utoipa::path(get, path = "/admin/keys", tag = "admin", params(ListKeys),
    responses((status = 200, body = Vec<KeyEntry>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListKeys>,
) -> Result<Json<Vec<KeyEntry>>, ApiError> {
    let keys = admin(&app, &caller).await?.keys_of(named(query.user).as_deref()).await?;
    Ok(Json(keys.into_iter().map(Into::into).collect()))
}

/// Make a key
///
/// Its text is in this answer, and nowhere else ever after.
#[utoipa::path(post, path = "/admin/keys", tag = "admin", request_body = CreateKey,
    responses(
        (status = 201, body = CreatedKey),
        (status = 404, description = "Nobody is called so"),
    ))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<CreateKey>,
) -> Result<(StatusCode, Json<CreatedKey>), ApiError> {
    let invalid = |message| Invalid::new("value_error", message).within("expires_days").within("body");
    let expires_at = body.expires_at().map_err(invalid)?;
    let issued = admin(&app, &caller).await?.create_key(body.into_new(expires_at)).await?;
    Ok((StatusCode::CREATED, Json(issued.into())))
}

/// Take a key back
///
/// It opens nothing any more, at the latest a second later on other instances.
#[utoipa::path(delete, path = "/admin/keys/{id}", tag = "admin",
    params(("id" = i64, Path, description = "Its number")), responses(
    (status = 200, body = KeyEntry),
    (status = 404, description = "There is none of that number"),
))]
async fn revoke(State(app): State<App>, caller: Caller, Path(id): Path<i64>) -> Result<Json<KeyEntry>, ApiError> {
    Ok(Json(admin(&app, &caller).await?.revoke_key(id).await?.into()))
}
