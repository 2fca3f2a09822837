//! What tools returned.

use schemars::JsonSchema;
use serde::Deserialize;

/// What is kept of what tools returned, so that its asker can read on, export it and run the call again.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct ResultsSpec {
    /// How long it is kept. 0 keeps none. Absent: 24 hours.
    pub(crate) expire_hours: Option<f64>,
    /// Most bytes of one result; what is longer is cut. Absent: 1048576.
    pub(crate) max_bytes: Option<u64>,
}
