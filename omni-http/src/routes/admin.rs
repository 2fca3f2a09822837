//! For administrators: the core checks scope, role and permission of each, and records what is written.

use omni_core::{Source, omni::Admin};
use utoipa_axum::router::OpenApiRouter;

use crate::{caller::Caller, error::ApiError, state::App};

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod changes;
mod keys;
mod pins;
mod policy;
mod servers;
mod users;

pub(super) fn routes() -> OpenApiRouter<App> {
    let routes = OpenApiRouter::new()
        .merge(users::routes())
        .merge(servers::routes())
        .merge(pins::routes())
        .merge(keys::routes())
        .merge(policy::routes());
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    let routes = routes.merge(changes::routes());
    routes
}

/// The caller as an administrator.
async fn admin(app: &App, caller: &Caller) -> Result<Admin, ApiError> {
    let admin = app.omni.admin(caller.credential(None), Source::Http).await?;
    Ok(admin.with_client(caller.client()))
}
