//! The HTTP door of omni.
//!
//! [`router`] makes all routes a value that an embedding program mounts where it likes; [`Server`]
//! listens itself; [`run`] is the whole service. None of it is global: two of each live in one
//! process.
//!
//! A family of endpoints is a file in `routes`, its JSON a file in `wire`. A handler takes the
//! [`Caller`](caller::Caller), which the layer in front of every route has let in, hands its
//! credential to [`Omni`](omni_core::Omni), and turns what comes back into JSON; what went wrong
//! becomes an answer in `error` alone.

mod caller;
mod docs;
mod error;
mod extract;
mod layers;
pub mod logging;
mod openapi;
pub mod registry;
mod router;
mod routes;
mod serve;
mod state;
mod stream;
mod wire;

pub use openapi::document;
pub use router::router;
pub use serve::{Server, run, stop_signal};
