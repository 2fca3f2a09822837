//! What is changed of people, where there is a database to keep them in.

use axum::{extract::State, http::StatusCode};
use omni_core::{Error, ErrorKind, omni::UserStatus};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::admin;
use crate::{
    caller::Caller,
    error::ApiError,
    extract::{Json, Path},
    state::App,
    wire::{AddUser, AdminUser, Approve, Disable, SetRole},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(add))
        .routes(routes!(set_role))
        .routes(routes!(disable))
        .routes(routes!(enable))
        .routes(routes!(approve))
}

/// Give somebody a role who may not have asked before
///
/// Whoever has one keeps it: `POST /admin/users/{id}/role` gives them another. A role lets in whoever was kept out.
#[utoipa::path(post, path = "/admin/users", tag = "admin", request_body = AddUser, responses(
    (status = 201, body = AdminUser),
    (status = 409, description = "They have a role already, which another route changes; or a file names them: it says where"),
))]
async fn add(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<AddUser>,
) -> Result<(StatusCode, Json<AdminUser>), ApiError> {
    let admin = admin(&app, &caller).await?;
    admin.new_user(&body.email, body.name.as_deref(), &body.role).await?;
    Ok((StatusCode::CREATED, Json(admin.profile_of(&body.email).await?.into())))
}

/// Give somebody another role
///
/// It holds for their next ask. A role lets in whoever was kept out.
#[utoipa::path(post, path = "/admin/users/{id}/role", tag = "admin",
    params(("id" = String, Path, description = "The e-mail address")), request_body = SetRole, responses(
    (status = 200, body = AdminUser),
    (status = 409, description = "A file names them: it says where"),
))]
async fn set_role(
    State(app): State<App>,
    caller: Caller,
    Path(email): Path<String>,
    Json(body): Json<SetRole>,
) -> Result<Json<AdminUser>, ApiError> {
    let admin = admin(&app, &caller).await?;
    admin.add_user(&email, None, &body.role).await?;
    Ok(Json(admin.profile_of(&email).await?.into()))
}

/// Keep somebody out
#[utoipa::path(post, path = "/admin/users/{id}/disable", tag = "admin",
    params(("id" = String, Path, description = "The e-mail address")), request_body = Disable, responses(
    (status = 200, body = AdminUser),
    (status = 409, description = "A file names them: it says where"),
))]
async fn disable(
    State(app): State<App>,
    caller: Caller,
    Path(email): Path<String>,
    Json(body): Json<Disable>,
) -> Result<Json<AdminUser>, ApiError> {
    let admin = admin(&app, &caller).await?;
    admin.disable_user(&email, body.message.as_deref()).await?;
    Ok(Json(admin.profile_of(&email).await?.into()))
}

/// Let somebody in again
///
/// Of whom nothing was known but that they were kept out, nothing is known then: the status is `unknown`.
#[utoipa::path(post, path = "/admin/users/{id}/enable", tag = "admin",
    params(("id" = String, Path, description = "The e-mail address")), responses(
    (status = 200, body = AdminUser),
    (status = 409, description = "Nothing kept them out, or a file names them: it says where"),
))]
async fn enable(
    State(app): State<App>,
    caller: Caller,
    Path(email): Path<String>,
) -> Result<Json<AdminUser>, ApiError> {
    let admin = admin(&app, &caller).await?;
    admin.enable_user(&email).await?;
    let user = match admin.profile_of(&email).await {
        Err(error) if error.kind() == ErrorKind::NotFound => nobody(&email, &error),
        profile => profile?.into(),
    };
    Ok(Json(user))
}

/// Somebody whom nobody knows.
fn nobody(email: &str, why: &Error) -> AdminUser {
    let email = email.trim().to_lowercase();
    AdminUser {
        id: email.clone(),
        name: email.clone(),
        email,
        role: None,
        teams: Vec::new(),
        status: UserStatus::Unknown.as_str(),
        reason: Some(why.public_message()),
        named_at: None,
    }
}

/// Let somebody in who waits for it
#[utoipa::path(post, path = "/admin/users/{id}/approve", tag = "admin",
    params(("id" = String, Path, description = "The e-mail address")), request_body = Approve, responses(
    (status = 200, body = AdminUser),
    (status = 409, description = "A file names them: it says where"),
))]
async fn approve(
    State(app): State<App>,
    caller: Caller,
    Path(email): Path<String>,
    Json(body): Json<Approve>,
) -> Result<Json<AdminUser>, ApiError> {
    let admin = admin(&app, &caller).await?;
    admin.approve_user(&email, body.role.as_deref()).await?;
    Ok(Json(admin.profile_of(&email).await?.into()))
}
