//! The program: over TLS, asked to end in the middle, and beside the HTTP door.

use std::{
    fs::File,
    process::{Child, Command},
    time::{Duration, Instant},
};

use omni_tests::{
    door::Reply,
    program::{Program, Ran},
    rig::until,
    service::Service,
    slack::{Fault, Slack},
    vendor::{KEY, Vendor},
};

use super::{ANN, GENERAL, workspace};

const USERS: &str = "users: [{ email: ann@company.com, role: dba, allowed_mcps: '*' }]\n";

fn omni() -> Program {
    Program::new(env!("CARGO_BIN_EXE_omni-under-test")).with_file("users.yaml", USERS)
}

/// What the bot needs to find the workspace at an address.
fn env_of(slack: &Slack, api_url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("SLACK_API_URL", api_url.to_owned()),
        ("SLACK_BOT_TOKEN", slack.bot_token()),
        ("SLACK_APP_TOKEN", slack.app_token()),
        ("MY_LLM_KEY", KEY.to_owned()),
    ]
}

/// The bot in a process of its own, which ends when this does.
#[derive(Debug)]
struct Running {
    child: Child,
    home: Program,
}

impl Running {
    fn start(home: Program, env: Vec<(&str, String)>) -> Self {
        let log = File::create(home.home().join("log")).unwrap();
        let child = home.command(&["slack"]).envs(env).stderr(log).spawn().unwrap();
        Self { child, home }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.home().join("log")).unwrap()
    }

    fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its end; half a minute at most.
    async fn ends(&mut self) -> i32 {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(since.elapsed() < Duration::from_secs(45), "it does not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn doctor(env: Vec<(&'static str, String)>) -> Ran {
    let run = move || {
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        omni().run_with(&env, &["doctor"])
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rustls_provider_is_present_over_wss_and_a_known_authority_is_trusted() {
    let slack = workspace().await;
    let front = slack.behind_tls().await;
    let mut env = env_of(&slack, &front.api_url);
    env.push(("SSL_CERT_FILE", front.authority.display().to_string()));
    let looked = doctor(env.clone()).await;
    assert!(looked.out.contains("✓ slack: the bot is") && looked.out.contains("✓ slack scopes"), "{looked:#?}");
    let bot = Running::start(omni(), env);
    slack.connected(2).await;
    let post = slack.mentions(ANN, GENERAL, "Where is the tower?").await;
    let answer = slack.answer(&post).await;
    assert!(answer.says("offline"), "{answer:#?}");
    assert!(!bot.log().contains("panicked"), "{}", bot.log());
    assert_eq!(slack.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_nobody_knows_is_said_to_be_the_fault() {
    let slack = workspace().await;
    let front = slack.behind_tls().await;
    let other = slack.behind_tls().await;
    let mut env = env_of(&slack, &front.api_url);
    env.push(("SSL_CERT_FILE", other.authority.display().to_string()));
    let looked = doctor(env).await.exits(1);
    let line = looked.out.lines().find(|line| line.contains("slack")).unwrap();
    assert!(line.starts_with("✗ slack: auth.test: Slack cannot be reached:") && line.contains("certificate"), "{line}");
    assert!(!looked.err.contains("panicked"), "{looked:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_in_the_middle_of_an_answer_drains_and_loses_nothing() {
    let (slack, vendor) = (workspace().await, Vendor::start().await);
    let url = vendor.base_url();
    let settings = format!("llm:\n  provider: anthropic\n  base_url: {url}\n  api_key: ${{MY_LLM_KEY}}\n");
    let mut bot = Running::start(omni().with_file("settings.yaml", &settings), env_of(&slack, &slack.api_url()));
    slack.connected(2).await;
    let post = slack.mentions(ANN, GENERAL, "#slow ms=400").await;
    until(|| !vendor.requests().is_empty()).await;
    bot.signal("TERM");
    assert_eq!(bot.ends().await, 0, "{}", bot.log());
    let answer = slack.answer(&post).await;
    // It is told to its end, with the buttons that stand there.
    let is_whole = answer.says("enough of them for some more frames.") && answer.element("omni:again").is_some();
    assert!(is_whole && !answer.says("restarting"), "{answer:#?}");
    assert!(bot.log().contains("the Slack bot ends"), "{}", bot.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_auth_ends_with_3_and_is_no_loop() {
    let slack = workspace().await;
    slack.fault("auth.test", usize::MAX, Fault::Error("invalid_auth".into()));
    let mut bot = Running::start(omni(), env_of(&slack, &slack.api_url()));
    assert_eq!(bot.ends().await, 3, "{}", bot.log());
    assert_eq!(slack.calls("auth.test").len(), 1);
    assert!(bot.log().contains("invalid_auth") && !bot.log().contains("xoxb"), "{}", bot.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_token_that_may_open_no_socket_ends_with_3_and_says_what_it_lacks() {
    let slack = workspace().await;
    slack.fault("apps.connections.open", usize::MAX, Fault::Error("missing_scope".into()));
    let mut bot = Running::start(omni(), env_of(&slack, &slack.api_url()));
    assert_eq!(bot.ends().await, 3, "{}", bot.log());
    assert_eq!(slack.calls("apps.connections.open").len(), 1);
    assert!(bot.log().contains("connections:write") && !bot.log().contains("xapp"), "{}", bot.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_answers_over_http_and_in_slack_and_ends_both_doors() {
    let (slack, home) = (workspace().await, omni());
    let key = home.run(&["keys", "create", "--user", "ann@company.com", "--scope", "ask"]).exits(0).out;
    let env = env_of(&slack, &slack.api_url());
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let service = Service::start_with(&home, &env, &["--slack"]);
    slack.connected(2).await;
    let over_http = Reply::of(service.ask(key.trim(), "Where is the tower?")).await.is(200);
    assert!(over_http.text.contains("offline"), "{over_http:?}");
    let post = slack.mentions(ANN, GENERAL, "Where is the tower?").await;
    assert!(slack.answer(&post).await.says("offline"));
    service.signal("TERM");
    let (code, log) = service.end();
    assert_eq!(code, 0, "{log}");
    slack.until("no connection", |world| (world.connections() == 0).then_some(())).await;
    assert_eq!(slack.violations(), [""; 0]);
}
