//! A strict OAuth 2.1 authorization server and an MCP server that wants its tokens, on one loopback address.
//!
//! The MCP server is at `/mcp`, the issuer at `/as`. What the authorization server is asked that no good client
//! asks is remembered as a fault, and refused.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    thread::JoinHandle,
};

use tokio::{net::TcpListener, sync::oneshot};

mod endpoints;
mod resource;
mod state;

pub use state::{Rules, State};

/// Serves until it is dropped.
#[derive(Debug)]
pub struct Authority {
    state: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

type Shared = Arc<Mutex<State>>;

impl Authority {
    /// Starts one, on a thread of its own.
    pub fn start(rules: Rules) -> Self {
        let state: Shared = Arc::new(Mutex::new(State::new(rules)));
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let served = state.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                served.lock().unwrap().base = format!("http://{}", listener.local_addr().unwrap());
                tell.send(()).unwrap();
                let router = endpoints::router(served.clone()).merge(resource::router(served));
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        told.recv().unwrap();
        Self { state, stop: Some(stop), thread: Some(thread) }
    }

    /// What it knows, to look at and to change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The address of the MCP server.
    pub fn mcp_url(&self) -> String {
        format!("{}/mcp", self.state().base)
    }

    /// The name of the authorization server.
    pub fn issuer(&self) -> String {
        self.state().issuer()
    }

    /// What somebody asked that no good client asks; empty if all is well.
    pub fn faults(&self) -> Vec<String> {
        self.state().faults.clone()
    }

    /// What a person's browser does with the address of a login: it agrees, and goes back to whoever sent it.
    /// Returns the address that it was sent back to.
    pub async fn agree(&self, url: &str) -> String {
        let client = omni_core::net::client(&omni_core::net::ClientOptions::default()).unwrap();
        let answer = client.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 302, "{}", answer.text().await.unwrap());
        answer.headers()["location"].to_str().unwrap().to_owned()
    }

    /// The same, and the browser follows.
    pub async fn agree_and_follow(&self, url: &str) {
        let back = self.agree(url).await;
        let client = omni_core::net::client(&omni_core::net::ClientOptions::default()).unwrap();
        let answer = client.get(back).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
