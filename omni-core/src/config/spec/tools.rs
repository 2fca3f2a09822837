//! What holds for tools, whatever server they are of.

use schemars::JsonSchema;
use serde::Deserialize;

use super::OnError;
use crate::pin::PinMode;

/// Tools.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct ToolsSpec {
    /// What becomes of tools that are new or changed, where their server does not say.
    pub(crate) pin: PinSpec,
    /// What becomes of tools that are new or changed while their pins cannot be read or written.
    pub(crate) pin_on_error: OnError,
    /// With more tools than this for one person, the model finds tools by searching instead of reading
    /// the whole list. 0: always.
    pub(crate) search_threshold: Option<u32>,
}

/// `auto`: a change that looks harmless is taken over and recorded. `strict`: every change waits for
/// `omni tools approve`. `off`: nobody looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PinSpec {
    #[default]
    Auto,
    Strict,
    Off,
}

impl From<PinSpec> for PinMode {
    fn from(spec: PinSpec) -> Self {
        match spec {
            PinSpec::Auto => Self::Auto,
            PinSpec::Strict => Self::Strict,
            PinSpec::Off => Self::Off,
        }
    }
}
