use std::{fs, os::unix::fs::symlink};

use super::omni;

#[test]
fn a_good_configuration_passes_and_a_bad_one_is_exit_code_1() {
    let good = omni().with_file("settings.yaml", "llm:\n  provider: offline\n");
    good.run(&["config", "check"]).exits(0);
    let bad = omni().with_file("settings.yaml", "llm:\n  provider: oracle\n");
    let ran = bad.run(&["config", "check"]).exits(1);
    assert!(ran.err.contains("oracle"), "{ran:?}");
    let no_key = omni().with_file("settings.yaml", "llm:\n  provider: anthropic\n");
    let ran = no_key.run(&["config", "check"]).exits(1);
    assert!(ran.err.contains("ANTHROPIC_API_KEY"), "{ran:?}");
    let ran = good.run_with(&[("DATABASE_URL", "oracle://h/d")], &["config", "check"]).exits(1);
    assert!(ran.err.contains("oracle") && ran.err.contains("sqlite"), "{ran:?}");
    let broken = omni().with_file("mcps.yaml", "mcps: [\n");
    let document = broken.run(&["config", "check", "--json"]).exits(1).json();
    assert_eq!(document["findings"][0]["severity"], "error");
    assert!(document["findings"][0]["source"].as_str().unwrap().starts_with("mcps.yaml:"), "{document}");
}

#[test]
fn what_nothing_starts_with_is_said_to_be_that() {
    let args = "mcps:\n- { name: db, protocol: stdio, command: sh, args: ['-c', 'cd ${OMNI_TEST_UNSET}'] }\n";
    let lacking = omni().with_file("mcps.yaml", args);
    let ran = lacking.run(&["config", "check"]).exits(0);
    assert!(ran.out.contains("ok, but nothing starts with it before it has what it needs"), "{ran:?}");
    assert_eq!(lacking.run(&["config", "check", "--json"]).exits(0).json()["complete"], false);
    let set = lacking.run_with(&[("OMNI_TEST_UNSET", "/")], &["config", "check", "--json"]).exits(0).json();
    assert!(set["ok"] == true && set["complete"] == true, "{set}");
    let unknown = omni().with_file("settings.yaml", "limit: { backend: redi }\n").run(&["config", "check"]).exits(1);
    assert!(unknown.err.contains("limit.backend") && unknown.err.contains("redi"), "{unknown:?}");
}

#[test]
fn strict_makes_warnings_fail() {
    let odd =
        omni().with_file("mcps.yaml", "mcps:\n  - name: db\n    url: http://127.0.0.1:1/mcp\n    protocl: http\n");
    let loose = odd.run(&["config", "check"]).exits(0);
    assert!(loose.err.contains("protocl"), "{loose:?}");
    odd.run(&["config", "check", "--strict"]).exits(1);
}

#[test]
fn warnings_are_told_of_on_one_line_wherever_the_configuration_is_used() {
    let odd = omni().with_file("settings.yaml", "lmm: { x: 1 }\napp: { prot: 1 }\n");
    let ran = odd.run(&["ask", "--no-tools", "hi"]).exits(0);
    assert!(ran.err.starts_with("warning: the configuration has 2 warnings; `omni config check`"), "{ran:?}");
    assert_eq!(odd.run(&["-q", "ask", "--no-tools", "hi"]).exits(0).err, "");
    let check = odd.run(&["config", "check"]).exits(0);
    assert!(!check.err.contains("2 warnings"), "{check:?}");
}

#[test]
fn what_is_shown_holds_no_secret() {
    let yaml = "llm:\n  provider: anthropic\n  api_key: sk-very-secret-value\n";
    let ran = omni().with_file("settings.yaml", yaml).run(&["config", "show"]).exits(0);
    assert!(!ran.out.contains("sk-very-secret-value") && ran.out.contains("anthropic"), "{ran:?}");
}

#[test]
fn no_password_is_shown_that_tears_its_address_and_no_secret_of_an_argument() {
    let mcps = "mcps:
- { name: web, url: 'https://svc:UrlS3cr/et@web.example/mcp' }
- { name: package, url: 'http://registry:4873/@scope/pkg', transport: http }
- name: db
  command: sh
  args: ['--dsn=postgres://u:ArgDsnS3cr/et@h/db', --header, 'Authorization: Bearer HdrS3cr/et']
";
    let home = omni().with_file("mcps.yaml", mcps);
    let env = [("DATABASE_URL", "postgresql://omni:PgS3cr/et#1@127.0.0.1:5432/attacker")];
    let shown = home.run_with(&env, &["config", "show"]).exits(0);
    let listed = home.run_with(&env, &["servers", "list", "--json"]).exits(0);
    assert!(!format!("{shown:?}{listed:?}").contains("S3cr"), "{shown:?} {listed:?}");
    assert!(shown.out.contains("postgresql://***@127.0.0.1:5432/attacker"), "{shown:?}");
    assert!(shown.out.contains("https://***@web.example/mcp"), "{shown:?}");
    for ran in [&shown, &listed] {
        assert!(ran.out.contains("http://registry:4873/@scope/pkg"), "{ran:?}");
    }
    assert!(listed.out.contains("https://web.example/mcp"), "{listed:?}");
}

#[test]
fn what_a_variable_put_into_the_path_of_an_address_is_shown_nowhere() {
    let mcps = "mcps: [{ name: web, url: 'https://${WEB_HOST}/api/mcp/s/${HOOK_SECRET}/mcp' }]\n";
    let home = omni().with_file("mcps.yaml", mcps);
    let env = [("WEB_HOST", "web.example"), ("HOOK_SECRET", "h00k-value")];
    for args in [&["config", "show"][..], &["servers", "list", "--json"]] {
        let ran = home.run_with(&env, args).exits(0);
        assert!(ran.out.contains("https://web.example/api/mcp/s/***/mcp"), "{ran:?}");
        assert!(!format!("{ran:?}").contains("h00k-value"), "{ran:?}");
    }
}

#[test]
fn an_address_of_postgresql_without_its_slashes_is_no_file_and_shows_no_password() {
    let home = omni();
    for scheme in ["postgres", "postgresql", "postgresql+asyncpg"] {
        let url = format!("{scheme}:user:PgS3cret@host/db");
        let env = [("DATABASE_URL", &*url)];
        let checked = home.run_with(&env, &["config", "check"]).exits(1);
        assert!(checked.err.contains("the address of a PostgreSQL begins with postgres://"), "{checked:?}");
        let shown = home.run_with(&env, &["config", "show"]).exits(0);
        let migrated = home.run_with(&env, &["db", "migrate"]);
        assert!(migrated.code != 0, "{migrated:?}");
        assert!(
            !format!("{checked:?}{shown:?}{migrated:?}").contains("PgS3cret"),
            "{checked:?} {shown:?} {migrated:?}"
        );
        assert!(!home.home().join(format!("{scheme}:user:PgS3cret@host")).exists(), "{scheme}");
    }
}

#[test]
fn the_schema_of_the_files_is_a_json_schema() {
    let schema = omni().run(&["config", "schema"]).exits(0).json();
    assert!(schema.is_object(), "{schema}");
}

#[test]
fn what_init_writes_loads_and_is_never_overwritten() {
    for example in ["minimal", "team"] {
        let home = omni();
        let wrote = home.run(&["init", "--example", example]).exits(0);
        assert!(wrote.out.lines().all(|file| home.home().join(file).is_file()), "{wrote:?}");
        home.run(&["config", "check"]).exits(0);
        assert!(home.config_dir().join(".env.example").is_file());
        // What is not on this machine is refused at once.
        let away = "http://127.0.0.1:1";
        let env = [("HTTPS_PROXY", away), ("DATABASE_MCP_URL", away), ("ANALYTICS_MCP_URL", away)];
        if example == "team" {
            home.run_with(&env, &["ask", "What can you do?"]).exits(0);
        }
        let again = home.run(&["init", "--example", example]).exits(1);
        assert!(again.err.contains("exists already"), "{again:?}");
    }
}

#[test]
fn init_writes_all_or_nothing_and_through_no_link() {
    let home = omni();
    fs::create_dir(home.config_dir()).unwrap();
    let elsewhere = home.home().join("elsewhere.yaml");
    symlink(&elsewhere, home.config_dir().join("users.yaml")).unwrap();
    let ran = home.run(&["init", "--example", "team"]).exits(1);
    assert!(ran.err.contains("users.yaml exists already"), "{ran:?}");
    assert!(!elsewhere.exists());
    assert_eq!(fs::read_dir(home.config_dir()).unwrap().count(), 1);
}

#[test]
fn completions_and_version_need_no_configuration() {
    let home = omni();
    for shell in ["bash", "zsh", "fish"] {
        let ran = home.run(&["--config", "nowhere", "completions", shell]).exits(0);
        assert!(ran.out.contains("omni") && ran.out.contains("dry-run"), "{shell}");
    }
    assert!(home.run(&["--version"]).exits(0).out.starts_with("omni "));
    let version = home.run(&["version", "--json"]).exits(0).json();
    assert!(version["llm"].as_array().unwrap().contains(&"offline".into()), "{version}");
}
