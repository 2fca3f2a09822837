//! One family of endpoints a file.

use utoipa_axum::router::OpenApiRouter;

use crate::state::App;

mod admin;
mod audit;
mod chat;
mod confirmations;
mod elicitations;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod feedback;
mod health;
mod metrics;
mod results;
mod root;
mod threads;
mod tools;
mod users;

/// All of them.
pub(crate) fn all() -> OpenApiRouter<App> {
    let routes = OpenApiRouter::new();
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    let routes = routes.merge(feedback::routes());
    routes
        .merge(root::routes())
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(chat::routes())
        .merge(tools::routes())
        .merge(audit::routes())
        .merge(users::routes())
        .merge(threads::routes())
        .merge(confirmations::routes())
        .merge(elicitations::routes())
        .merge(results::routes())
        .merge(admin::routes())
}

/// What a request names; an empty name is none.
fn named(name: Option<String>) -> Option<String> {
    name.filter(|name| !name.trim().is_empty())
}
