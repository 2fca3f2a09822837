//! An OpenID Connect issuer on the loopback interface, and the keys that it signs with.

use std::{
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};

mod desk;
mod signer;

pub use desk::{Desk, Gives};
pub use signer::Signer;

/// How it answers when it is asked for its discovery document.
#[derive(Debug, Clone)]
pub enum Answer {
    /// As it should.
    Well,
    /// It is not there for anybody.
    Away,
    /// With another address.
    Redirect(String),
    /// With a document that has no end.
    Huge,
    /// With a document of its own, whatever that says.
    Document(Value),
}

#[derive(Debug)]
struct Says {
    url: String,
    answer: Answer,
    keys: Vec<Value>,
    asked: usize,
    desk: Option<Desk>,
}

type Shared = Arc<Mutex<Says>>;

/// Serves its discovery document and its keys until it is dropped.
#[derive(Debug)]
pub struct Issuer {
    says: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Issuer {
    /// Starts one with these keys, on a thread of its own.
    pub fn start(signers: &[&Signer]) -> Self {
        let keys = signers.iter().map(|signer| signer.jwk()).collect();
        let says = Arc::new(Mutex::new(Says { url: String::new(), answer: Answer::Well, keys, asked: 0, desk: None }));
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let served = says.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let router = Router::new()
                    .route("/.well-known/openid-configuration", get(discovery))
                    .route("/keys", get(keys_of))
                    .merge(desk::routes())
                    .with_state(served);
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        says.lock().unwrap().url = format!("http://{}", told.recv().unwrap());
        Self { says, stop: Some(stop), thread: Some(thread) }
    }

    /// Its address, which is its name.
    pub fn url(&self) -> String {
        self.says.lock().unwrap().url.clone()
    }

    /// From now on it has another of this machine's names.
    pub fn is_called(&self, host: &str) {
        let mut says = self.says.lock().unwrap();
        says.url = says.url.replace("127.0.0.1", host);
    }

    /// From now on people log in at it.
    pub fn opens(&self, desk: Desk) {
        self.says.lock().unwrap().desk = Some(desk);
    }

    /// What its desk does, to look at and to change.
    ///
    /// # Panics
    /// When it has none.
    pub fn desk<T>(&self, then: impl FnOnce(&mut Desk) -> T) -> T {
        then(self.says.lock().unwrap().desk.as_mut().unwrap())
    }

    /// From now on it answers so.
    pub fn answers(&self, answer: Answer) {
        self.says.lock().unwrap().answer = answer;
    }

    /// From now on it has these keys.
    pub fn rotates_to(&self, signers: &[&Signer]) {
        self.says.lock().unwrap().keys = signers.iter().map(|signer| signer.jwk()).collect();
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.says.lock().unwrap().asked
    }

    /// Claims of a good token for the audience `omni`, with these in their place.
    pub fn claims(&self, change: Value) -> Value {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": self.url(), "aud": "omni", "iat": now, "nbf": now, "exp": now + 300,
            "sub": "u-1", "email": "ann@company.com", "email_verified": true, "groups": ["dbas"],
        });
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        claims
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn discovery(State(says): State<Shared>) -> Response {
    let mut says = says.lock().unwrap();
    says.asked += 1;
    let mut document = json!({ "issuer": says.url, "jwks_uri": format!("{}/keys", says.url) });
    if let Some(desk) = &says.desk {
        document.as_object_mut().unwrap().extend(desk::metadata(&says.url, desk));
    }
    match &says.answer {
        Answer::Well => Json(document).into_response(),
        Answer::Away => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Answer::Redirect(to) => (StatusCode::FOUND, [(LOCATION, to.clone())]).into_response(),
        Answer::Huge => Json(json!({ "issuer": "x".repeat(1 << 20) })).into_response(),
        Answer::Document(own) => Json(own.clone()).into_response(),
    }
}

async fn keys_of(State(says): State<Shared>) -> Response {
    Json(json!({ "keys": says.lock().unwrap().keys })).into_response()
}
