//! Questions and answers.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use omni_core::{
    Answer, Ask, Principal, Source,
    answer::Status,
    ask::ChatPlace,
    identity::Scope,
    thread::{Conversation, Place, ThreadKey},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    caller::Caller,
    error::ApiError,
    extract::{Invalid, Json},
    layers::RequestId,
    router::Mount,
    state::App,
    stream::{self, LastEventId},
    wire::{AskRequest, AskResponse, ShortRequest, ShortResponse, StreamEvent, Waiting},
};

mod stop;

pub(super) fn routes() -> OpenApiRouter<App> {
    let streams = OpenApiRouter::new().routes(routes!(ask_stream, resume_stream)).merge(stop::routes());
    OpenApiRouter::new().routes(routes!(ask)).routes(routes!(short)).merge(streams)
}

/// Ask a question
///
/// A question that needs a call to which somebody has to agree is answered with 202: it goes on when all of its
/// confirmations are decided.
#[utoipa::path(post, path = "/chat/ask", tag = "chat", request_body = AskRequest, responses(
    (status = 200, body = AskResponse),
    (status = 202, description = "A call waits for somebody's agreement", body = Waiting),
))]
async fn ask(
    State(app): State<App>,
    caller: Caller,
    request_id: RequestId,
    mount: Mount,
    Json(body): Json<AskRequest>,
) -> Result<Response, ApiError> {
    let question = question(&app, &caller, &request_id, body)?;
    Ok(answered(&app.omni.ask_whole(question).await?, &mount))
}

/// An answer, or what it waits for.
pub(super) fn answered(answer: &Answer, mount: &Mount) -> Response {
    match answer.status {
        Status::Waiting => (StatusCode::ACCEPTED, Json(Waiting::new(answer, mount))).into_response(),
        _ => Json(AskResponse::from(answer)).into_response(),
    }
}

/// Ask a question in short
#[utoipa::path(post, path = "/chat", tag = "chat", request_body = ShortRequest,
    responses((status = 200, body = ShortResponse)))]
async fn short(
    State(app): State<App>,
    caller: Caller,
    request_id: RequestId,
    Json(body): Json<ShortRequest>,
) -> Result<Json<ShortResponse>, ApiError> {
    is_asked("question", &body.question)?;
    let act_as = named(&app, &caller, body.user_id.as_deref(), body.slack_user_id.as_deref())?;
    let question = plain(&caller, act_as.as_deref(), &request_id, body.question);
    let answer = app.omni.ask_whole(question).await?;
    Ok(Json((&answer).into()))
}

/// Ask a question, and be told the answer as it comes
///
/// Server-sent events: `started`, `token`, `tool_start`, `tool_end`, `approval_required`, `elicitation`, `usage`,
/// `warning`, and at the end `done` or `error`. A question that is not let in is another status.
///
/// Whoever lost the connection sends the same again with the header `Last-Event-ID`, or a `GET`: then the
/// stream goes on after that event, and nothing is asked anew. After a while without a reader the question
/// is given up; with a `DELETE`, at once.
#[utoipa::path(post, path = "/chat/ask/stream", tag = "chat", request_body = AskRequest,
    params(("Last-Event-ID" = Option<String>, Header, description = "The last event that came")),
    responses(
        (status = 200, body = StreamEvent, content_type = "text/event-stream"),
        (status = 409, description = "The stream cannot be resumed here"),
    ))]
async fn ask_stream(
    State(app): State<App>,
    caller: Caller,
    request_id: RequestId,
    last: Option<LastEventId>,
    Json(body): Json<AskRequest>,
) -> Result<Response, ApiError> {
    if let Some(last) = last {
        return stream::resume(&app, &caller, &last).await;
    }
    // Before anything is asked and charged.
    app.streams.admit()?;
    let untold = body.elicitation.then(|| app.questions.of_stream(caller.holder()));
    let mut question = question(&app, &caller, &request_id, body)?;
    let untold = untold.map(|(elicit, untold)| {
        question.elicit = elicit;
        untold
    });
    stream::begin(&app, &caller, app.omni.ask_stream(question), untold).await
}

/// Go on with an answer after a lost connection
#[utoipa::path(get, path = "/chat/ask/stream", tag = "chat",
    params(("Last-Event-ID" = String, Header, description = "The last event that came")),
    responses(
        (status = 200, body = StreamEvent, content_type = "text/event-stream"),
        (status = 409, description = "The stream cannot be resumed here"),
    ))]
async fn resume_stream(State(app): State<App>, caller: Caller, last: LastEventId) -> Result<Response, ApiError> {
    stream::resume(&app, &caller, &last).await
}

fn question(app: &App, caller: &Caller, request_id: &RequestId, body: AskRequest) -> Result<Ask, ApiError> {
    is_asked("message", &body.message)?;
    let act_as = named(app, caller, body.user_id.as_deref(), body.slack_user())?;
    let (thread, asked_at) = (conversation(caller, &body), place(app, caller, &body));
    // Whoever asks by this door can come back.
    let mut ask = plain(caller, act_as.as_deref(), request_id, body.message).with_parking();
    ask.thread = thread;
    ask.client.chat = asked_at.map(Box::new);
    ask.options.model = body.model.filter(|model| !model.is_empty());
    Ok(ask)
}

fn is_asked(field: &str, question: &str) -> Result<(), ApiError> {
    match question.trim().is_empty() {
        true => Err(Invalid::new("value_error", "the question is empty").within(field).within("body").into()),
        false => Ok(()),
    }
}

fn plain(caller: &Caller, act_as: Option<&str>, request_id: &RequestId, question: String) -> Ask {
    let mut ask = Ask::new(caller.credential(act_as), question).with_source(Source::Http).with_client(caller.client());
    ask.request_id = request_id.ask();
    ask
}

/// Whom a request names: by address, or by their id in Slack. Nobody knows some ids; then it is the
/// id that has to be allowed.
///
/// # Errors
/// They do not name the same person: of two names each has to be allowed.
fn named(
    app: &App,
    caller: &Caller,
    user_id: Option<&str>,
    slack_user: Option<&str>,
) -> Result<Option<String>, ApiError> {
    let set = |text: &&str| !text.trim().is_empty();
    let (address, id) = (user_id.filter(set), slack_user.filter(set));
    let known = id.and_then(|id| app.omni.slack_user(id.trim()));
    if let (Some(address), Some(_)) = (address, id) {
        let subject = Principal::email(address).subject;
        // Whoever may act for others knows better than we do whose an id is that nobody gave us.
        let is_theirs = known.map_or(caller.principal().scopes.contains(Scope::ActAs), |known| known == subject);
        if !is_theirs {
            return Err(ApiError::denied("`user_id` and the id in Slack do not name the same person"));
        }
        return Ok(Some(address.to_owned()));
    }
    Ok(address.map(str::to_owned).or(known).or_else(|| id.map(str::to_owned)))
}

/// Where in Slack it was asked, as far as somebody vouches for it: a bot that may ask for others, or the person
/// whose own id it is.
fn place(app: &App, caller: &Caller, body: &AskRequest) -> Option<ChatPlace> {
    let (place, owner) = (body.slack_place()?, caller.principal());
    let is_own = || app.omni.slack_user(&place.user).is_some_and(|known| known == owner.subject);
    let is_vouched_for = owner.scopes.contains(Scope::ActAs) || is_own();
    is_vouched_for.then_some(place)
}

/// The conversation: one of the asker's own, or the thread in Slack. A thread in Slack is that of whom the
/// key belongs to: a bot that may ask for others vouches for the place as well, and nobody else finds what
/// was said there by naming it, not by another key of the bot's owner either. What somebody said there who
/// vouches for nothing is no part of what the bot is told.
fn conversation(caller: &Caller, body: &AskRequest) -> Option<Conversation> {
    let own = body.thread_id.as_deref().filter(|thread| !thread.is_empty());
    if let Some(thread) = own {
        return Some(Conversation::Own(thread.to_owned()));
    }
    let (owner, (channel, thread)) = (caller.principal(), body.slack_thread()?);
    let place = match channel.as_bytes() {
        [b'D', ..] => Place::Direct(channel.to_owned()),
        _ => Place::Channel(channel.to_owned()),
    };
    // No subject has a line break in it, or is empty.
    let kind = if owner.scopes.contains(Scope::ActAs) { "" } else { "\n" };
    let channel = format!("{kind}{}\n{channel}", owner.subject);
    Some(Conversation::At { key: ThreadKey::new(&owner.tenant, Source::Http.as_str(), &channel, thread), place })
}
