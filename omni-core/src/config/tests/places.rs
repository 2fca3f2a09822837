use std::path::{Path, PathBuf};

use super::{Config, ConfigError, LoadOptions, dir, env, load};
use crate::config::{Ack, StoreContent};

fn config_dir(cwd: &Path, variables: &[(&str, &str)]) -> Option<PathBuf> {
    Config::load(LoadOptions::new(env(variables), cwd)).unwrap().dir
}

#[test]
fn the_directory_is_searched_in_order() {
    let home = dir(&[("cwd/config/mcps.yaml", ""), ("named/users.yaml", ""), (".config/omni/users.yaml", "")]);
    let (root, cwd) = (home.path(), home.path().join("cwd"));
    let (named, home) = (root.join("named"), root.display().to_string());
    let variables = [("HOME", home.as_str())];
    assert_eq!(config_dir(&cwd, &variables), Some(cwd.join("config")));
    assert_eq!(config_dir(&cwd, &[("OMNI_CONFIG", "../named")]), Some(cwd.join("../named")));
    let options = LoadOptions::new(env(&[("OMNI_CONFIG", "/nowhere")]), &cwd).with_dir(&named);
    assert_eq!(Config::load(options).unwrap().dir, Some(named));
    assert_eq!(config_dir(root, &variables), Some(root.join(".config/omni")));
    let elsewhere = root.join("x").display().to_string();
    assert_eq!(config_dir(root, &[("HOME", &home), ("XDG_CONFIG_HOME", &elsewhere)]), None);
}

#[test]
fn a_config_directory_of_another_program_is_passed_over() {
    let cwd = dir(&[("config/database.yml", "production:")]);
    assert_eq!(config_dir(cwd.path(), &[]), None);
}

#[cfg(unix)]
#[test]
fn what_is_there_and_cannot_be_read_is_never_passed_over_for_the_embedded_default() {
    use std::os::unix::fs::symlink;

    let told = |link: &str, to: &str| {
        let cwd = dir(&[("config/other.txt", ""), ("file", "")]);
        let link = cwd.path().join(link);
        if link.ends_with("config") {
            std::fs::remove_dir_all(&link).unwrap();
        }
        symlink(to, &link).unwrap();
        Config::load(LoadOptions::new(env(&[]), cwd.path())).map(|config| config.dir).map_err(|error| error.to_string())
    };
    for link in ["config/users.yaml", "config/settings.yaml", "config"] {
        let error = told(link, "nowhere").unwrap_err();
        assert!(error.contains(&format!("{link}: it is a link that leads nowhere")), "{error}");
        let error = told(link, link.rsplit('/').next().unwrap()).unwrap_err();
        assert!(error.starts_with("cannot read ") && error.contains(link), "{error}");
    }
    assert_eq!(told("config", "file"), Ok(None), "a file is no directory of a configuration");
}

#[cfg(unix)]
#[test]
fn a_config_directory_of_another_user_is_an_error() {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    let cwd = dir(&[("config/users.yaml", "")]);
    let config = cwd.path().join("config");
    std::fs::set_permissions(&config, Permissions::from_mode(0o000)).unwrap();
    let looks_everywhere = std::fs::symlink_metadata(config.join("users.yaml")).is_ok();
    let loaded = Config::load(LoadOptions::new(env(&[]), cwd.path()));
    std::fs::set_permissions(&config, Permissions::from_mode(0o700)).unwrap();
    match loaded {
        Err(error) => assert!(error.to_string().contains("it cannot be looked into"), "{error}"),
        Ok(_) => assert!(looks_everywhere, "only root reads it"),
    }
}

#[test]
fn a_directory_that_was_asked_for_must_be_there() {
    let cwd = dir(&[("file", "")]);
    let ask = |path: &str| Config::load(LoadOptions::new(env(&[]), cwd.path()).with_dir(path)).unwrap_err();
    let missing = ask("missing");
    assert!(matches!(missing, ConfigError::NoDirectory { .. }) && missing.to_string().contains("missing"), "{missing}");
    assert!(ask("file").to_string().contains("no directory"));
    let from_env = Config::load(LoadOptions::new(env(&[("OMNI_CONFIG", "/nowhere")]), cwd.path()));
    assert!(matches!(from_env, Err(ConfigError::NoDirectory { .. })));
}

#[test]
fn the_process_environment_wins_over_the_working_directorys_dotenv_and_that_over_the_configs() {
    let cwd = dir(&[
        (".env", "A=cwd\nB=cwd"),
        ("config/.env", "A=config\nB=config\nC='config'"),
        ("config/mcps.yaml", "mcps: [{ name: \"${A}-${B}-${C}\", url: http://x }]"),
    ]);
    let config = Config::load(LoadOptions::new(env(&[("A", "process")]), cwd.path())).unwrap();
    assert_eq!(config.servers[0].name, "process-cwd-config");
}

#[test]
fn the_embedded_default_needs_nothing() {
    let config = Config::embedded(&env(&[("HOME", "/home/a")]), Path::new("/work"));
    let own: Vec<_> = config.servers.iter().map(|server| (&*server.name, server.builtin.as_deref())).collect();
    let analytics = cfg!(feature = "analytics").then_some(("analytics_mcp", Some("analytics")));
    assert_eq!(own, Vec::from_iter(analytics));
    assert_eq!((config.dir, config.policy_kind.as_str()), (None, "memory"));
    assert_eq!(
        (config.audit.kind.as_str(), config.audit.url.as_str()),
        ("sqlite", "/home/a/.local/share/omni/omni.db")
    );
    assert_eq!((config.audit.ack, config.audit.required), (None, true));
    assert_eq!(config.audit.dir, Path::new("/home/a/.local/share/omni"));
    let config = Config::embedded(&env(&[("HOME", "/home/a"), ("XDG_DATA_HOME", "/data")]), Path::new("/work"));
    assert_eq!(config.data_dir, Path::new("/data/omni"));
    assert_eq!(Config::embedded(&env(&[]), Path::new("/home/ada")).data_dir, Path::new("/home/ada/.omni"));
}

#[test]
fn the_ledger_goes_where_the_environment_then_the_file_says() {
    let settings = [("settings.yaml", "database: { url: 'postgresql+asyncpg://u:p@h:5432/omni' }")];
    let ledger = |files: &[(&str, &str)], variables: &[(&str, &str)]| {
        let config = load(files, variables).unwrap();
        (config.audit.kind, config.audit.url)
    };
    let is = |kind: &str, url: &str| (kind.to_owned(), url.to_owned());
    assert_eq!(ledger(&settings, &[]), is("postgres", "postgresql://u:p@h:5432/omni"));
    assert_eq!(ledger(&settings, &[("DATABASE_URL", "sqlite:/x.db")]), is("sqlite", "sqlite:/x.db"));
    let parts = [("DATABASE_HOST", "db"), ("DATABASE_PASSWORD", "p@ss/1"), ("DATABASE_NAME", "n")];
    assert_eq!(ledger(&settings, &parts), is("postgres", "postgresql://postgres:p%40ss%2F1@db:5432/n"));
    assert_eq!(ledger(&[("settings.yaml", "database: { url: memory }")], &[]), is("memory", "memory"));
    assert_eq!(ledger(&settings, &[("DATABASE_URL", "mysql://h/d")]), is("mysql", "mysql://h/d"));
    let (kind, url) = ledger(&[("settings.yaml", "database: { url: logs/audit.jsonl }")], &[]);
    assert!(kind == "jsonl" && url.ends_with("/logs/audit.jsonl") && url.starts_with('/'), "{url}");
}

#[test]
fn a_database_in_parts_without_a_host_is_on_this_machine_unless_the_file_has_an_address() {
    let url = |files: &[(&str, &str)], variables: &[(&str, &str)]| load(files, variables).unwrap().audit.url;
    let parts = [("DATABASE_NAME", "omni"), ("DATABASE_USER", "me"), ("DATABASE_PASSWORD", "p")];
    assert_eq!(url(&[("users.yaml", "{}")], &parts), "postgresql://me:p@localhost:5432/omni");
    for one in parts {
        assert!(url(&[("users.yaml", "{}")], &[one]).starts_with("postgresql://"), "{one:?}");
    }
    let file = [("settings.yaml", "database: { url: 'postgresql://u:${DATABASE_PASSWORD}@h/d' }")];
    assert_eq!(url(&file, &parts), "postgresql://u:p@h/d");
    assert_eq!(url(&[("users.yaml", "{}")], &[("DATABASE_URL", "sqlite:/x.db"), parts[2]]), "sqlite:/x.db");
}

#[test]
fn settings_reach_their_places() {
    let settings = "
data_dir: state
audit: { ack: local, required: false, store_content: preview, log_level: debug }
agent: { max_turns: 3, max_tokens: 1000, max_cost_usd: 0.5 }
performance: { request_timeout_seconds: 40 }
rate_limiting: { enabled: false }
limit: { on_error: allow }
";
    let config = load(&[("settings.yaml", settings)], &[]).unwrap();
    assert!(config.data_dir.ends_with("state") && config.data_dir.starts_with(config.dir.as_ref().unwrap()));
    assert_eq!((config.audit.ack, config.audit.required), (Some(Ack::Local), false));
    assert_eq!((config.store_content, config.log_level.as_deref()), (StoreContent::Preview, Some("DEBUG")));
    assert_eq!((config.limits_enabled, config.limits_fail_open), (false, true));
    let bounds = &config.bounds;
    assert_eq!((bounds.max_turns, bounds.timeout.as_secs(), bounds.max_tokens), (3, 40, Some(1_000)));
    assert_eq!(bounds.max_cost.map(|cost| cost.0), Some(500_000_000));
    let config = load(&[("settings.yaml", "audit: { enabled: false }")], &[("DEBUG", "true")]).unwrap();
    assert_eq!((config.audit.kind.as_str(), config.log_level.as_deref()), ("memory", Some("DEBUG")));
}

#[test]
fn terminal_users_are_mapped_by_os_user() {
    let users =
        "users:\n- { email: Ann@X.org, os_user: ann }\nsuper_admins:\n- { email: b@x.org, os_user: [bob, root] }\n";
    let config = load(&[("users.yaml", users)], &[]).unwrap();
    let expected = env(&[("ann", "ann@x.org"), ("bob", "b@x.org"), ("root", "b@x.org")]);
    assert_eq!(config.os_users, expected);
}
