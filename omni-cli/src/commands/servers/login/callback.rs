//! Where the browser comes back to: one address on this machine, for one answer.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

use crate::{exit::Exit, fault::Fault};

const PATH: &str = "/callback";
/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// How long one request may take. Browsers open connections that they never use.
const REQUEST: Duration = Duration::from_secs(10);
/// Most connections at once.
const MAX_CONNECTIONS: usize = 32;

const PAGE: &str = "<!doctype html><meta charset=\"utf-8\"><title>omni</title>\
    <p>omni has the answer. You can close this page and go back to the terminal.</p>";

/// A listener for the browser.
#[derive(Debug)]
pub(super) struct Callback {
    listener: TcpListener,
    port: u16,
}

impl Callback {
    /// Listens on this machine alone.
    pub(super) async fn listen(port: u16) -> Result<Self, Fault> {
        let failed = |error: std::io::Error| {
            let message = format!("the browser cannot come back to port {port} of this machine: {error}");
            Fault::with_exit(message, Exit::Failed)
        };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok(Self { listener, port })
    }

    /// The address that the browser is sent back to.
    pub(super) fn redirect_uri(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// The query that the browser came back with. Any page that is open in it, and any program of this machine,
    /// may ask for the address: what is no answer to this login ends no waiting.
    pub(super) async fn wait(self, is_answer: impl Fn(&str) -> bool) -> Result<String, Fault> {
        let mut requests = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if requests.len() < MAX_CONNECTIONS => {
                    let (stream, _) = accepted.map_err(Fault::from)?;
                    requests.spawn(async move { timeout(REQUEST, asked(stream)).await.ok().flatten() });
                }
                Some(done) = requests.join_next(), if !requests.is_empty() => {
                    let Ok(Some((stream, query))) = done else { continue };
                    if let Some(query) = query.filter(|query| is_answer(query)) {
                        let _ = timeout(REQUEST, answer(stream, "200 OK", PAGE)).await;
                        return Ok(query);
                    }
                    requests.spawn(async move {
                        let _ = timeout(REQUEST, answer(stream, "400 Bad Request", "")).await;
                        None
                    });
                }
            }
        }
    }
}

/// Reads a request; its query, if it is one for the address that is listened at.
async fn asked(mut stream: TcpStream) -> Option<(TcpStream, Option<String>)> {
    let head = head(&mut stream).await?;
    let query = query(&head);
    Some((stream, query))
}

async fn answer(mut stream: TcpStream, status: &str, page: &str) {
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\
         cache-control: no-store\r\nreferrer-policy: no-referrer\r\ncontent-security-policy: default-src 'none'\r\n\r\n\
         {page}",
        page.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut chunk = [0; 2048];
        let read = stream.read(&mut chunk).await.ok()?;
        if read == 0 || bytes.len() > MAX_HEAD {
            return None;
        }
        bytes.extend_from_slice(&chunk[..read]);
    }
    String::from_utf8(bytes).ok()
}

/// The query of a `GET` of the address that is listened at.
fn query(head: &str) -> Option<String> {
    let mut words = head.lines().next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let (path, query) = target.split_once('?')?;
    (method == "GET" && path == PATH && !query.is_empty()).then(|| query.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_of_a_login_is_taken() {
        assert_eq!(query("GET /callback?code=1&state=2 HTTP/1.1\r\n\r\n").as_deref(), Some("code=1&state=2"));
        for head in [
            "GET /callback HTTP/1.1",
            "GET /callback? HTTP/1.1",
            "POST /callback?code=1 HTTP/1.1",
            "GET /favicon.ico?code=1 HTTP/1.1",
            "GET /callback/x?code=1 HTTP/1.1",
            "",
        ] {
            assert_eq!(query(head), None, "{head}");
        }
    }

    #[tokio::test]
    async fn connections_for_nothing_and_answers_to_another_login_end_no_waiting() {
        let callback = Callback::listen(0).await.unwrap();
        let address = ("127.0.0.1", callback.port);
        assert_eq!(callback.redirect_uri(), format!("http://127.0.0.1:{}/callback", callback.port));
        let browser = async {
            let _idle = TcpStream::connect(address).await.unwrap();
            let ask = async |target: &str| {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                answer
            };
            for foreign in ["/favicon.ico", "/callback?code=secret&state=other", "/callback", "/callback?"] {
                assert!(ask(foreign).await.starts_with("HTTP/1.1 400"), "{foreign}");
            }
            let page = ask("/callback?code=secret&state=s").await;
            assert!(page.starts_with("HTTP/1.1 200") && !page.contains("secret"), "{page}");
        };
        let (query, ()) = tokio::join!(callback.wait(|query| query.ends_with("state=s")), browser);
        assert_eq!(query.unwrap(), "code=secret&state=s");
    }
}
