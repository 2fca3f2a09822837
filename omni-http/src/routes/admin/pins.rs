//! What tools are agreed to be, and which are kept back.

use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{super::named, admin};
use crate::{
    caller::Caller,
    error::ApiError,
    extract::{Json, Query},
    state::App,
    wire::{ApproveTools, FieldError, ListPins, PinEntry},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(tool_pins)).routes(routes!(approve_tools))
}

/// List what tools are agreed to be
///
/// And, of those that are kept back, what they have become, why, and what changed. No server is asked.
#[utoipa::path(get, path = "/admin/tools/pins", tag = "admin", params(ListPins),
    responses((status = 200, body = Vec<PinEntry>)))]
async fn tool_pins(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListPins>,
) -> Result<Json<Vec<PinEntry>>, ApiError> {
    let (server, tool) = (named(query.server), named(query.tool));
    let mut pins = admin(&app, &caller).await?.pins(server.as_deref(), tool.as_deref()).await?;
    pins.retain(|pin| !query.held || pin.held.is_some());
    Ok(Json(pins.into_iter().map(Into::into).collect()))
}

/// Agree to what tools have become
///
/// One tool, or all of a server that are kept back; they may be used again at once. With `digest` only if
/// that is what the tool has become.
#[utoipa::path(post, path = "/admin/tools/approve", tag = "admin", request_body = ApproveTools, responses(
    (status = 200, body = Vec<PinEntry>),
    (status = 404, description = "Nothing is known of the tool or the server"),
    (status = 409, description = "The tool is not kept back, or has another digest by now"),
))]
async fn approve_tools(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<ApproveTools>,
) -> Result<Json<Vec<PinEntry>>, ApiError> {
    let admin = admin(&app, &caller).await?;
    let approved = match named(body.tool) {
        Some(tool) => vec![admin.approve_tool(&body.server, &tool, body.digest.as_deref()).await?],
        None if body.all => admin.approve_tools(&body.server).await?,
        None => {
            let wanted = "name a tool, or set `all` for all tools of the server";
            return Err(ApiError::invalid(vec![FieldError::of(&["body", "tool"], wanted, "missing")]));
        }
    };
    Ok(Json(approved.into_iter().map(Into::into).collect()))
}
