//! Connections: so many at a time, each with so much time for the head of a request.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use omni_core::config::HttpConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

/// How long the head of a request may take; an idle connection is one whose next head has not come.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long somebody may take nothing of what they are sent.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// Files that a service has open beside its connections: database, servers, ledger, log.
const OTHER_FILES: usize = 128;
/// How long to wait when the system has no room for another connection.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How long connections have that were told to end at once.
const KILL_WITHIN: Duration = Duration::from_secs(1);

/// All connections of a server.
#[derive(Debug)]
pub(super) struct Connections {
    room: Arc<Semaphore>,
    max_header_bytes: usize,
    /// How long somebody may take nothing of what they are sent.
    taken_within: Duration,
    tasks: TaskTracker,
    /// Each ends after the request that it is at.
    finish: CancellationToken,
    /// Each ends now.
    kill: CancellationToken,
}

impl Connections {
    pub(super) fn new(config: &HttpConfig) -> Self {
        Self {
            room: Arc::new(Semaphore::new(most(config.max_connections))),
            max_header_bytes: config.max_header_bytes,
            taken_within: TAKEN_WITHIN,
            tasks: TaskTracker::new(),
            finish: CancellationToken::new(),
            kill: CancellationToken::new(),
        }
    }

    /// Takes connections until `stop`. Who finds no room waits in the system's queue.
    pub(super) async fn accept(&self, listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
        let taking = async {
            loop {
                let Ok(room) = self.room.clone().acquire_owned().await else { return };
                match listener.accept().await {
                    Ok((stream, peer)) => self.begin(stream, peer, router.clone(), room),
                    Err(error) => refused(&error).await,
                }
            }
        };
        let stop = pin!(stop);
        tokio::select! {
            () = taking => {}
            () = stop => {}
        }
    }

    fn begin(&self, stream: TcpStream, peer: SocketAddr, router: Router, room: OwnedSemaphorePermit) {
        // What is to be told comes in small pieces, and at once.
        let _ = stream.set_nodelay(true);
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(self.max_header_bytes);
        let (finish, kill, taken_within) = (self.finish.clone(), self.kill.clone(), self.taken_within);
        self.tasks.spawn(async move {
            let _room = room;
            let service = service_fn(move |request| answer(router.clone(), peer, request));
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(taken_within));
            let mut connection = pin!(builder.serve_connection(TokioIo::new(Box::pin(stream)), service));
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = finish.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        ended = connection => ended,
                        () = kill.cancelled() => Ok(()),
                    }
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke");
            }
        });
    }

    /// Lets every connection finish its request within a time, and ends the rest.
    pub(super) async fn drain(&self, within: Duration) {
        self.finish.cancel();
        self.tasks.close();
        if timeout(within, self.tasks.wait()).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "connections are cut that did not finish in time");
        }
        self.kill.cancel();
        let _ = timeout(KILL_WITHIN, self.tasks.wait()).await;
    }
}

/// As many connections as are wanted, or as the system lets this process have.
fn most(wanted: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = open_files(&limits).map_or(usize::MAX, |files| files.saturating_sub(OTHER_FILES).max(1));
    if wanted > files {
        tracing::warn!(
            wanted,
            possible = files,
            "the system lets this process have fewer connections; `ulimit -n` raises that"
        );
    }
    wanted.min(files).min(Semaphore::MAX_PERMITS)
}

/// How many files a process may have open, as Linux tells it.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

async fn answer(
    router: Router,
    peer: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<axum::response::Response, Infallible> {
    let mut request: Request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    router.oneshot(request).await
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn who_takes_nothing_of_what_they_are_sent_is_cut_off() {
        let endless = || async { "x".repeat(64 << 20) };
        let router = Router::new().route("/", axum::routing::get(endless));
        let mut connections = Connections::new(&HttpConfig::default());
        connections.taken_within = Duration::from_millis(50);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stalled = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        stalled.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let cut = async {
            while connections.tasks.is_empty() {
                sleep(Duration::from_millis(5)).await;
            }
            while !connections.tasks.is_empty() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), connections.accept(listener, router, cut)).await.unwrap();
    }

    #[test]
    fn the_limit_of_open_files_is_the_soft_one() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(open_files(limits), Some(1024));
        assert_eq!(open_files("Max open files            unlimited            unlimited"), None);
        assert_eq!(open_files(""), None);
    }
}
