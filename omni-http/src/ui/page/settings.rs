//! The configuration that holds, and what is to be said of it.

use axum::{extract::State, response::Response};
use omni_core::ErrorKind;

use crate::{
    error::ApiError,
    state::App,
    ui::{
        answer::{AsJson, Frame, shown},
        person::Person,
        view::settings::{self, Seen},
    },
};

pub(in crate::ui) async fn show(State(app): State<App>, as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    let admin = &person.admin;
    let config = match admin.config() {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        config => Some((config?, admin.findings()?)),
    };
    let backlog = app.omni.ledger().backlog();
    let fault = app.omni.ledger().sink_fault().map(|fault| fault.to_string());
    let seen = Seen { config, uptime: app.started.elapsed(), backlog, fault };
    shown(as_json, settings::of(Frame::of(&person), seen))
}
