//! `omni version`.

use serde_json::json;

use crate::{app::App, exit::Exit, fault::Fault, registry};

/// Prints the version, and what this build has.
pub(super) fn run(app: &App, json: bool) -> Result<Exit, Fault> {
    let version = env!("CARGO_PKG_VERSION");
    let kinds = &app.registry;
    if json {
        app.console.json(&json!({
            "name": "omni",
            "version": version,
            "features": registry::features(),
            "llm": kinds.llm.kinds(),
            "transports": kinds.transports.kinds(),
            "audit": kinds.audit.kinds(),
        }))?;
    } else {
        let (llm, transports) = (kinds.llm.kinds().join(", "), kinds.transports.kinds().join(", "));
        app.console.line(&format!("omni {version}\nmodels: {llm}\nservers: {transports}"))?;
    }
    Ok(Exit::Success)
}
