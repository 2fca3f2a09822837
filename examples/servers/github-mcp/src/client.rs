//! One request to GitHub: as whom, how often, for how long, and what becomes of a refusal.
//!
//! octocrab sends it, on an HTTP client of omni-core's: ring, the platform's roots, no redirects. The token is
//! octocrab's to add, which it does for paths alone; so nothing but paths is sent, and a redirect is followed only
//! where its address has the API's own origin.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, combinators::BoxBody};
use octocrab::{
    AuthState, Octocrab, OctocrabBuilder,
    service::middleware::{
        base_uri::BaseUriLayer, extra_headers::ExtraHeadersLayer, reqwest_connector::ReqwestConnector,
    },
};
use omni_core::net::{self, ClientOptions, NetError};
use tokio::{sync::Semaphore, time::timeout};
use url::Url;

use crate::{error::Error, settings::Settings, token::Token};

mod failure;
mod limits;
mod request;

pub(crate) use limits::Bucket;
use limits::Limits;
use request::Accept;
pub(crate) use request::{MAX_FILE, Request};

/// How long it is waited before a request is made once more.
const BACK_OFF: Duration = Duration::from_millis(500);
/// A renamed repository is one redirect, and it may have been renamed twice.
const MAX_REDIRECTS: usize = 3;
/// Requests at once. GitHub asks integrations to be modest; more of them wait.
const MAX_CONCURRENT: usize = 8;
/// Requests that are under way or wait.
const MAX_UNDER_WAY: usize = 64;
/// How much is read of a refusal.
const MAX_REFUSAL: usize = 64 * 1024;

type Body = BoxBody<Bytes, octocrab::Error>;

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether there is more of it than was to be read.
    pub(crate) is_cut: bool,
    /// Whether GitHub sent the request elsewhere: the repository has another name now.
    pub(crate) has_moved: bool,
}

/// GitHub's REST API, as whoever's token it is.
pub(crate) struct Client {
    api: Octocrab,
    pub(crate) base: Url,
    pub(crate) token: Option<Token>,
    timeout: Duration,
    limits: Limits,
    places: Semaphore,
    permits: Semaphore,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client. It has a task of its own, for which a runtime has to be there.
    pub(crate) fn new(settings: Settings) -> Result<Self, NetError> {
        let http = net::client(&ClientOptions::for_url(&settings.api_url))?;
        let base: http::Uri =
            settings.api_url.as_str().parse().map_err(|error| NetError::Build { message: format!("{error}") })?;
        let agent = HeaderValue::from_static(concat!("omni-github-mcp/", env!("CARGO_PKG_VERSION")));
        let auth = settings.token.as_ref().map(|token| AuthState::AccessToken { token: token.secret() });
        let api = OctocrabBuilder::new_empty()
            .with_service(ReqwestConnector::new(http))
            .with_layer(&ExtraHeadersLayer::new(Arc::new(vec![(header::USER_AGENT, agent)])))
            .with_layer(&BaseUriLayer::new(base))
            .with_auth(auth.unwrap_or(AuthState::None))
            .build()
            .map_err(|never| match never {})?;
        Ok(Self {
            api,
            base: settings.api_url,
            token: settings.token,
            timeout: settings.timeout,
            limits: Limits::default(),
            places: Semaphore::new(MAX_UNDER_WAY),
            permits: Semaphore::new(MAX_CONCURRENT),
        })
    }

    /// Asks, unless GitHub has said that it wants to be left alone.
    ///
    /// # Errors
    /// [`Error`] when there is no answer to be had.
    pub(crate) async fn get(&self, request: &Request) -> Result<Reply, Error> {
        let Ok(_place) = self.places.try_acquire() else { return Err(Error::Busy { most: MAX_UNDER_WAY }) };
        let asked = async {
            self.limits.check(request.bucket)?;
            // The semaphore is never closed; without a permit nothing would be sent.
            let Ok(_permit) = self.permits.acquire().await else { return Err(Error::Busy { most: MAX_UNDER_WAY }) };
            // Whoever was before may have used the rest up.
            self.limits.check(request.bucket)?;
            let reply = self.follow(request).await;
            if let Err(Error::Limited(limited)) = &reply {
                self.limits.note(request.bucket, limited);
            }
            reply
        };
        timeout(self.timeout, asked).await.unwrap_or(Err(Error::Timeout { after: self.timeout }))
    }

    async fn follow(&self, request: &Request) -> Result<Reply, Error> {
        let mut url = request.url.clone();
        for hop in 0..=MAX_REDIRECTS {
            let response = self.send_patiently(&url, request.accept).await?;
            match response.status() {
                status if status.is_success() => return read_reply(response, request, hop > 0).await,
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => url = self.elsewhere(&url, response.headers())?,
                _ => return Err(self.refusal(response, request).await),
            }
        }
        Err(Error::Redirect { problem: "too often" })
    }

    /// Once more, where GitHub broke or could not be reached.
    async fn send_patiently(&self, url: &Url, accept: Accept) -> Result<Response<Body>, Error> {
        let first = self.send(url, accept).await;
        let is_passing = match &first {
            Ok(response) => response.status().is_server_error(),
            Err(_) => true,
        };
        if !is_passing {
            return first;
        }
        tokio::time::sleep(BACK_OFF).await;
        self.send(url, accept).await
    }

    async fn send(&self, url: &Url, accept: Accept) -> Result<Response<Body>, Error> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept.media_type()))]);
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        self.api._get_with_headers(path, Some(headers)).await.map_err(|error| failure::of_transport(&error))
    }

    /// Where a redirect leads, if it stays at the API.
    fn elsewhere(&self, from: &Url, headers: &HeaderMap) -> Result<Url, Error> {
        let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let to = location.and_then(|location| from.join(location).ok());
        let to = to.ok_or(Error::Redirect { problem: "without saying where to" })?;
        if to.origin() != self.base.origin() {
            return Err(Error::Redirect { problem: "to another host" });
        }
        Ok(to)
    }

    async fn refusal(&self, response: Response<Body>, request: &Request) -> Error {
        let (parts, body) = response.into_parts();
        let body = read(body, MAX_REFUSAL).await.map_or_else(|_| Vec::new(), |(body, _)| body);
        failure::of_response(parts, body, request, self.token.is_some()).await
    }
}

async fn read_reply(response: Response<Body>, request: &Request, has_moved: bool) -> Result<Reply, Error> {
    let (parts, body) = response.into_parts();
    let (body, is_cut) = read(body, request.most_bytes).await?;
    if is_cut && request.accept == Accept::Json {
        return Err(Error::AnswerTooLarge { most: request.most_bytes });
    }
    Ok(Reply { headers: parts.headers, body, is_cut, has_moved })
}

/// The first `most` bytes of a body, and whether there are more.
async fn read(mut body: Body, most: usize) -> Result<(Vec<u8>, bool), Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failure::of_transport(&error))?;
        let Some(data) = frame.data_ref() else { continue };
        let room = most - bytes.len();
        bytes.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return Ok((bytes, true));
        }
    }
    Ok((bytes, false))
}
