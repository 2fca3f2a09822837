//! Whoever logged in at a provider leaves.

use super::*;

/// Logs out with a session.
async fn leave(office: &Office, session: &str) -> Reply {
    let csrf = Shown { reply: page(office, "keys", session).await.is(200) }.csrf();
    Reply::of(leaving(office, session, &csrf, "logout")).await
}

fn leaving(office: &Office, session: &str, csrf: &str, to: &str) -> RequestBuilder {
    form(office.stranger(Method::POST, &format!("/ui/{to}")).header("cookie", session), &[("csrf", csrf)])
}

#[tokio::test]
async fn whoever_leaves_is_logged_out_at_the_provider_too_where_it_has_a_page_for_that() {
    let lobby = Lobby::open().await;
    lobby.issuer.desk(|desk| desk.has_exit = true);
    let session = cookie(&lobby.come(json!({})).await.is(200), "omni-ui");
    let left = leave(&lobby.office, &session).await.is(200);
    let back = lobby.office.url("/ui/login");
    let query = encoded(&[("client_id", "omni-pages"), ("post_logout_redirect_uri", &back)]);
    let to = format!("{}/exit?tenant=1&{query}", lobby.issuer.url());
    assert_eq!(left.header("refresh"), format!("0; url={to}"));
    assert!(left.text.contains(&to.replace('&', "&#38;")) && left.text.contains("href=\"login\""), "{}", left.text);
    assert_eq!(left.header("referrer-policy"), "no-referrer");
    assert!(left.headers.get_all("set-cookie").iter().all(|set| set.to_str().unwrap().contains("Max-Age=0")));
    page(&lobby.office, "keys", &session).await.is(303);
    let client = omni_core::net::client(&omni_core::net::ClientOptions::default()).unwrap();
    assert_eq!(client.get(&to).send().await.unwrap().headers()["location"], back);
    lobby.issuer.desk(|desk| assert!(desk.faults.is_empty(), "{:?}", desk.faults));
    // Whoever came with a key leaves omni alone.
    let key = lobby.office.key(BOSS).await;
    let session = cookie(&login(&lobby.office, &key).await.is(303), "omni-ui");
    assert_eq!(leave(&lobby.office, &session).await.is(303).header("location"), "login");
}

#[tokio::test]
async fn where_whoever_left_goes_on_is_told_to_programs_too_by_either_name() {
    let lobby = Lobby::open().await;
    lobby.issuer.desk(|desk| desk.has_exit = true);
    for by_name in [true, false] {
        let session = cookie(&lobby.come(json!({})).await.is(200), "omni-ui");
        let csrf = Shown { reply: page(&lobby.office, "keys", &session).await.is(200) }.csrf();
        let left = match by_name {
            true => leaving(&lobby.office, &session, &csrf, "logout.json"),
            false => leaving(&lobby.office, &session, &csrf, "logout").header("accept", "application/json"),
        };
        let left = Reply::of(left).await.is(200);
        assert!(left.header("content-type").starts_with("application/json"), "{:?}", left.headers);
        let to = left.header("refresh").strip_prefix("0; url=").unwrap().to_owned();
        assert!(to.starts_with(&format!("{}/exit?tenant=1&", lobby.issuer.url())), "{to}");
        assert_eq!(left.json(), json!({ "to": to }));
        assert!(left.headers.get_all("set-cookie").iter().all(|set| set.to_str().unwrap().contains("Max-Age=0")));
        page(&lobby.office, "keys", &session).await.is(303);
    }
}

#[tokio::test]
async fn nobody_is_sent_to_a_page_that_is_not_safe_to_leave() {
    for exit in ["http://login.evil.example/exit", "javascript:alert(1)", "exit"] {
        let lobby = Lobby::open().await;
        let url = lobby.issuer.url();
        lobby.issuer.answers(Answer::Document(json!({
            "issuer": url, "jwks_uri": format!("{url}/keys"), "authorization_endpoint": format!("{url}/authorize?tenant=1"),
            "token_endpoint": format!("{url}/token"), "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "authorization_response_iss_parameter_supported": true, "end_session_endpoint": exit,
        })));
        let session = cookie(&lobby.come(json!({})).await.is(200), "omni-ui");
        let left = leave(&lobby.office, &session).await.is(303);
        assert_eq!((left.header("location"), left.header("refresh")), ("login", ""), "{exit}");
    }
}
