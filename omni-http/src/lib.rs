//! The HTTP door of omni.
//!
//! [`router`] makes all routes a value that an embedding program mounts where it likes; [`Server`]
//! listens itself; [`run`] is the whole service. None of it is global: two of each live in one
//! process. What is counted is, by its nature: [`Metrics::install`] is the one recorder of a process, and a
//! program with a recorder of its own gives [`DoorOptions`] that one, or none.
//!
//! A family of endpoints is a file in `routes`, its JSON a file in `wire`. A handler takes the
//! `Caller`, which the layer in front of every route has let in, hands its
//! credential to [`Omni`](omni_core::Omni), and turns what comes back into JSON; what went wrong
//! becomes an answer in `error` alone.
//!
//! `mcp` is the wire of omni as an MCP server: it has a protocol of its own, and is in no document here.
//!
//! # Another family of endpoints
//!
//! 1. `wire/family.rs`: its JSON, with `ToSchema`, `IntoParams` for a query, and a line on every field; listed in
//!    `wire.rs`. Values of the core become these by `From`.
//! 2. `routes/family.rs`: `pub(super) fn routes() -> OpenApiRouter<App>`, and handlers with `#[utoipa::path]`
//!    that return `Result<Json<T>, ApiError>`; merged in `routes.rs`. `Json`, `Query` and `Caller` are those of
//!    this crate. The document declares only what is the route's own, such as 404: who may come by it and
//!    what all routes answer is added in `openapi`.
//! 3. A route is closed unless `router::OPEN` names it. What a caller may do, the core decides when it is
//!    given `caller.credential(act_as)`; asks and calls are given `caller.client()` and `request_id.ask()` too.
//! 4. `tests/it/http/family.rs`, by a `Door`; the snapshot of the document changes with it.

mod asked;
mod caller;
mod docs;
mod error;
mod extract;
mod layers;
pub mod logging;
mod mcp;
mod metrics;
mod openapi;
mod options;
#[cfg(feature = "otel")]
mod otel;
#[cfg(feature = "bin")]
pub mod program;
mod refused;
mod router;
mod routes;
mod serve;
mod state;
mod stream;
#[cfg(feature = "dashboard")]
mod ui;
mod wire;

pub use metrics::Metrics;
pub use openapi::document;
pub use options::DoorOptions;
pub use router::router;
pub use serve::{Server, hangups, run, run_mcp, stop_signal};
