use std::time::Duration;

use super::*;
use crate::config::ArgVariable;

fn shell(script: &str) -> StdioServer {
    StdioServer::new("/bin/sh").with_args(["-c", script])
}

async fn connect(server: &StdioServer, within: Duration) -> McpError {
    server.connect(&CallContext::within(within)).await.unwrap_err()
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let error = connect(&StdioServer::new("/no/such/program"), Duration::from_secs(30)).await;
    assert!(error.to_string().contains("/no/such/program"), "{error}");
}

#[tokio::test]
async fn the_last_words_of_a_server_that_ended_are_told() {
    let error = connect(&shell("echo the licence is missing >&2; exit 3"), Duration::from_secs(30)).await;
    let text = error.to_string();
    assert!(text.contains("the licence is missing") && text.contains("exit status: 3"), "{text}");
}

#[tokio::test]
async fn a_server_that_never_answers_costs_its_deadline() {
    let error = connect(&shell("sleep 600"), Duration::from_millis(300)).await;
    assert!(matches!(error, McpError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_floods_without_a_line_end_is_cut_off() {
    let error = connect(&shell("exec tr '\\0' x < /dev/zero"), Duration::from_secs(60)).await;
    assert!(error.to_string().contains("more than"), "{error}");
}

#[tokio::test]
async fn a_child_has_no_environment_but_its_own() {
    let vars = [("PATH", "/usr/bin:/bin"), ("AWS_SECRET_ACCESS_KEY", "no")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let server = shell("env >&2; exit 1")
        .with_base_env(vars)
        .with_env([("REGION".to_owned(), SecretString::from("north".to_owned()))]);
    let text = connect(&server, Duration::from_secs(30)).await.to_string();
    assert!(text.contains("REGION=north") && text.contains("PATH=/usr/bin:/bin"), "{text}");
    assert!(!text.contains("AWS_SECRET"), "{text}");
}

#[tokio::test]
async fn a_secret_that_a_child_prints_is_in_no_error() {
    let server = shell("echo \"my key $API_KEY opens nothing\" >&2; exit 1")
        .with_env([("API_KEY".to_owned(), SecretString::from("k3y-of-mine".to_owned()))]);
    let text = connect(&server, Duration::from_secs(30)).await.to_string();
    assert!(text.contains("my key [redacted] opens nothing"), "{text}");
    assert!(!format!("{server:?}").contains("k3y-of-mine"));
}

#[tokio::test]
async fn a_secret_of_the_arguments_or_of_an_address_that_a_child_prints_is_in_no_error() {
    let script = "pw=${DATABASE_URL#*u:}; echo \"told $2 and ${3#*=} and $4 and ${pw%@*}\" >&2; exit 1";
    let args = ["-c", script, "sh", "--token", "ArgT0ken", "--api-key=ArgK3y", "x-VarS3cret"];
    let url = ("DATABASE_URL".to_owned(), SecretString::from("postgres://u:EnvPwS3cret@h/db".to_owned()));
    let said = async |server: StdioServer| connect(&server, Duration::from_secs(30)).await.to_string();
    let mut config = ServerConfig::new("files", "stdio");
    config.command = Some("/bin/sh".into());
    config.args = args.map(str::to_owned).into();
    config.env = [url.clone()].into();
    let value = "VarS3cret".to_owned().into();
    config.arg_variables = vec![ArgVariable { at: 6, name: "MY_TOKEN".into(), value }];
    let text = said(StdioServer::from_config(config).unwrap()).await;
    assert!(text.contains("told [redacted] and [redacted] and x-[redacted] and [redacted]"), "{text}");
    let text = said(StdioServer::new("/bin/sh").with_args(args).with_env([url])).await;
    assert!(text.contains("told [redacted] and [redacted] and x-VarS3cret and [redacted]"), "{text}");
}

#[tokio::test]
async fn a_child_starts_in_the_directory_that_is_configured() {
    let dir = tempfile::tempdir().unwrap();
    let server = shell("pwd >&2; exit 1").with_cwd(dir.path().canonicalize().unwrap());
    let text = connect(&server, Duration::from_secs(30)).await.to_string();
    assert!(text.contains(&dir.path().canonicalize().unwrap().display().to_string()), "{text}");
}

#[tokio::test]
async fn a_server_without_command_names_the_key() {
    let mut registry = Registry::empty();
    register(&mut registry);
    let error = registry.transports.build("stdio", ServerConfig::new("files", "stdio")).await.unwrap_err();
    assert_eq!(error.to_string(), r#"the server "files" of kind stdio needs the key `command`"#);
}
