//! Socket Mode: tickets, connections, frames.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    extract::{Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message as Frame, handshake::derive_accept_key, protocol::Role},
};

use super::{
    APP, Goodbye, Shared, World,
    refusal::{Answer, Refusal},
};

/// How many connections an app may have.
const MOST: usize = 10;
/// How long a ticket lives.
const TICKET: Duration = Duration::from_secs(30);
/// How often a connection is pinged.
const PING: Duration = Duration::from_secs(10);
/// How long a connection that is to be replaced stays.
const STAYS: Duration = Duration::from_secs(1);

/// What a connection is told to do.
#[derive(Debug)]
enum Order {
    Say(String),
    Close,
    Cut,
    Freeze,
}

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) number: u64,
    orders: mpsc::UnboundedSender<Order>,
    is_leaving: bool,
    is_frozen: bool,
}

impl Socket {
    pub(super) fn send(&self, frame: String) {
        let _ = self.orders.send(Order::Say(frame));
    }
}

#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: Vec<Socket>,
    tickets: HashMap<String, Duration>,
    count: u64,
    turn: usize,
    /// Socket Mode was switched off.
    pub(super) is_off: bool,
}

impl Sockets {
    /// The connection whose turn it is; one that is to be replaced only when there is no other.
    pub(super) fn next(&mut self) -> Option<&Socket> {
        let all_leave = self.open.iter().all(|socket| socket.is_leaving);
        let fit: Vec<&Socket> = self.open.iter().filter(|socket| all_leave || !socket.is_leaving).collect();
        self.turn += 1;
        fit.get(self.turn % fit.len().max(1)).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_open(&self, number: u64) -> bool {
        self.open.iter().any(|socket| socket.number == number)
    }

    pub(super) fn is_frozen(&self, number: u64) -> bool {
        self.open.iter().any(|socket| socket.number == number && socket.is_frozen)
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.open.retain(|socket| socket.number != number);
    }

    /// Cuts every connection.
    pub(super) fn cut(&mut self) {
        for socket in self.open.drain(..) {
            let _ = socket.orders.send(Order::Cut);
        }
    }

    pub(super) fn freeze(&mut self) {
        for socket in &mut self.open {
            socket.is_frozen = true;
            let _ = socket.orders.send(Order::Freeze);
        }
    }
}

/// `apps.connections.open`.
pub(super) fn open(world: &mut World) -> Answer {
    if world.sockets.is_off {
        return Err(Refusal::state("link_disabled"));
    }
    let ticket = world.id("ticket");
    world.sockets.tickets.insert(ticket.clone(), world.clock.now());
    let url = format!("{}/link/?ticket={ticket}&app_id={APP}", world.url.replacen("http", "ws", 1));
    Ok(Map::from_iter([("url".to_owned(), Value::from(url))]))
}

/// The web socket itself.
pub(super) async fn link(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    mut request: Request,
) -> Response {
    if shared.with(|world| world.faults.hangs_link()) {
        return std::future::pending().await;
    }
    let ticket = query.get("ticket").cloned().unwrap_or_default();
    let is_good = shared.with(|world| {
        let now = world.clock.now();
        world.sockets.tickets.remove(&ticket).is_some_and(|given| now.saturating_sub(given) <= TICKET)
    });
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| is_good).map(|key| key.as_bytes().to_vec())
    else {
        shared.with(|world| world.breach("socket: a ticket that is used, old or unknown"));
        return (StatusCode::NOT_FOUND, "bad ticket").into_response();
    };
    let upgraded = hyper::upgrade::on(&mut request);
    let spawner = shared.clone();
    spawner.spawn(async move {
        if let Ok(upgraded) = upgraded.await {
            let stream = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            serve(shared, stream).await;
        }
    });
    let upgrade = [
        (header::CONNECTION, "Upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(&key)),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, upgrade).into_response()
}

type Stream = WebSocketStream<TokioIo<Upgraded>>;

async fn serve(shared: Arc<Shared>, mut stream: Stream) {
    let (orders, mut ordered) = mpsc::unbounded_channel();
    let number = shared.with(|world| world.joins_sockets(orders));
    let mut ping = tokio::time::interval(PING);
    ping.tick().await;
    loop {
        let is_over = tokio::select! {
            order = ordered.recv() => match order {
                Some(Order::Say(frame)) => stream.send(Frame::text(frame)).await.is_err(),
                Some(Order::Close) => {
                    let _ = stream.close(None).await;
                    true
                }
                Some(Order::Freeze) => std::future::pending().await,
                Some(Order::Cut) | None => true,
            },
            frame = stream.next() => match frame {
                Some(Ok(Frame::Text(text))) => {
                    shared.with(|world| world.hears(&text));
                    false
                }
                Some(Ok(Frame::Close(_)) | Err(_)) | None => true,
                // Pings are answered by the library.
                Some(Ok(_)) => false,
            },
            _ = ping.tick() => stream.send(Frame::Ping(Vec::new().into())).await.is_err(),
        };
        if is_over {
            break;
        }
    }
    shared.with(|world| world.sockets.remove(number));
}

fn goodbye(why: Goodbye) -> String {
    let reason = match why {
        Goodbye::Warning => "warning",
        Goodbye::RefreshRequested => "refresh_requested",
        Goodbye::TooManyWebsockets => "too_many_websockets",
        Goodbye::LinkDisabled => "link_disabled",
    };
    json!({ "type": "disconnect", "reason": reason, "debug_info": { "host": "applink-1" } }).to_string()
}

impl World {
    /// A new connection, which is greeted and then gets what waited.
    fn joins_sockets(&mut self, orders: mpsc::UnboundedSender<Order>) -> u64 {
        self.sockets.count += 1;
        let number = self.sockets.count;
        let hello = json!({
            "type": "hello", "num_connections": self.sockets.len() + 1,
            "debug_info": { "host": "applink-1", "build_number": 10, "approximate_connection_time": 18_060 },
            "connection_info": { "app_id": APP },
        });
        let _ = orders.send(Order::Say(hello.to_string()));
        if self.sockets.len() >= MOST {
            self.breach(format!("socket: more than {MOST} connections"));
            let _ = orders.send(Order::Say(goodbye(Goodbye::TooManyWebsockets)));
            let _ = orders.send(Order::Close);
            return number;
        }
        if self.faults.brief_links {
            let _ = orders.send(Order::Close);
            return number;
        }
        self.sockets.open.push(Socket { number, orders, is_leaving: false, is_frozen: false });
        self.deliveries.connected();
        number
    }

    /// Says goodbye to every connection; which of them are to be closed, and after how long.
    pub(super) fn says_goodbye(&mut self, why: Goodbye) -> Option<(Vec<u64>, Duration)> {
        for socket in &mut self.sockets.open {
            socket.is_leaving = true;
            socket.send(goodbye(why));
        }
        let numbers = self.sockets.open.iter().map(|socket| socket.number).collect();
        match why {
            Goodbye::Warning => None,
            Goodbye::RefreshRequested => Some((numbers, STAYS)),
            Goodbye::TooManyWebsockets => Some((numbers, Duration::ZERO)),
            Goodbye::LinkDisabled => {
                self.sockets.is_off = true;
                Some((numbers, Duration::ZERO))
            }
        }
    }

    pub(super) fn closes(&mut self, numbers: &[u64]) {
        for socket in self.sockets.open.iter().filter(|socket| numbers.contains(&socket.number)) {
            let _ = socket.orders.send(Order::Close);
        }
        self.sockets.open.retain(|socket| !numbers.contains(&socket.number));
    }
}
