//! The OpenAPI document against the service, by a tool that knows neither.

use std::process::{Command, Stdio};

use omni_tests::{office::Office, parts::Parts};

/// What every answer is checked for. That a name is unknown or a text empty is no matter of a schema, so
/// what fits one may be refused.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,missing_required_header,\
                      unsupported_method,ignored_auth";

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_as_the_document_says_whatever_it_is_sent() {
    let schemathesis = Parts::find().schemathesis();
    let office = Office::open().await;
    // Small numbers of keys are tried, and taken back.
    for _ in 0..20 {
        office.key("eve@company.com").await;
    }
    let key = office.key("chief@company.com").await;
    let url = office.url("/openapi.json");
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().to_owned();
    let output = tokio::task::spawn_blocking(move || {
        Command::new("timeout")
            .args(["300", schemathesis.to_str().unwrap(), "run", &url, "--checks", CHECKS])
            .args(["--header", &format!("Authorization: Bearer {key}"), "--workers", "1", "--max-examples", "12"])
            .args(["--phases", "examples,coverage,fuzzing", "--seed", "7", "--no-color", "--warnings", "off"])
            .args(["--generation-database", "none", "--request-timeout", "20", "--continue-on-failure"])
            .current_dir(work)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
}
