//! Connections that bring signed requests: so many at a time, each for one request whose head has so much time. Slack
//! needs few of them, and anybody can open one.

use std::{io, pin::pin, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long the head of a request may take: Slack itself waits no longer for an answer.
const HEAD_WITHIN: Duration = Duration::from_secs(3);
/// Most connections at a time.
const MOST: usize = 256;
/// How long open requests have at the end; an ack takes no time.
const LAST_REQUESTS: Duration = Duration::from_secs(3);
/// How long to wait when the system has no room for another connection.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Where requests come in, and how many and how slow they may be.
#[derive(Debug)]
pub(crate) struct Listening {
    listener: TcpListener,
    head_within: Duration,
    most: usize,
}

impl Listening {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self { listener, head_within: HEAD_WITHIN, most: MOST }
    }

    /// Takes connections until `stop`, and lets those that are open finish their request. Who finds no room waits in
    /// the system's queue.
    pub(crate) async fn serve(self, router: Router, stop: CancellationToken) {
        let Self { listener, head_within, most } = self;
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = open.join_next(), if !open.is_empty() => {}
                accepted = listener.accept(), if open.len() < most => match accepted {
                    Ok((stream, _)) => {
                        open.spawn(answer(stream, router.clone(), head_within, stop.clone()));
                    }
                    Err(error) => refused(&error).await,
                },
            }
        }
        drop(listener);
        end(open).await;
    }
}

/// One request. Whoever was answered holds no room for others: Slack connects anew for what comes next.
async fn answer(stream: TcpStream, router: Router, head_within: Duration, stop: CancellationToken) {
    let mut builder = http1::Builder::new();
    builder.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(head_within);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// One connection that broke before it began is that connection's matter; no more room is everybody's.
async fn refused(error: &io::Error) {
    let is_its_own = matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    );
    if !is_its_own {
        tracing::error!(%error, "a connection cannot be taken");
        sleep(AGAIN_AFTER).await;
    }
}

/// Whoever does not finish a request keeps nobody's answer from its end.
async fn end(mut open: JoinSet<()>) {
    let all = async { while open.join_next().await.is_some() {} };
    let is_over = timeout(LAST_REQUESTS, all).await.is_ok();
    if !is_over {
        tracing::warn!(connections = open.len(), "connections are cut that did not finish in time");
    }
    open.shutdown().await;
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::{Arc, Mutex},
        time::{SystemTime, UNIX_EPOCH},
    };

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::{
        super::{Door, routes, signature},
        *,
    };
    use crate::port::{Ack, Delivery, Intake};

    const SECRET: &str = "s3cret";
    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);
    /// A request of which the body is not there.
    const HEAD: &str = "POST /slack/events HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n";

    #[derive(Debug, Default)]
    struct Inbox(Mutex<Vec<Delivery>>);

    impl Intake for Inbox {
        fn take(&self, delivery: Delivery) -> Ack {
            self.0.lock().unwrap().push(delivery);
            Ack::Empty
        }
    }

    /// A door that is open.
    struct Opened {
        address: SocketAddr,
        inbox: Arc<Inbox>,
    }

    impl Opened {
        /// One that waits so long for heads and for bodies, and has room for so many.
        async fn of(head_within: Duration, body_within: Duration, most: usize) -> Self {
            let inbox = Arc::new(Inbox::default());
            let router = routes(Door { to: inbox.clone(), secret: SECRET.into(), body_within });
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let listening = Listening { listener, head_within, most };
            tokio::spawn(listening.serve(router, CancellationToken::new()));
            Self { address, inbox }
        }

        async fn connect(&self, sent: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            stream
        }

        async fn told(&self, sent: &str) -> String {
            rest(&mut self.connect(sent).await).await
        }
    }

    /// What somebody is told until they are cut off.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut told = String::new();
        timeout(LONG, stream.read_to_string(&mut told)).await.unwrap().unwrap();
        told
    }

    fn signed(body: &str) -> String {
        let stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
        let signature = signature(&SECRET.into(), &stamp, body.as_bytes()).unwrap();
        format!(
            "POST /slack/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             x-slack-request-timestamp: {stamp}\r\nx-slack-signature: v0={signature}\r\n\r\n{body}",
            body.len()
        )
    }

    #[tokio::test]
    async fn who_sends_half_a_head_or_nothing_is_cut_off() {
        let door = Opened::of(SHORT, LONG, MOST).await;
        for sent in ["", "POST /slack/events HTTP/1.1\r\nhost:"] {
            assert_eq!(door.told(sent).await, "", "{sent:?}");
        }
    }

    #[tokio::test]
    async fn who_sends_half_a_body_is_told_that_it_took_too_long() {
        let door = Opened::of(LONG, SHORT, MOST).await;
        for sent in [HEAD.to_owned(), format!("{HEAD}{{")] {
            let told = door.told(&sent).await;
            assert!(told.starts_with("HTTP/1.1 408 "), "{sent:?}: {told}");
        }
        assert!(door.inbox.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_signed_request_is_answered_and_its_connection_is_over() {
        let door = Opened::of(LONG, LONG, MOST).await;
        let told = door.told(&signed(r#"{"type":"event_callback"}"#)).await;
        assert!(told.starts_with("HTTP/1.1 200 ") && told.contains("connection: close"), "{told}");
        assert_eq!(door.inbox.0.lock().unwrap()[0].payload["type"], "event_callback");
        let other = door.told(&signed("{}").replace("v0=", "v0=0")).await;
        assert!(other.starts_with("HTTP/1.1 401 "), "{other}");
    }

    #[tokio::test]
    async fn who_finds_no_room_is_answered_once_there_is_some() {
        let door = Opened::of(LONG, LONG, 1).await;
        let first = door.connect(HEAD).await;
        let mut second = door.connect(&signed("{}")).await;
        let early = timeout(4 * SHORT, second.readable()).await;
        assert!(early.is_err(), "there was room for one only");
        drop(first);
        assert!(rest(&mut second).await.starts_with("HTTP/1.1 200 "));
    }
}
