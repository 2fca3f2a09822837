//! A real browser whose network ends at this machine, driven as people drive one.

use std::{
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use omni_core::net::{self, ClientOptions};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How long a page may take to show something.
const SHOWS_WITHIN: Duration = Duration::from_secs(30);
/// How often a driver is started until it finds a port.
const STARTS: usize = 10;
/// How `WebDriver` calls an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser, which ends with this value.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    client: Client,
    session: String,
    /// What the driver says, which has to be able to say it.
    _told: BufReader<ChildStdout>,
    _home: TempDir,
}

/// Where a program is.
fn program(name: &str) -> Option<PathBuf> {
    let places = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&places).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// A driver that listens, what it says, and at which port. It takes one that is free, and ends where somebody else was
/// quicker.
async fn listening(program: PathBuf, home: &Path) -> (Child, BufReader<ChildStdout>, u16) {
    for _ in 0..STARTS {
        let mut command = Command::new(&program);
        command.arg("--port=0").env("HOME", home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().unwrap();
        let mut told = BufReader::new(driver.stdout.take().unwrap());
        let (port, told) = tokio::task::spawn_blocking(move || (port(&mut told), told)).await.unwrap();
        if let Some(port) = port {
            return (driver, told, port);
        }
        driver.wait().unwrap();
    }
    panic!("chromedriver ended before it listened, {STARTS} times");
}

/// The port that the driver says it listens at, unless it ends before.
fn port(told: &mut impl BufRead) -> Option<u16> {
    let mut line = String::new();
    loop {
        line.clear();
        if told.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        if let Some((_, port)) = line.rsplit_once("successfully on port ")
            && let Ok(port) = port.trim().trim_end_matches('.').parse()
        {
            return Some(port);
        }
    }
}

impl Browser {
    /// A browser with an empty profile; `None` where there is none.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Option<Self> {
        let (chromium, driver) = (program("chromium")?, program("chromedriver")?);
        let home = TempDir::new().unwrap();
        let (driver, told, port) = listening(driver, home.path()).await;
        let base = format!("http://127.0.0.1:{port}");
        let client = net::client(&ClientOptions::for_url(&base.parse().unwrap())).unwrap();
        let mut browser = Self { driver, client, session: base.clone(), _told: told, _home: home };
        let profile = browser._home.path().join("profile");
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        ];
        let args: Vec<String> = args
            .iter()
            .map(|arg| (*arg).to_owned())
            .chain([format!("--user-data-dir={}", profile.display())])
            .collect();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": chromium, "args": args },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } });
        let started = Instant::now();
        while browser.client.get(format!("{base}/status")).send().await.is_err() {
            assert!(started.elapsed() < SHOWS_WITHIN, "chromedriver does not listen");
            sleep(Duration::from_millis(50)).await;
        }
        let opened = browser.post("session", &wanted).await;
        browser.session = format!("{base}/session/{}", opened["sessionId"].as_str().unwrap());
        Some(browser)
    }

    async fn try_post(&self, path: &str, body: &Value) -> Result<Value, Value> {
        let request = self.client.post(format!("{}/{path}", self.session)).json(body);
        let response = request.send().await.unwrap();
        let is_good = response.status().is_success();
        let value = response.json::<Value>().await.unwrap()["value"].take();
        if is_good { Ok(value) } else { Err(value) }
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.try_post(path, body).await.unwrap_or_else(|error| panic!("{path}: {error:#}"))
    }

    /// Asks the browser itself for something.
    async fn devtools(&self, command: &str, params: Value) -> Value {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": params })).await
    }

    /// Goes to an address.
    pub async fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url })).await;
    }

    /// Looks through a window of this width, by day or by night.
    pub async fn looks(&self, width: u32, is_dark: bool) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if is_dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// What a script returns.
    pub async fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// What a script calls its last argument with.
    pub async fn run_to_the_end(&self, script: &str) -> Value {
        self.post("execute/async", &json!({ "script": script, "args": [] })).await
    }

    /// An element, once it is there.
    async fn find(&self, css: &str) -> String {
        let started = Instant::now();
        loop {
            let found = self.try_post("element", &json!({ "using": "css selector", "value": css })).await;
            match found {
                Ok(found) => return found[ELEMENT].as_str().unwrap().to_owned(),
                Err(error) if started.elapsed() > SHOWS_WITHIN => panic!("there is no {css}: {error}"),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Does things to an element, once it is there and can be used: a page may put another one in its place meanwhile,
    /// and what was refused was not done.
    async fn act(&self, css: &str, acts: &[(&str, Value)]) {
        let started = Instant::now();
        'again: loop {
            let element = self.find(css).await;
            for (act, body) in acts {
                match self.try_post(&format!("element/{element}/{act}"), body).await {
                    Ok(_) => {}
                    Err(error) if started.elapsed() > SHOWS_WITHIN => panic!("{act} {css}: {error:#}"),
                    Err(_) => {
                        sleep(Duration::from_millis(50)).await;
                        continue 'again;
                    }
                }
            }
            return;
        }
    }

    /// Clicks on an element, once it is there.
    ///
    /// # Panics
    /// When it cannot be clicked on.
    pub async fn click(&self, css: &str) {
        self.act(css, &[("click", json!({}))]).await;
    }

    /// Writes into an element, in place of what it says.
    ///
    /// # Panics
    /// When it cannot be written into.
    pub async fn write(&self, css: &str, text: &str) {
        self.act(css, &[("clear", json!({})), ("value", json!({ "text": text }))]).await;
    }

    /// Presses a key, wherever the focus is.
    pub async fn press(&self, key: &str) {
        let steps = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.post("actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": steps }] })).await;
    }

    /// What an element says, once it says something with `part` in it.
    ///
    /// # Panics
    /// When it never does.
    pub async fn says(&self, css: &str, part: &str) -> String {
        let started = Instant::now();
        let script = format!("return document.querySelector({})?.innerText ?? ''", json!(css));
        loop {
            let text = self.run(&script).await.as_str().unwrap_or_default().to_owned();
            if text.contains(part) {
                return text;
            }
            assert!(started.elapsed() < SHOWS_WITHIN, "{css} does not say {part:?}: {text}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The whole page as a picture.
    pub async fn picture(&self) -> Vec<u8> {
        let params = json!({ "format": "png", "captureBeyondViewport": true });
        let shot = self.devtools("Page.captureScreenshot", params).await;
        STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let log = self.post("se/log", &json!({ "type": kind })).await;
        log.as_array().unwrap().clone()
    }

    /// What pages told the console since it was asked last.
    pub async fn console(&self) -> Vec<String> {
        self.log("browser").await.iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// What pages asked for since it was asked last.
    pub async fn requests(&self) -> Vec<String> {
        let url = |entry: &Value| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &message["message"];
            (message["method"] == "Network.requestWillBeSent")
                .then(|| message["params"]["request"]["url"].as_str().unwrap_or_default().to_owned())
        };
        self.log("performance").await.iter().filter_map(url).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver takes the browser with it when it is asked to end.
        let id = self.driver.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).stderr(Stdio::null()).status();
        if asked.is_err() {
            let _ = self.driver.kill();
        }
        let _ = self.driver.wait();
    }
}
