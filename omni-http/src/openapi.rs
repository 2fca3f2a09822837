//! The OpenAPI document: made of the routes themselves, and completed here with what all of them share.

use axum::http::Method;
use utoipa::{
    OpenApi, PartialSchema as _, ToSchema as _,
    openapi::{
        Components, Content, Ref, RefOr, ResponseBuilder, Responses, SecurityRequirement,
        path::{Operation, Parameter, ParameterIn, PathItem},
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    router, routes,
    state::App,
    wire::{ErrorBody, FieldError},
};

/// The schemes by which a caller may come.
const SCHEMES: [&str; 2] = ["bearer", "api_key"];

#[derive(OpenApi)]
#[openapi(
    info(title = "omni", description = "Connects people and agents to many MCP servers through one door. \
        MCP clients connect to `/mcp`, which speaks their protocol.\n\n\
        Answers of `/chat`, `/mcp/tools/call` and `/results/{id}/again` say in `X-Omni-Request-Id` what the ask or call is in \
        the log, also where it failed."),
    // Where the document is, wherever a program mounts the door.
    servers((url = ".")),
    tags(
        (name = "chat", description = "Questions and answers"),
        (name = "tools", description = "Tools without a model, and their servers"),
        (name = "audit", description = "What was asked and called"),
        (name = "users", description = "Who one is, and who there is"),
        (name = "threads", description = "Conversations, and calls that wait for a human"),
        (name = "results", description = "What tools returned, for as long as it is kept"),
        (name = "admin", description = "For administrators"),
        (name = "health", description = "How omni is doing"),
    )
)]
struct Document;

/// All routes that are in the document: those of the families.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi()).merge(routes::all())
}

/// The document of the HTTP door, as `/openapi.json` serves it.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    complete(routes().into_openapi())
}

/// Adds who may come by which route, and what each answers when something is wrong.
pub(crate) fn complete(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(SCHEMES[0], SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    components.add_security_scheme(SCHEMES[1], SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key"))));
    let mut schemas = Vec::new();
    ErrorBody::schemas(&mut schemas);
    schemas.push((ErrorBody::name().into_owned(), ErrorBody::schema()));
    schemas.push((FieldError::name().into_owned(), FieldError::schema()));
    components.schemas.extend(schemas);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            describe(operation, router::is_open(&method, path));
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let all = [
        (Method::GET, get),
        (Method::PUT, put),
        (Method::POST, post),
        (Method::DELETE, delete),
        (Method::PATCH, patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn describe(operation: &mut Operation, is_open: bool) {
    let requirements = match is_open {
        true => vec![SecurityRequirement::default()],
        false => SCHEMES.map(|scheme| SecurityRequirement::new(scheme, [""; 0])).into(),
    };
    operation.security = Some(requirements);
    let has_body = operation.request_body.is_some();
    let has_input = has_body || operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty());
    let in_query = |parameter: &RefOr<Parameter>| match parameter {
        RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Query,
        RefOr::Ref(_) => false,
    };
    let has_query = operation.parameters.iter().flatten().any(in_query);
    let errors = [
        ("401", "Nobody is let in without a key that counts", !is_open),
        ("403", "The caller may not do this", !is_open),
        ("408", "The body did not come in time", has_body),
        ("413", "The body is too large", has_body),
        ("414", "The query is too long", has_query),
        ("415", "The body is no JSON, or is compressed", has_body),
        ("422", "The input is not right", has_input),
        ("429", "A limit refused; `Retry-After` says when to come back", !is_open),
        ("500", "omni failed", true),
        ("502", "A server or the language model failed", !is_open),
        ("503", "Not at the moment; `Retry-After` says when to come back", true),
        ("504", "It took too long", true),
    ];
    for (status, description, _) in errors.into_iter().filter(|(_, _, applies)| *applies) {
        declare(&mut operation.responses, status, description);
    }
    // A route names the statuses that only it has; all errors have one form.
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && (status.starts_with('4') || status.starts_with('5'))
            && response.content.is_empty()
        {
            response.content.insert("application/json".into(), RefOr::T(error_content()));
        }
    }
}

fn declare(responses: &mut Responses, status: &str, description: &str) {
    let response = ResponseBuilder::new().description(description).build();
    responses.responses.entry(status.into()).or_insert(RefOr::T(response));
}

fn error_content() -> Content {
    Content::new(Some(Ref::from_schema_name("ErrorBody")))
}
