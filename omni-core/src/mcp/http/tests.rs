use super::*;

fn config(url: Option<&str>) -> ServerConfig {
    let mut config = ServerConfig::new("db", "http");
    config.url = url.map(str::to_owned);
    config
}

async fn build(config: ServerConfig) -> Result<Arc<dyn Connector>, BuildError> {
    let mut registry = Registry::empty();
    register(&mut registry);
    registry.transports.build("http", config).await
}

#[tokio::test]
async fn a_server_without_url_names_the_key() {
    let error = build(config(None)).await.unwrap_err();
    assert_eq!(error.to_string(), r#"the server "db" of kind http needs the key `url`"#);
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_and_not_told() {
    for url in ["not a url", "ftp://u:pass-word@host/mcp", "https://u:pass-word", "unix:/run/mcp.sock"] {
        let error = build(config(Some(url))).await.unwrap_err().to_string();
        assert!(error.contains("\"db\"") && error.contains("begins with http://"), "{error}");
        assert!(!error.contains(url) && !error.contains("pass-word"), "{error}");
    }
}

#[test]
fn what_a_header_holds_beside_its_name_is_redacted_too() {
    let mut endpoint = Endpoint::new("http://127.0.0.1:1/mcp").unwrap();
    for (name, value) in [
        ("x-database", "postgres://u:data-pass@h/d"),
        ("x-api-key", "key-value-1"),
        ("x-port", "8080"),
        ("authorization", "Bearer tok-value-9"),
    ] {
        endpoint.add_header(name.into(), SecretString::from(value.to_owned()));
    }
    assert_eq!(
        endpoint.redactor().text("data-pass key-value-1 tok-value-9 8080"),
        "[redacted] [redacted] [redacted] 8080"
    );
}

#[tokio::test]
async fn headers_that_cannot_be_sent_are_refused_by_name_only() {
    for name in ["bad name", "x-token", "Mcp-Session-Id"] {
        let mut config = config(Some("http://127.0.0.1:1/mcp"));
        config.headers.insert(name.into(), SecretString::from("a\nsecret".to_owned()));
        let error = build(config).await.unwrap_err().to_string();
        assert!(error.contains(name) && !error.contains("secret"), "{error}");
    }
}

#[test]
fn each_kind_of_credentials_becomes_its_header() {
    let secret = || SecretString::from("s3".to_owned());
    let header = |auth: ServerAuth, name: &str| {
        let server = HttpServer::new("http://127.0.0.1:1/mcp").unwrap().with_auth(auth);
        let headers = server.endpoint.header_map().unwrap();
        assert!(headers[name].is_sensitive());
        headers[name].to_str().unwrap().to_owned()
    };
    assert_eq!(header(ServerAuth::Bearer(secret()), "authorization"), "Bearer s3");
    assert_eq!(
        header(ServerAuth::Basic { username: "u".into(), password: secret() }, "authorization"),
        "Basic dTpzMw=="
    );
    assert_eq!(header(ServerAuth::Header { name: "X-Api-Key".into(), value: secret() }, "x-api-key"), "s3");
}

#[test]
fn credentials_are_not_shown() {
    let server = HttpServer::new("http://ann:word@127.0.0.1:1/mcp?key=word")
        .unwrap()
        .with_auth(ServerAuth::Bearer(SecretString::from("token".to_owned())))
        .with_header("x-key", SecretString::from("value".to_owned()));
    let shown = format!("{server:?}");
    assert!(!shown.contains("token") && !shown.contains("value") && !shown.contains("word"), "{shown}");
}

#[tokio::test]
async fn a_callers_own_token_goes_over_https_or_to_this_machine_alone() {
    let bare = CallContext::within(Duration::from_secs(1));
    let mut cx = CallContext::within(Duration::from_secs(1));
    cx.credentials = Some([("authorization".to_owned(), SecretString::from("Bearer own".to_owned()))].into());
    for url in ["http://mcp.example/mcp", "http://10.0.0.7/mcp", "http://localhost.example/mcp"] {
        let server = HttpServer::new(url).unwrap();
        let refused = server.connect(&cx).await.err().unwrap();
        let McpError::Unauthorized { message } = &refused else { panic!("{url}: {refused:?}") };
        assert!(message.contains("over https only"), "{url}: {message}");
        assert!(server.endpoint.may_carry(&bare).is_ok(), "{url}");
    }
    for url in ["https://mcp.example/mcp", "http://127.0.0.1:1/mcp", "http://localhost:1/mcp", "http://[::1]:1/mcp"] {
        assert!(Endpoint::new(url).unwrap().may_carry(&cx).is_ok(), "{url}");
    }
}
