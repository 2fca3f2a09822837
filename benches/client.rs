//! A load as agents make it: an HTTP library in place of hand-written requests, each answer read and looked at.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};

use crate::load::Service;

/// One message to a server or a gateway, to be sent again and again.
#[derive(Clone)]
pub(crate) struct Message {
    address: String,
    path: &'static str,
    headers: HeaderMap,
    body: Bytes,
}

impl Message {
    /// `headers` are lines, each ended by CR and LF.
    pub(crate) fn to(service: &Service, path: &'static str, headers: &str, body: &str) -> Self {
        let own = format!("host: {}\r\nauthorization: Bearer {}\r\n", service.address, service.key);
        let all = own + "content-type: application/json\r\naccept: application/json, text/event-stream\r\n" + headers;
        let headers = all.lines().map(|line| line.split_once(": ").unwrap());
        let headers = headers
            .map(|(name, value)| -> (HeaderName, HeaderValue) { (name.parse().unwrap(), value.parse().unwrap()) });
        Self { address: service.address.clone(), path, headers: headers.collect(), body: body.to_owned().into() }
    }

    /// The same somewhere else.
    pub(crate) fn at(&self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self.clone() }
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::post(self.path).body(Full::new(self.body.clone())).unwrap();
        request.headers_mut().clone_from(&self.headers);
        request
    }
}

/// Sends a message in a closed loop on so many connections; how long each answer took, and whether it was one.
pub(crate) async fn drive(message: &Message, at_once: usize, seconds: f64) -> Vec<(Duration, bool)> {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut loops = JoinSet::new();
    for _ in 0..at_once {
        let (mut connection, message) = (connect(&message.address).await, message.clone());
        loops.spawn(async move {
            let mut times = Vec::new();
            loop {
                let started = Instant::now();
                let is_answered = exchange(&mut connection, &message).await;
                times.push((started.elapsed(), is_answered));
                if Instant::now() >= until {
                    return times;
                }
            }
        });
    }
    loops.join_all().await.into_iter().flatten().collect()
}

async fn connect(address: &str) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Whether a result came; an overloaded service may say so.
async fn exchange(connection: &mut SendRequest<Full<Bytes>>, message: &Message) -> bool {
    connection.ready().await.unwrap();
    let answer = connection.send_request(message.request()).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let says = |words: &[u8]| body.windows(words.len()).any(|part| part == words);
    assert!(matches!(status, StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE), "{status}");
    assert!(!says(b"\"error\":{"), "{}", String::from_utf8_lossy(&body));
    status == StatusCode::OK && !says(b"\"isError\":true")
}
