//! Where OAuth clients find who gives out tokens for the endpoint (RFC 9728).

use omni_tests::{
    door::{Door, Reply},
    office::Office,
};
use reqwest::Method;
use serde_json::json;

const OIDC: &str = "security:\n  oidc: { issuer: 'https://login.company.com', audience: omni }\n";
const PLACES: [&str; 2] = ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"];

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_token_is_led_to_the_one_who_gives_them_out() {
    let office = Office::with_settings(OIDC).await;
    let refused = Reply::of(office.stranger(Method::POST, "/mcp")).await;
    refused.error(401, "unauthenticated");
    let place = office.url(PLACES[1]);
    let expected = format!("Bearer realm=\"omni\", resource_metadata=\"{place}\"");
    assert_eq!(refused.header("www-authenticate"), expected);
    for path in PLACES {
        let document = Reply::of(office.stranger(Method::GET, path)).await.is(200).json();
        let all = json!({ "resource": office.url("/mcp"), "authorization_servers": ["https://login.company.com"],
            "bearer_methods_supported": ["header"], "resource_name": "omni" });
        assert_eq!(document, all, "{path}");
    }
    let elsewhere = Reply::of(office.stranger(Method::GET, "/servers")).await;
    assert_eq!(elsewhere.header("www-authenticate"), "Bearer realm=\"omni\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_has_the_name_that_the_operator_gave_it() {
    let settings = format!("{OIDC}mcp_gateway: {{ url: 'https://omni.company.com/mcp' }}\n");
    let office = Office::with_settings(&settings).await;
    let document = Reply::of(office.stranger(Method::GET, PLACES[1])).await.is(200).json();
    assert_eq!(document["resource"], "https://omni.company.com/mcp");
    let refused = Reply::of(office.stranger(Method::POST, "/mcp")).await;
    let place = format!("https://omni.company.com{}", PLACES[1]);
    assert!(refused.header("www-authenticate").contains(&place), "{refused:?}");
}

#[tokio::test]
async fn where_nobody_gives_out_tokens_there_is_no_such_document() {
    let door = Door::new().await;
    for path in PLACES {
        door.get(path).await.error(404, "not_found");
    }
    let refused = Reply::of(door.request(Method::POST, "/mcp")).await;
    assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"omni\"");
}
