//! Whom the code of a login is sent to.

use super::*;

#[tokio::test]
async fn a_code_goes_to_no_token_endpoint_that_may_not_be_asked() {
    let (log, _logging) = Log::of(Level::DEBUG);
    for (endpoint, why) in [
        ("http://evil.example/token", "is not https"),
        ("https://10.0.0.1/token", "private network"),
        ("https://169.254.169.254/", "link-local"),
    ] {
        let lobby = Lobby::open().await;
        let url = lobby.issuer.url();
        lobby.issuer.answers(Answer::Document(json!({
            "issuer": url, "jwks_uri": format!("{url}/keys"), "authorization_endpoint": format!("{url}/authorize?tenant=1"),
            "token_endpoint": endpoint, "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "authorization_response_iss_parameter_supported": true,
        })));
        log.take();
        is_refused(lobby.come(json!({})).await, 503, "cannot be asked at the moment");
        let told = log.take();
        assert!(told.contains("is not asked") && told.contains(why), "{endpoint}: {told}");
    }
}
