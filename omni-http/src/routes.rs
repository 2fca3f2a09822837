//! One family of endpoints a file.

use utoipa_axum::router::OpenApiRouter;

use crate::state::App;

mod chat;
mod health;
mod metrics;
mod root;

/// All of them.
pub(crate) fn all() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(root::routes()).merge(health::routes()).merge(metrics::routes()).merge(chat::routes())
}
