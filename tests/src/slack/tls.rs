//! The same over TLS: `https` and `wss` with a certificate of an authority that nobody knows yet.

use std::{path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::Slack;

/// Where the workspace is behind TLS.
#[derive(Debug)]
pub struct Front {
    /// The base of the Web API.
    pub api_url: String,
    /// The file of the authority: who trusts it reaches the workspace.
    pub authority: PathBuf,
    _dir: TempDir,
}

impl Slack {
    /// From now on everything that the workspace names is behind TLS, the sockets too.
    ///
    /// # Panics
    /// When no port is free, or nothing can be written.
    pub async fn behind_tls(&self) -> Front {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let (authority, acceptor) = identity();
        let dir = TempDir::new().expect("there is room");
        let file = dir.path().join("authority.pem");
        std::fs::write(&file, authority).expect("there is room");
        let plain = self.url().replace("http://", "");
        let url = format!("https://localhost:{port}");
        self.shared.with(|world| world.url.clone_from(&url));
        self.shared.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(forward(acceptor.clone(), stream, plain.clone()));
            }
        });
        Front { api_url: format!("{url}/api"), authority: file, _dir: dir }
    }
}

/// Whoever does not trust the certificate goes away.
async fn forward(acceptor: TlsAcceptor, stream: TcpStream, plain: String) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let Ok(mut to) = TcpStream::connect(plain).await else { return };
    let _ = copy_bidirectional(&mut stream, &mut to).await;
}

/// An authority as PEM, and what shows a certificate of it for `localhost`.
fn identity() -> (String, TlsAcceptor) {
    let key = || KeyPair::generate().expect("ring makes keys");
    let mut params = CertificateParams::new(Vec::new()).expect("no names are fine");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, key()).expect("it signs itself");
    let own = key();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("it is a name");
    let certificate = params.signed_by(&own, &authority).expect("the authority signs");
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)
        .expect("the key is that of the certificate");
    // Calls are HTTP/2 as at Slack; sockets name nothing, and are HTTP/1.1.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (authority.pem(), TlsAcceptor::from(Arc::new(config)))
}
