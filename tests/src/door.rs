//! The HTTP door on a socket of its own, and callers of it.

use std::net::SocketAddr;

use omni_core::{
    ExposeSecret as _, Omni, OmniBuilder,
    config::HttpConfig,
    identity::{ApiKey, Authenticator, Keys, Scope, keys::memory::MemoryKeys},
    llm::scripted::{Scripted, text_turn},
    net::{self, ClientOptions},
};
use omni_http::{DoorOptions, Metrics};
use reqwest::{Client, Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{recorder::Recorder, server::FakeServer};

/// A pipeline behind its HTTP door, which ends when this is dropped. Its one server is `lab`.
#[derive(Debug)]
pub struct Door {
    /// The pipeline.
    pub omni: Omni,
    /// What the ledger delivered.
    pub recorder: Recorder,
    address: SocketAddr,
    /// Those that it knows.
    pub keys: Keys,
    client: Client,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Door {
    /// A door with everything at its default: a model that says "Paris.", and a server that echoes.
    pub async fn new() -> Self {
        Self::with(|_| {}, |builder| builder).await
    }

    /// A door with another set-up, and a pipeline that `change` made of the default one.
    ///
    /// # Panics
    /// When either cannot be made.
    pub async fn with(set: impl FnOnce(&mut HttpConfig), change: impl FnOnce(OmniBuilder) -> OmniBuilder) -> Self {
        Self::made(|options| set(&mut options.config), change).await
    }

    /// A door over the default pipeline, with more than the configuration set up.
    pub async fn set_up(set: impl FnOnce(&mut DoorOptions)) -> Self {
        Self::made(set, |builder| builder).await
    }

    async fn made(set: impl FnOnce(&mut DoorOptions), change: impl FnOnce(OmniBuilder) -> OmniBuilder) -> Self {
        let (recorder, keys) = (Recorder::default(), Keys::new(MemoryKeys::new()));
        let builder = Omni::builder()
            .llm(Scripted::from_fn(|_| Ok(text_turn("Paris."))))
            .server("lab", FakeServer::echo())
            .authenticator(Authenticator::new().with_local_act_as().with_keys(keys.clone()))
            .audit(recorder.clone());
        let omni = change(builder).build().await.unwrap();
        Self::of(omni, set, recorder, keys).await
    }

    /// The door of a pipeline that knows people by other means than keys.
    pub async fn over(omni: Omni, set: impl FnOnce(&mut HttpConfig)) -> Self {
        let set = |options: &mut DoorOptions| set(&mut options.config);
        Self::of(omni, set, Recorder::default(), Keys::new(MemoryKeys::new())).await
    }

    async fn of(omni: Omni, set: impl FnOnce(&mut DoorOptions), recorder: Recorder, keys: Keys) -> Self {
        let mut options = DoorOptions::default();
        options.config.port = 0;
        options.metrics = Metrics::install();
        set(&mut options);
        let server = omni_http::Server::bind(omni.clone(), options).await.unwrap();
        let (address, stop) = (server.address().unwrap(), CancellationToken::new());
        let stopped = stop.clone().cancelled_owned();
        let serving = tokio::spawn(async move { server.run(stopped).await.unwrap() });
        let client = net::client(&ClientOptions::for_url(&format!("http://{address}").parse().unwrap())).unwrap();
        Self { omni, recorder, address, keys, client, stop, serving }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new key of somebody, for nobody else.
    pub async fn key(&self, owner: &str, scopes: &[Scope]) -> String {
        self.key_for(owner, scopes, &[]).await
    }

    /// A new key of somebody, which may act for some.
    ///
    /// # Panics
    /// When there are too many.
    pub async fn key_for(&self, owner: &str, scopes: &[Scope], act_as: &[&str]) -> String {
        let mut issued = ApiKey::issue(owner, scopes.iter().copied().collect());
        issued.key.act_as = act_as.iter().map(|who| (*who).to_owned()).collect();
        self.keys.store().insert(&issued.key).await.unwrap();
        issued.secret.expose_secret().to_owned()
    }

    /// A request without a key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// Asks for a path without a key.
    pub async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path)).await
    }

    /// Asks for a path with a key.
    pub async fn get_by(&self, key: &str, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path).bearer_auth(key)).await
    }

    /// Posts JSON with a key.
    pub async fn post_by(&self, key: &str, path: &str, body: &Value) -> Reply {
        Reply::of(self.request(Method::POST, path).bearer_auth(key).json(body)).await
    }

    /// Ends it as a service ends, so that every record is delivered.
    ///
    /// # Panics
    /// When it does not end well.
    pub async fn end(self) -> Recorder {
        self.stop.cancel();
        self.serving.await.unwrap();
        self.recorder
    }
}

impl Reply {
    /// What a request is answered with.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The same, if the status is right.
    ///
    /// # Panics
    /// When it is not.
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// A header; empty where it is not there.
    ///
    /// # Panics
    /// When it is no text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body of an error that has this status and code, in the form that all of them have.
    ///
    /// # Panics
    /// When it is not one.
    pub fn error(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:#?}");
        let body = self.json();
        let keys: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["code", "detail", "request_id"]);
        assert_eq!(
            (body["code"].as_str(), body["request_id"].as_str()),
            (Some(code), Some(self.header("x-request-id")))
        );
        body["detail"].clone()
    }
}
