//! What the image runs, without Docker: its command, in its environment, as its user, over a root that nobody
//! may write to and one volume.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
};

use omni_tests::{door::Reply, program::Ran};
use reqwest::Client;
use serde_json::json;
use tempfile::TempDir;

use super::{files, read, recipe::Recipe, root};

/// What stands around a program: mounts of its own where the kernel lets us, then the user. `$1` is the volume, `$2`
/// the directory to begin in, `$3` and `$4` the numbers; the program and its arguments follow.
const CONFINE: &str = r#"
set -e
volume=$1 begin=$2 user=$3 group=$4
shift 4
if [ -n "$OWN_MOUNTS" ]; then
  mount --bind "$volume" "$volume"
  mount -o remount,bind,ro /
fi
cd "$begin"
if [ "$(id -u)" = 0 ]; then
  exec setpriv --reuid "$user" --regid "$group" --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs -- "$@"
fi
exec "$@"
"#;

/// A container, as far as it can be had without Docker.
struct Container {
    recipe: Recipe,
    dir: TempDir,
    is_root: bool,
    own_mounts: bool,
}

impl Container {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        // Not every kernel, and no container without rights of its own, lets even root have mounts of its own.
        let mut trial = Command::new("unshare");
        trial.args(["--mount", "mount", "-o", "remount,bind,ro", "/"]);
        let refused = match trial.output() {
            _ if !is_root => Some("this is not root".to_owned()),
            Ok(ran) if ran.status.success() => None,
            Ok(ran) => Some(String::from_utf8_lossy(&ran.stderr).trim().to_owned()),
            Err(error) => Some(format!("unshare cannot be run, which tests/prepare.sh installs: {error}")),
        };
        if let Some(why) = &refused {
            assert!(!why.contains("prepare.sh") || std::env::var_os("CI").is_none(), "{why}");
            // Past what keeps quiet about tests that pass.
            let told = "SKIPPED: whether the image works over a root that is read-only is not looked at";
            writeln!(std::io::stderr(), "{told}: {why}").unwrap();
        }
        let own_mounts = refused.is_none();
        let made = Self { recipe: Recipe::load(), dir, is_root, own_mounts };
        made.lay_out();
        made
    }

    /// The program, which its user may only run; the directory it begins in, which nobody may write to; the volume; a
    /// configuration without files.
    fn lay_out(&self) {
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(self.dir.path(), 0o755);
        let own = self.dir.path().join("omni");
        let built = program();
        if fs::hard_link(&built, &own).is_err() {
            fs::copy(&built, &own).unwrap();
        }
        mode(&own, 0o755);
        for dir in [self.begin(), self.volume(), self.config()] {
            fs::create_dir(dir).unwrap();
        }
        mode(&self.volume(), 0o700);
        mode(&self.config(), 0o755);
        if self.is_root {
            let (user, group) = self.recipe.user();
            std::os::unix::fs::chown(self.volume(), Some(user), Some(group)).unwrap();
        }
        mode(&self.begin(), 0o555);
    }

    fn begin(&self) -> PathBuf {
        self.dir.path().join("app")
    }

    fn volume(&self) -> PathBuf {
        self.dir.path().join("volume")
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    /// Mounts a configuration with a file.
    fn configure(&self, name: &str, text: &str) {
        let file = self.config().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// The image's environment, with volume and configuration where they are here.
    fn env(&self) -> BTreeMap<String, String> {
        let places = [(self.recipe.volume(), self.volume()), (self.recipe.config_dir(), self.config())];
        let here = |value: &str| {
            let below = |(there, here): &(String, PathBuf)| {
                value.strip_prefix(there.as_str()).map(|below| format!("{}{below}", here.display()))
            };
            places.iter().find_map(below).unwrap_or_else(|| value.to_owned())
        };
        self.recipe.env().into_iter().map(|(name, value)| (name.to_owned(), here(value))).collect()
    }

    /// The program in the container. Nothing of the test's own environment reaches it.
    fn command(&self, env: &BTreeMap<String, String>, args: &[String]) -> Command {
        let (user, group) = self.recipe.user();
        let mut command = if self.own_mounts {
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        command.args(["-c", CONFINE, "confine"]).arg(self.volume()).arg(self.begin());
        command.args([user.to_string(), group.to_string()]);
        // `env -i`: what the shell was given ends here.
        command.args(["env", "-i"]).args(env.iter().map(|(name, value)| format!("{name}={value}")));
        command.arg(self.dir.path().join("omni")).args(args);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("OWN_MOUNTS", if self.own_mounts { "yes" } else { "" });
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        self.command(&self.env(), &args).output().unwrap().into()
    }

    /// The image's own command, at a port that is free.
    fn start(&self) -> Running {
        let port = format!("0.0.0.0:{}", self.recipe.port());
        let words = self.recipe.words("CMD").into_iter();
        let args: Vec<String> = words.map(|word| if word == port { "127.0.0.1:0".to_owned() } else { word }).collect();
        assert!(args.contains(&"127.0.0.1:0".to_owned()), "{args:?}");
        Running::new(self.command(&self.env(), &args).spawn().unwrap())
    }
}

/// The program under test, or the one that was built as the image builds it.
fn program() -> PathBuf {
    let built = std::env::var_os("OMNI_TEST_RELEASE").filter(|path| !path.is_empty());
    let built = built.map_or_else(|| env!("CARGO_BIN_EXE_omni-under-test").into(), PathBuf::from);
    assert!(built.is_file(), "there is no program at {}, which is to be looked at", built.display());
    built
}

/// A service in a container.
struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
    url: String,
}

impl Running {
    fn new(mut child: Child) -> Self {
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let (mut line, mut told) = (String::new(), String::new());
        let url = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it was ready: {told}");
            told.push_str(&line);
            if let Some((_, rest)) = line.split_once("omni listens at ") {
                break rest.chars().take_while(|c| c.is_ascii_graphic() && *c != '"').collect();
            }
        };
        // The image asks for lines that programs read.
        assert!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["level"].is_string(), "{line}");
        Self { child, log, url }
    }

    /// Asks it to end, as Docker does, and waits; what it logged since it was ready.
    fn stop(mut self) -> (Option<i32>, String) {
        crate::mcp_stdio::signal("-TERM", self.child.id());
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(url: &str) -> Client {
    omni_core::net::client(&omni_core::net::ClientOptions::for_url(&url.parse().unwrap())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_serves_as_nobody_over_a_root_that_is_read_only_and_keeps_what_it_has_in_its_volume() {
    let container = Container::new();
    container.configure("users.yaml", "users: [{ email: owner@company.com, role: dba, allowed_mcps: '*' }]\n");
    let service = container.start();
    let status = read(Path::new(&format!("/proc/{}/status", service.child.id())));
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    if container.is_root {
        let (user, group) = container.recipe.user();
        assert_eq!(line("Uid:").split_whitespace().next(), Some(&*user.to_string()), "{status}");
        assert_eq!(line("Gid:").split_whitespace().next(), Some(&*group.to_string()), "{status}");
        assert_eq!([line("CapEff:"), line("NoNewPrivs:")], ["0000000000000000", "1"]);
    }
    if container.own_mounts {
        let mounts = read(Path::new(&format!("/proc/{}/mounts", service.child.id())));
        let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let options: BTreeMap<&str, &str> = fields.map(|fields| (fields[1], fields[3])).collect();
        let volume = container.volume().canonicalize().unwrap();
        assert!(options["/"].starts_with("ro,"), "{mounts}");
        assert!(options[volume.to_str().unwrap()].starts_with("rw,"), "{mounts}");
    }
    // The image's own probe, and then as people use what runs there: a key, a question, the ledger.
    let (probe, url) = (container.recipe.probe(), service.url.clone());
    let here = |word: &String| if word.starts_with("http") { url.clone() } else { word.clone() };
    let probe: Vec<String> = probe[1..].iter().map(here).collect();
    let probe: Vec<&str> = probe.iter().map(String::as_str).collect();
    container.run(&probe).exits(0);
    let made = container.run(&["keys", "create", "--user", "owner@company.com", "--scope", "ask"]).exits(0);
    let ask = client(&url).post(format!("{url}/chat/ask")).bearer_auth(made.out.trim());
    Reply::of(ask.json(&json!({ "message": "What can you do?" }))).await.is(200);
    let (code, rest) = service.stop();
    assert_eq!(code, Some(0), "{rest}");
    assert!(!rest.contains("\"level\":\"ERROR\""), "{rest}");
    assert_ne!(container.run(&probe).code, 0, "a service that is gone is not healthy");

    let kept: Vec<String> = files(&container.volume())
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert!(kept.contains(&"omni.db".to_owned()) && kept.contains(&"ledger.key".to_owned()), "{kept:?}");
    assert!(files(&container.begin()).is_empty());
    assert!(container.run(&["audit", "verify"]).exits(0).out.contains("as the ledger wrote it"));
}

#[test]
fn the_image_lets_in_nobody_where_its_configuration_was_not_mounted() {
    let container = Container::new();
    let owner = ["keys", "create", "--user", "owner@company.com", "--scope", "ask"];
    let refused = container.run(&owner).exits(2);
    assert!(refused.err.contains("nobody is called"), "{refused:?}");
    // What is not mounted is there as well, and empty.
    let (made, dir) = (container.recipe.all("RUN").join(" "), container.recipe.config_dir());
    assert!(made.contains(&format!("install --directory {dir}")), "{made}");
}

#[test]
fn the_program_runs_with_no_environment_at_all() {
    let container = Container::new();
    let bare = BTreeMap::new();
    for args in [&["--version"][..], &["version"], &["--help"], &["completions", "bash"], &["man"]] {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let ran: Ran = container.command(&bare, &args).output().unwrap().into();
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        assert!(ran.out.contains("omni"), "{args:?}");
    }
}

#[test]
fn the_image_is_built_from_the_lock_file_and_holds_nothing_but_the_program() {
    let recipe = Recipe::load();
    let build = recipe.all("RUN").into_iter().find(|run| run.contains("cargo build ")).unwrap();
    assert!(build.contains(" plain) cargo build --release --locked --package omni-cli --bin omni ;; "), "{build}");
    let script = read(&root().join("benches/tune.sh"));
    let tuned: Vec<&str> = script.lines().filter(|line| line.contains("cargo build ")).collect();
    assert!(tuned.len() == 2 && tuned.iter().all(|line| line.contains(" --locked ")), "{tuned:?}");
    let copies = recipe.all("COPY");
    let into_image: Vec<&&str> = copies.iter().filter(|copy| copy.starts_with("--from=")).collect();
    assert_eq!(into_image.len(), 2, "{copies:?}");
    for copy in into_image {
        let stage = copy.trim_start_matches("--from=").split(' ').next().unwrap();
        assert!(recipe.stages().contains(stage), "{copy}");
    }
    assert!(copies.iter().any(|copy| copy.contains("/src/target/release/omni /usr/local/bin/omni")), "{copies:?}");
    assert!(copies.iter().any(|copy| copy.contains("/etc/ssl/certs/ca-certificates.crt")), "{copies:?}");
    let (user, group) = recipe.user();
    assert!(user >= 10_000 && group >= 10_000, "a number that no user of the host has");
    // The compiler is at least as new as the workspace wants.
    let manifest = read(&root().join("Cargo.toml"));
    let (_, wanted) = manifest.split_once("rust-version = \"").unwrap();
    let wanted = wanted.split('"').next().unwrap();
    assert!(recipe.all("FROM")[0].starts_with(&format!("rust:{wanted}-")), "{:?}", recipe.all("FROM"));
}
