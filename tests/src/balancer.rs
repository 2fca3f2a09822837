//! A load balancer as simple as they come: each connection goes to the next instance that takes it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// It ends when this is dropped.
#[derive(Debug)]
pub struct Balancer {
    address: SocketAddr,
    taking: JoinHandle<()>,
}

impl Balancer {
    /// One before these instances.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start(instances: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (instances, next) = (Arc::new(instances), Arc::new(AtomicUsize::new(0)));
        let taking = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, instances.clone(), next.fetch_add(1, Ordering::Relaxed)));
            }
        });
        Self { address, taking }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.taking.abort();
    }
}

/// An instance that takes no connection is passed over, as health checks would have it.
async fn pass(mut stream: TcpStream, instances: Arc<Vec<SocketAddr>>, first: usize) {
    for at in first..first + instances.len() {
        if let Ok(mut instance) = TcpStream::connect(instances[at % instances.len()]).await {
            let _ = copy_bidirectional(&mut stream, &mut instance).await;
            return;
        }
    }
}
