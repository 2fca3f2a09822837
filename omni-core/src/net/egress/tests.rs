use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

/// Answers every connection with this text.
async fn server(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

async fn asked(answer: String) -> Result<Value, EgressError> {
    let at = url(&format!("http://{}/doc?secret=1", server(answer).await));
    Egress::for_server(&at, &EgressConfig::default()).unwrap().document(&at).await
}

#[tokio::test]
async fn a_document_is_read_up_to_its_cap() {
    assert_eq!(asked(answer("200 OK", r#"{"a":1}"#)).await.unwrap()["a"], 1);
    let large = format!("\"{}\"", "x".repeat(MAX_ANSWER));
    let error = asked(answer("200 OK", &large)).await.unwrap_err().to_string();
    assert!(error.contains("more than 262144 bytes"), "{error}");
    let error = asked(answer("200 OK", "token-in-no-json")).await.unwrap_err().to_string();
    assert!(error.contains("it is no JSON") && !error.contains("token-in"), "{error}");
    let error = asked(answer("404 Not Found", "")).await.unwrap_err().to_string();
    assert!(error.ends_with("/doc answered 404"), "{error}");
}

#[tokio::test]
async fn no_redirect_is_followed_wherever_it_leads() {
    let target = server(answer("200 OK", "{}")).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let head = format!("{status}\r\nlocation: http://{target}/elsewhere");
        let error = asked(answer(&head, "")).await.unwrap_err().to_string();
        assert!(error.contains("redirects are not followed") && !error.contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_name_is_checked_by_what_it_resolves_to_when_the_connection_is_made() {
    let outside = Egress::for_server(&url("https://mcp.example.com/mcp"), &EgressConfig::default()).unwrap();
    let resolver = Checked(outside.rules.clone());
    // `localhost` stands for any name whose owner lets it lead to this machine.
    let resolved = reqwest::dns::Resolve::resolve(&resolver, "localhost".parse().unwrap()).await;
    let error = resolved.err().unwrap().to_string();
    assert!(error.contains("localhost leads to this machine"), "{error}");
    let local = Egress::for_server(&url("http://127.0.0.1/mcp"), &EgressConfig::default()).unwrap();
    let resolver = Checked(local.rules.clone());
    let resolved = reqwest::dns::Resolve::resolve(&resolver, "localhost".parse().unwrap()).await;
    assert!(resolved.unwrap().all(|address| address.ip().is_loopback()));
}

#[tokio::test]
async fn nothing_is_sent_by_a_name_that_leads_where_nobody_may_ask() {
    let egress = Egress::for_server(&url("https://mcp.example.com/mcp"), &EgressConfig::default()).unwrap();
    let port = server(answer("200 OK", "{}")).await.port();
    // It was not looked at before: whoever owns a name may let it lead elsewhere by now.
    let sent = egress.client.get(format!("http://localhost:{port}/")).send().await;
    let error = describe(&sent.unwrap_err());
    assert!(error.contains("localhost leads to this machine"), "{error}");
}

#[tokio::test]
async fn an_address_of_metadata_of_a_cloud_is_refused_before_any_connection() {
    let egress = Egress::for_server(&url("https://mcp.example.com/mcp"), &EgressConfig::default()).unwrap();
    for target in ["http://169.254.169.254/latest/meta-data/", "https://169.254.169.254/", "https://[fe80::1]/"] {
        let error = egress.document::<Value>(&url(target)).await.unwrap_err();
        assert!(matches!(error, EgressError::Forbidden { .. }), "{error}");
    }
}

#[test]
fn what_is_shown_of_an_address_is_cut_and_has_no_query() {
    assert_eq!(shown(&url("https://user:word@a.example/p?token=1#f")), "https://a.example/p");
    assert_eq!(shown(&url("javascript:alert(1)")), "javascript:…");
    assert!(shown(&url(&format!("https://a.example/{}", "x".repeat(1_000)))).chars().count() < 210);
}
