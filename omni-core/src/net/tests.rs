use std::sync::Arc;

use rustls::{
    client::danger::ServerCertVerifier,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// Answers one request with `response` and gives back what was asked.
async fn answer_once(response: &'static str) -> (Url, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let seen = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 4096];
        let read = socket.read(&mut buffer).await.unwrap();
        socket.write_all(response.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    });
    (url, seen)
}

#[test]
fn a_client_is_built_without_a_process_wide_crypto_provider() {
    assert!(client(&ClientOptions::default()).is_ok());
    assert!(CryptoProvider::get_default().is_none());
}

#[tokio::test]
async fn plain_http_on_loopback_works_and_names_omni_as_the_user_agent() {
    let (url, seen) = answer_once("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
    let client = client(&ClientOptions::for_url(&url)).unwrap();

    let body = client.get(url).send().await.unwrap().text().await.unwrap();

    assert_eq!(body, "hi");
    let seen = seen.await.unwrap();
    assert!(seen.contains(concat!("user-agent: omni/", env!("CARGO_PKG_VERSION"))), "{seen}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (url, _seen) =
        answer_once("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")
            .await;
    let client = client(&ClientOptions::for_url(&url)).unwrap();

    let response = client.get(url).send().await.unwrap();

    assert_eq!(response.status(), 307);
}

#[tokio::test]
async fn a_description_of_an_error_holds_the_cause_and_not_the_url() {
    let client = client(&ClientOptions { system_proxy: false, ..ClientOptions::default() }).unwrap();

    let error = client.get("http://user:secret@127.0.0.1:1/path").send().await.unwrap_err();
    let text = describe(&error);

    assert!(text.to_lowercase().contains("refused"), "{text}");
    assert!(!text.contains("secret") && !text.contains("path"), "{text}");
}

#[test]
fn missing_roots_are_an_error_only_of_an_https_handshake_and_say_what_to_do() {
    let roots = tls::PlatformRoots::new(Arc::new(ring::default_provider()));
    roots.verifier.set(Err("no certificates".into())).unwrap();
    assert!(!roots.supported_verify_schemes().is_empty());

    let name = ServerName::try_from("example.com").unwrap();
    let cert = CertificateDer::from(vec![0]);
    let error = roots.verify_server_cert(&cert, &[], &name, &[], UnixTime::now()).unwrap_err();

    let text = error.to_string();
    assert!(text.contains("no certificates"), "{text}");
    assert!(text.contains("ca-certificates") && text.contains("SSL_CERT_FILE"), "{text}");
}

#[test]
fn loopback_is_known_by_name_and_by_address() {
    for url in ["http://localhost:1/", "http://127.0.0.9/", "http://[::1]:8080/x"] {
        assert!(is_loopback(&Url::parse(url).unwrap()), "{url}");
    }
    for url in ["http://localhost.example.com/", "http://10.0.0.1/", "https://api.anthropic.com"] {
        assert!(!is_loopback(&Url::parse(url).unwrap()), "{url}");
    }
}
