//! Conversations, and calls that wait for a human.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// One's own conversations, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Threads {
    pub(crate) threads: Vec<Thread>,
}

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Thread {
    /// What `thread_id` of an ask has to be to go on with it.
    pub(crate) thread_id: String,
}

/// The calls that wait for a human.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Confirmations {
    /// Their ids.
    pub(crate) confirmations: Vec<Uuid>,
}

/// What a human says of a call that waits.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Decision {
    /// Whether it is to run.
    pub(crate) approve: bool,
}
