//! Calls that wait for a human.

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::Response,
};
use omni_core::{AnswerStream, Source, confirm::Verdict, omni::Decider};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{chat, named};
use crate::{
    caller::Caller,
    error::ApiError,
    extract::{Json, Path, Query},
    router::Mount,
    state::App,
    stream,
    wire::{AskResponse, Confirmation, Confirmations, Decision, StreamEvent, Viewer, Waiting},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one, decide))
}

/// List calls that wait for a human
///
/// One's own, and those of others for whoever has a role that decides (`approvals.approvers`); also those that were
/// agreed to and cannot go on yet.
#[utoipa::path(get, path = "/confirmations", tag = "threads", params(Viewer),
    responses((status = 200, body = Confirmations)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(viewer): Query<Viewer>,
) -> Result<Json<Confirmations>, ApiError> {
    let found = app.omni.confirmations(caller.credential(named(viewer.user_id).as_deref())).await?;
    Ok(Json(Confirmations { confirmations: found.into_iter().map(Confirmation::from).collect() }))
}

/// A call that waits for a human
///
/// Also when it is decided, with what came of it, for a day after its ask has ended.
#[utoipa::path(get, path = "/confirmations/{id}", tag = "threads",
    params(("id" = String, Path, description = "Its id"), Viewer), responses(
    (status = 200, body = Confirmation),
    (status = 404, description = "There is none, or it is somebody else's"),
))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(viewer): Query<Viewer>,
) -> Result<Json<Confirmation>, ApiError> {
    let who = caller.credential(named(viewer.user_id).as_deref());
    Ok(Json(app.omni.confirmation(who, id_of(&id)?).await?.into()))
}

/// Decide on a call that waits for a human
///
/// When all calls of its ask are decided the ask goes on, and is answered as `POST /chat/ask` answers; with
/// `Accept: text/event-stream` as `POST /chat/ask/stream` does. It goes on whether somebody reads the answer or
/// not: `GET /confirmations/{id}` has it later.
#[utoipa::path(post, path = "/confirmations/{id}", tag = "threads",
    params(("id" = String, Path, description = "Its id")), request_body = Decision, responses(
    (status = 200, content((AskResponse = "application/json"), (StreamEvent = "text/event-stream"))),
    (status = 202, description = "Other calls of the ask still wait, or new ones", body = Waiting),
    (status = 404, description = "There is none, or it is somebody else's"),
    (status = 409, description = "It is decided already, or its time is over"),
    (status = 503, description = "What was decided is kept, and cannot go on yet"),
))]
async fn decide(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    mount: Mount,
    Json(decision): Json<Decision>,
) -> Result<Response, ApiError> {
    let id = id_of(&id)?;
    let as_events = wants_events(&headers);
    if as_events {
        app.streams.admit()?;
    }
    let who = caller.credential(named(decision.user_id).as_deref());
    let verdict = match decision.approve {
        true => Verdict::Approve,
        false => Verdict::Decline { reason: decision.reason.unwrap_or_default() },
    };
    let mut by = Decider::new(who, Source::Http).with_client(caller.client());
    let untold = (as_events && decision.elicitation).then(|| app.questions.of_stream(caller.holder()));
    let untold = untold.map(|(elicit, untold)| {
        by.elicit = elicit;
        untold
    });
    let answer: AnswerStream = app.omni.confirm(id, verdict, by).await?;
    match as_events {
        true => stream::follow(&app, &caller, answer, untold).await,
        false => Ok(chat::answered(&answer.collect().await?, &mount)),
    }
}

fn id_of(text: &str) -> Result<Uuid, ApiError> {
    text.parse().map_err(|_| ApiError::not_found(format!("no call {text:?} waits for a decision")))
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream"))
}
