//! Real MCP servers, as `tests/parts.sh` installs them.

use std::{
    env,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// How long a server may take to listen: Node starts slowly on a busy machine.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// Where the parts are.
#[derive(Debug, Clone)]
pub struct Parts {
    dir: PathBuf,
    node: PathBuf,
}

impl Parts {
    /// Finds the parts in `$OMNI_TEST_PARTS`, else in `tests/parts`.
    ///
    /// # Panics
    /// When a part is missing; the message names the command that installs it.
    #[must_use]
    pub fn find() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let dir = env::var_os("OMNI_TEST_PARTS").map_or_else(|| here.join("parts"), PathBuf::from);
        let node = program("node");
        let parts = Self { dir, node: node.clone().unwrap_or_default() };
        let files = [parts.everything(), parts.filesystem(), parts.time(), parts.schemathesis()];
        let missing: Vec<String> =
            files.iter().filter(|file| !file.exists()).map(|file| file.display().to_string()).collect();
        assert!(
            missing.is_empty() && node.is_some(),
            "the real MCP servers that this test talks to are missing ({}); run tests/parts.sh",
            if missing.is_empty() { "node".to_owned() } else { missing.join(", ") }
        );
        parts
    }

    /// Node itself.
    #[must_use]
    pub fn node(&self) -> String {
        self.node.display().to_string()
    }

    /// The script of server-everything; its argument is `stdio`, `sse` or `streamableHttp`.
    #[must_use]
    pub fn everything(&self) -> PathBuf {
        self.dir.join("npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js")
    }

    /// The script of server-filesystem; its arguments are the directories that it may touch.
    #[must_use]
    pub fn filesystem(&self) -> PathBuf {
        self.dir.join("npm/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js")
    }

    /// The program mcp-server-time.
    #[must_use]
    pub fn time(&self) -> PathBuf {
        self.dir.join("venv/bin/mcp-server-time")
    }

    /// The program schemathesis.
    #[must_use]
    pub fn schemathesis(&self) -> PathBuf {
        self.dir.join("venv/bin/schemathesis")
    }

    /// Python, with the official MCP SDK.
    #[must_use]
    pub fn python(&self) -> PathBuf {
        self.dir.join("venv/bin/python")
    }

    /// The directory of the official TypeScript SDK.
    #[must_use]
    pub fn typescript_sdk(&self) -> PathBuf {
        self.dir.join("npm/node_modules/@modelcontextprotocol/sdk")
    }

    /// Starts server-everything over HTTP: `sse` or `streamableHttp`.
    #[must_use]
    pub fn serve_everything(&self, mode: &str) -> HttpPart {
        self.serve_everything_at(mode, free_port())
    }

    /// The same at a port.
    ///
    /// # Panics
    /// When it does not listen in time.
    #[must_use]
    pub fn serve_everything_at(&self, mode: &str, port: u16) -> HttpPart {
        let mut command = Command::new(&self.node);
        command.arg(self.everything()).arg(mode).env("PORT", port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut part = HttpPart { child: command.spawn().expect("node starts"), port };
        part.wait_until_listening();
        part
    }
}

/// The script that looks at a page as somebody does who cannot see it, where [`Parts::find`] finds the servers.
///
/// # Panics
/// When it is missing; the message names the command that installs it.
#[must_use]
pub fn axe() -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = env::var_os("OMNI_TEST_PARTS").map_or_else(|| here.join("parts"), PathBuf::from);
    let script = dir.join("browser/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&script).unwrap_or_else(|_| panic!("{} is missing; run tests/parts.sh", script.display()))
}

/// The MCP conformance suite, and the Node that it needs.
#[derive(Debug, Clone)]
pub struct Conformance {
    node: PathBuf,
    script: PathBuf,
}

impl Conformance {
    /// Finds the suite where [`Parts::find`] finds the servers.
    ///
    /// # Panics
    /// When it is missing; the message names the command that installs it.
    #[must_use]
    pub fn find() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let dir = env::var_os("OMNI_TEST_PARTS").map_or_else(|| here.join("parts"), PathBuf::from);
        let script = dir.join("conformance/node_modules/@modelcontextprotocol/conformance/dist/index.js");
        let node = dir.join("node22/node");
        assert!(script.exists() && node.exists(), "the MCP conformance suite is missing; run tests/parts.sh");
        Self { node, script }
    }

    /// The suite's program with these arguments.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(&self.script).args(args).stdin(Stdio::null());
        command
    }
}

/// A server that listens on loopback; ends with this value.
#[derive(Debug)]
pub struct HttpPart {
    child: Child,
    port: u16,
}

impl HttpPart {
    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a path of it, such as `/mcp`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn wait_until_listening(&mut self) {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let status = self.child.try_wait().expect("the child can be asked");
            assert!(status.is_none(), "server-everything ended: {status:?}");
            assert!(started.elapsed() < STARTS_WITHIN, "server-everything does not listen");
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for HttpPart {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of loopback that nobody listens at.
///
/// # Panics
/// When the system has none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}

/// The environment that a child server needs to start.
#[must_use]
pub fn base_env() -> Vec<(String, String)> {
    env::vars().collect()
}

fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}
