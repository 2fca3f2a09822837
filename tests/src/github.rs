//! A stand-in for GitHub's REST API: bodies and headers as its documentation shows them.
//!
//! What it answers is told path by path. Requests are held to GitHub's rules first: a user agent, a version of the
//! API, and no token but [`TOKEN`].

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tokio::{net::TcpListener, task::JoinHandle};

/// The one token that it takes.
pub const TOKEN: &str = "ghp_x7Qm2Vb9Kt4Lw8Rz1Ny6Hc3Jd5Fs0Pg2Ae7U";

/// What it answers once.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// How long it takes.
    after: Duration,
    /// Whether the body has no end.
    is_endless: bool,
}

/// Documents of its API.
macro_rules! documents {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = include_str!(concat!("github/", $file, ".json"));)*
    };
}

documents! {
    /// Three repositories of 4,213.
    SEARCH = "search";
    /// A search that finds nothing.
    SEARCH_NOTHING = "search_nothing";
    /// `README.md` of `tokio-rs/tokio`.
    README = "readme";
    /// `docs/logo.png`.
    PICTURE = "picture";
    /// `examples`, with one entry of each kind.
    DIRECTORY = "directory";
    /// `examples/current`, which leads out of the repository.
    SYMLINK = "symlink";
    /// `test/qunit` of `jquery/jquery`.
    SUBMODULE = "submodule";
    /// `data/words.txt`, which is too large to come with its description.
    LARGE = "large";
    /// Nothing is there.
    NOT_FOUND = "not_found";
    /// No ref is called so.
    NO_COMMIT = "no_commit";
    /// Another token would do.
    BAD_CREDENTIALS = "bad_credentials";
    /// The window's requests are used up.
    RATE_LIMITED = "rate_limited";
    /// Requests came too fast.
    SECONDARY = "secondary";
    /// A search for what cannot be searched.
    INVALID_QUERY = "invalid_query";
    /// A file of more than 100 MB.
    TOO_LARGE = "too_large";
    /// The organization wants more than a token.
    SINGLE_SIGN_ON = "single_sign_on";
    /// A renamed repository.
    MOVED = "moved";
}

impl Answer {
    /// A status with a document, and GitHub's usual headers.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        let headers = vec![
            ("server", "github.com".to_owned()),
            ("date", "Fri, 20 Nov 2026 08:20:00 GMT".to_owned()),
            ("content-type", "application/json; charset=utf-8".to_owned()),
            ("x-github-media-type", "github.v3; format=json".to_owned()),
            ("x-github-api-version-selected", "2022-11-28".to_owned()),
            ("x-ratelimit-limit", "60".to_owned()),
            ("x-ratelimit-remaining", "58".to_owned()),
            ("x-ratelimit-reset", "1795165200".to_owned()),
            ("x-ratelimit-used", "2".to_owned()),
            ("x-ratelimit-resource", "core".to_owned()),
            ("x-github-request-id", "9C1E:3D7B5F:1A2B3C4:1A9F0E2:6741F0A1".to_owned()),
        ];
        Self { status, headers, body: body.into(), after: Duration::ZERO, is_endless: false }
    }

    /// The same with a header, in place of the usual one of that name.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(own, _)| *own != name);
        self.headers.push((name, value.into()));
        self
    }

    /// The same after a while.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    /// The same with its body over and over, without an end.
    #[must_use]
    pub fn endless(mut self) -> Self {
        self.is_endless = true;
        self
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Path and query.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<HashMap<String, Vec<Answer>>>,
    asked: Mutex<Vec<Asked>>,
    /// How many requests are being answered, and how many were at most.
    now: AtomicUsize,
    most: AtomicUsize,
}

/// It, listening; ends with this value.
pub struct GitHub {
    /// Where its API is.
    pub url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl std::fmt::Debug for GitHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitHub").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl GitHub {
    /// One that has nothing yet.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, serving }
    }

    /// The same with answers to a path: one after the other, the last one for good.
    #[must_use]
    pub fn having(self, path: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.has(path, answers);
        self
    }

    /// Answers a path otherwise from now on.
    ///
    /// # Panics
    /// When a request panicked.
    pub fn has(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        let answers = answers.into_iter().collect();
        self.shared.answers.lock().unwrap().insert(path.to_owned(), answers);
    }

    /// Every request so far.
    ///
    /// # Panics
    /// When a request panicked.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// How many requests there were at once, at most.
    #[must_use]
    pub fn at_once(&self) -> usize {
        self.shared.most.load(SeqCst)
    }

    /// What was asked for so far: paths and queries.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.asked().iter().map(|asked| asked.uri.to_string()).collect()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Response {
    shared.asked.lock().unwrap().push(Asked { uri: uri.clone(), headers: headers.clone() });
    let answer = refusal(&headers).unwrap_or_else(|| {
        let mut answers = shared.answers.lock().unwrap();
        match answers.get_mut(uri.path()) {
            Some(answers) if answers.len() > 1 => answers.remove(0),
            Some(answers) => answers[0].clone(),
            None => Answer::new(404, NOT_FOUND),
        }
    });
    let now = shared.now.fetch_add(1, SeqCst) + 1;
    shared.most.fetch_max(now, SeqCst);
    tokio::time::sleep(answer.after).await;
    shared.now.fetch_sub(1, SeqCst);
    let mut response = Response::builder().status(StatusCode::from_u16(answer.status).unwrap());
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    let body = answer.body.clone();
    let body = if answer.is_endless {
        // In pieces as large as those of a server, which are soon too much.
        let piece = Bytes::from(body.repeat(65_536 / body.len().max(1) + 1));
        Body::from_stream(stream::repeat(piece).map(Ok::<_, std::convert::Infallible>))
    } else {
        Body::from(body)
    };
    response.body(body).unwrap()
}

/// GitHub's rules for requests, as far as they are refusals.
fn refusal(headers: &HeaderMap) -> Option<Answer> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    if text("user-agent").is_none_or(str::is_empty) {
        let body = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header";
        return Some(Answer::new(403, body).with("content-type", "text/html"));
    }
    if text("x-github-api-version").is_none_or(|version| version != "2022-11-28") {
        return Some(Answer::new(400, r#"{"message":"Unsupported API version"}"#));
    }
    let is_good = text("authorization").is_none_or(|sent| sent == format!("Bearer {TOKEN}"));
    (!is_good).then(|| Answer::new(401, BAD_CREDENTIALS))
}
