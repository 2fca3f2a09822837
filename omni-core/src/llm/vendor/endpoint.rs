//! One address of a vendor: sends a request, and again where that makes sense.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, CONTENT_TYPE},
};
use reqwest::{Client, Response};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::Url;

use super::{Decoder, Vendor, refusal, turn::Turn};
use crate::{
    clock,
    config::LlmConfig,
    llm::{
        ChatEvent, ChatStream, LlmError,
        retry::{Failed, Retries},
        sse::{self, SseLimits},
    },
    net::{self, ClientOptions},
    redact::Redactor,
    registry::BuildError,
};

/// Largest part of an error's body that is read.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// One address of a vendor.
#[derive(Debug)]
pub(in crate::llm) struct Endpoint {
    vendor: &'static Vendor,
    url: Url,
    client: Client,
    /// Sent with every request; the key in it is marked as sensitive.
    headers: HeaderMap,
    /// How long until an answer begins, retries included.
    timeout: Duration,
    retries: Retries,
    limits: SseLimits,
    /// Knows the key.
    redactor: Redactor,
}

impl Endpoint {
    /// The address `path` under the base URL of `config`.
    pub(in crate::llm) fn new(
        vendor: &'static Vendor,
        config: &LlmConfig,
        path: &str,
        mut headers: HeaderMap,
    ) -> Result<Self, BuildError> {
        let url = vendor.url(config, path)?;
        let client =
            net::client(&ClientOptions::for_url(&url)).map_err(|error| BuildError::invalid(error.to_string()))?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream, application/json"));
        let retries = Retries::new(config.max_retries);
        let limits = SseLimits { idle: config.timeout, ..SseLimits::default() };
        let redactor = config
            .api_key
            .iter()
            .fold(Redactor::new(), |redactor, key| redactor.with_value(key.expose_secret().trim()));
        Ok(Self { vendor, url, client, headers, timeout: config.timeout, retries, limits, redactor })
    }

    /// The host that answers.
    #[cfg(feature = "openai")]
    pub(in crate::llm) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Whether any retries are wanted.
    pub(in crate::llm) fn retries(&self) -> bool {
        self.retries.max > 0
    }

    /// Makes one turn: sends `body` until the answer begins, then streams it. An answer that has begun
    /// may take as long as `deadline` lets it, unless it falls silent.
    pub(in crate::llm) async fn turn<D: Decoder>(
        &self,
        model: &str,
        body: Vec<u8>,
        deadline: Option<Instant>,
        warnings: Vec<String>,
        decoder: impl Fn() -> D,
    ) -> Result<ChatStream, LlmError> {
        let own = clock::from_now(self.timeout);
        let begins_by = deadline.map_or(own, |deadline| deadline.min(own));
        let body = Bytes::from(body);
        let attempt = || self.attempt(model, body.clone(), deadline, decoder());
        let turn = self.retries.run(self.vendor.kind, begins_by, attempt).await?;
        let warnings = stream::iter(warnings.into_iter().map(|warning| Ok(ChatEvent::Warning(warning))));
        let redactor = self.redactor.clone();
        let events = turn.into_stream().map(move |event| event.map_err(|error| error.redacted(&redactor)));
        Ok(Box::pin(warnings.chain(events)))
    }

    async fn attempt<D: Decoder>(
        &self,
        model: &str,
        body: Bytes,
        deadline: Option<Instant>,
        decoder: D,
    ) -> Result<Turn<D>, Failed> {
        let begun = self.begin(model, body, deadline, decoder).await;
        begun.map_err(|failed| Failed { error: failed.error.redacted(&self.redactor), ..failed })
    }

    async fn begin<D: Decoder>(
        &self,
        model: &str,
        body: Bytes,
        deadline: Option<Instant>,
        decoder: D,
    ) -> Result<Turn<D>, Failed> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(body);
        let response = request.send().await.map_err(|error| self.unanswered(&error))?;
        let response = self.accepted(model, response).await?;
        let provider = self.vendor.kind;
        let mut turn = match media_type(response.headers()) {
            "application/json" => {
                let body = read(response, self.limits.total_bytes).await.map_err(|message| self.cut(message))?;
                Turn::whole(provider, &body, decoder).map_err(refusal::failed)?
            }
            "text/html" => return Err(Failed::never(self.not_an_api())),
            _ => Turn::events(provider, deadline, sse::events(provider, chunks(response), self.limits), decoder),
        };
        turn.begin().await.map_err(refusal::failed)?;
        Ok(turn)
    }

    async fn accepted(&self, model: &str, response: Response) -> Result<Response, Failed> {
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        // Part of a body says more than none: what went wrong while reading it does not matter.
        let body = read_some(response, MAX_ERROR_BYTES).await;
        Err(refusal::refused(self.vendor, model, status, &headers, &body))
    }

    /// Once there was a connection the request may have reached the vendor, and be carried out and charged.
    fn unanswered(&self, error: &reqwest::Error) -> Failed {
        let message = net::describe(error);
        if error.is_request() && !error.is_connect() {
            return self.cut(format!("nothing came from {}: {message}", self.shown()));
        }
        refusal::failed(LlmError::Network { provider: self.vendor.kind, url: self.shown(), message })
    }

    fn cut(&self, message: String) -> Failed {
        refusal::failed(LlmError::Cut { provider: self.vendor.kind, message })
    }

    fn not_an_api(&self) -> LlmError {
        let message = format!("a web page; is {} the API's address?", self.shown());
        LlmError::NotAnApi { provider: self.vendor.kind, message }
    }

    /// The address without credentials.
    fn shown(&self) -> String {
        self.url[..url::Position::BeforePath].split_once('@').map_or_else(
            || self.url[..url::Position::AfterPath].to_owned(),
            |(_, host)| format!("{}://{host}{}", self.url.scheme(), self.url.path()),
        )
    }

    #[cfg(test)]
    pub(in crate::llm) fn impatient(mut self, limits: SseLimits) -> Self {
        self.retries.first_pause = Duration::from_millis(1);
        self.limits = limits;
        self
    }
}

/// The key as a header's value, marked as sensitive. `None` where no key is set.
///
/// # Errors
/// [`BuildError::Invalid`], naming the variable, when it is a placeholder or no header can hold it.
pub(in crate::llm) fn key_header(
    vendor: &Vendor,
    key: Option<&SecretString>,
    scheme: &str,
) -> Result<Option<HeaderValue>, BuildError> {
    let Some(key) = key.map(|key| key.expose_secret().trim()).filter(|key| !key.is_empty()) else {
        return Ok(None);
    };
    if key.starts_with("your-") && key.ends_with("-here") {
        return Err(BuildError::invalid(format!(
            "{} still holds a placeholder; set it to the key that the vendor gave you",
            vendor.key_variable
        )));
    }
    let mut value = HeaderValue::from_str(&format!("{scheme}{key}")).map_err(|_| {
        BuildError::invalid(format!("{} holds characters that no key has; set it to a valid key", vendor.key_variable))
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn media_type(headers: &HeaderMap) -> &str {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
}

fn chunks(response: Response) -> impl Stream<Item = Result<Bytes, String>> + Send + 'static {
    response.bytes_stream().map(|chunk| chunk.map_err(|error| net::describe(&error)))
}

async fn read(response: Response, cap: usize) -> Result<Vec<u8>, String> {
    let mut chunks = Box::pin(chunks(response));
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk?);
        if body.len() > cap {
            return Err(format!("the answer is larger than {cap} bytes"));
        }
    }
    Ok(body)
}

async fn read_some(response: Response, cap: usize) -> Vec<u8> {
    let mut chunks = Box::pin(chunks(response));
    let mut body = Vec::new();
    while let Some(Ok(chunk)) = chunks.next().await {
        body.extend_from_slice(&chunk);
        if body.len() > cap {
            body.truncate(cap);
            break;
        }
    }
    body
}
