//! One tool, and trying it.

use axum::{extract::State, response::Response};
use omni_core::{Source, ask::DirectCall, omni::OfferedServer};
use serde_json::{Value, value::to_raw_value};

use crate::{
    error::ApiError,
    layers::RequestId,
    state::App,
    ui::{
        answer::{AsJson, Frame, shown, told},
        fields::Fields,
        form,
        person::{Person, Posted},
        view::tool::{self, Tried},
    },
};

pub(in crate::ui) async fn show(as_json: AsJson, person: Person) -> Result<Response, ApiError> {
    let query = person.query.clone();
    let server = server(&person, &query).await?;
    shown(as_json, tool::of(Frame::of(&person), &server, &query.text("tool"), &query, None)?)
}

/// Calls it as whoever looks at the page: every limit, rule and record holds as for anybody.
pub(in crate::ui) async fn call(
    State(app): State<App>,
    as_json: AsJson,
    request_id: RequestId,
    Posted(person, fields): Posted,
) -> Result<Response, ApiError> {
    let server = server(&person, &fields).await?;
    let name = fields.text("tool");
    let tried = match form::arguments(&tool::schema(&server, &name)?, &fields) {
        Err(wrong) => Tried::Refused(wrong),
        Ok(arguments) => {
            let arguments = to_raw_value(&Value::Object(arguments));
            let arguments = arguments.map_err(|_| ApiError::internal("arguments cannot be written"))?;
            let who = person.caller.credential(None);
            let mut call = DirectCall::new(who, &*server.view.name, &*name, arguments);
            call = call.with_source(Source::Http).with_client(person.caller.client());
            call.request_id = request_id.ask();
            match app.omni.call_tool(call).await {
                Ok(reply) => Tried::answered(request_id.ask(), &reply),
                Err(error) => {
                    let error = ApiError::from(error);
                    error.log();
                    Tried::Refused(told(&error))
                }
            }
        }
    };
    shown(as_json, tool::of(Frame::of(&person), &server, &name, &fields, Some(tried))?)
}

async fn server(person: &Person, fields: &Fields) -> Result<OfferedServer, ApiError> {
    let name = fields.text("server");
    let found = person.admin.servers().await?.into_iter().find(|server| *server.view.name == *name);
    found.ok_or_else(|| ApiError::not_found(format!("there is no server {name:?}")))
}
