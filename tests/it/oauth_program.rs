//! `omni servers login`, as a person sees it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::Child,
};

use omni_tests::{
    authority::{Authority, Rules},
    program::{Program, Ran},
};
use serde_json::Value;

/// The program.
const OMNI: &str = env!("CARGO_BIN_EXE_omni-under-test");

fn home(authority: &Authority, more: &str) -> Program {
    let url = authority.mcp_url();
    let mcps = format!("mcps:\n- {{ name: lab, url: '{url}', authentication: {{ type: oauth{more} }} }}\n");
    Program::new(OMNI)
        .with_file("mcps.yaml", &mcps)
        .with_file("users.yaml", "default_user: { role: admin, allowed_mcps: [lab] }")
}

/// Logs in, with a browser that agrees.
async fn log_in(home: &Program, authority: &Authority, options: &[&str]) -> Ran {
    let args = [&["servers", "login", "lab", "--no-browser"], options].concat();
    let mut child = home.command(&args).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut url = String::new();
    out.read_line(&mut url).unwrap();
    authority.agree_and_follow(url.trim()).await;
    rest(child, out, url)
}

fn rest(mut child: Child, mut out: impl std::io::Read, mut text: String) -> Ran {
    let mut err = String::new();
    out.read_to_string(&mut text).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    Ran { code: child.wait().unwrap().code().unwrap_or(-1), out: text, err }
}

fn login_of(home: &Program) -> Value {
    home.run(&["servers", "list", "--json"]).exits(0).json()[0]["login"].clone()
}

fn call(home: &Program, tool: &str) -> Ran {
    home.run(&["tools", "call", &format!("lab.{tool}")])
}

#[tokio::test]
async fn a_person_logs_in_once_and_is_told_when_they_have_to_again() {
    let authority = Authority::start(Rules::default());
    let home = home(&authority, "");
    assert_eq!(login_of(&home)["state"], "logged_out");
    let ran = call(&home, "greet");
    assert!(ran.code != 0 && ran.err.contains("omni servers login lab"), "{ran:?}");
    let check = home.run(&["servers", "check", "--json"]).exits(1).json();
    assert!(check[0]["reason"].as_str().unwrap().contains("run `omni servers login lab`"), "{check}");

    let ran = log_in(&home, &authority, &[]).await.exits(0);
    assert!(ran.out.contains("logged in to lab") && ran.out.contains("renews the token by itself"), "{ran:?}");
    let issuer = authority.issuer();
    let origin = issuer.trim_end_matches("/as");
    assert!(ran.err.contains(&format!("log in at {origin} to let omni use lab (tools, offline_access)")), "{ran:?}");
    let login = login_of(&home);
    assert_eq!((login["state"].as_str(), login["issuer"].as_str()), (Some("logged_in"), Some(issuer.as_str())));
    assert!(call(&home, "greet").exits(0).out.contains("hello from greet"));
    assert_eq!(authority.state().asked("refresh_token"), 0);

    authority.state().expire();
    assert!(call(&home, "greet").exits(0).out.contains("hello from greet"));
    assert!(call(&home, "greet").exits(0).out.contains("hello from greet"));
    assert_eq!(authority.state().asked("refresh_token"), 1, "the renewed token was kept for the next one");

    authority.state().revoke_all();
    let ran = call(&home, "greet");
    assert!(ran.code != 0 && ran.err.contains("run `omni servers login lab`"), "{ran:?}");
    assert_eq!(login_of(&home)["state"], "login_ended");
    let table = home.run(&["servers", "list"]).exits(0).out;
    assert!(table.contains("enabled, login ended"), "{table}");

    log_in(&home, &authority, &[]).await.exits(0);
    call(&home, "greet").exits(0);
    assert!(home.run(&["servers", "logout", "lab"]).exits(0).out.contains("logged out of lab"));
    assert_eq!((login_of(&home)["state"].as_str(), authority.state().tokens().len()), (Some("logged_out"), 0));
    assert!(home.run(&["servers", "logout", "lab"]).exits(0).out.contains("nobody was logged in"));
    assert_eq!(authority.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn no_token_is_anywhere_in_the_open_and_only_its_owner_may_read_what_is_kept() {
    let authority = Authority::start(Rules { admin_scope: Some("admin"), ..Rules::default() });
    let home = home(&authority, "");
    let mut said = vec![log_in(&home, &authority, &[]).await.exits(0)];
    said.push(call(&home, "greet").exits(0));
    let refused = call(&home, "admin");
    assert!(refused.code != 0 && refused.err.contains("omni servers login lab --scope admin"), "{refused:?}");
    said.extend([
        refused,
        home.run_with(&[("RUST_LOG", "trace"), ("LOG_LEVEL", "DEBUG")], &["tools", "call", "lab.greet"]),
    ]);
    let tokens = authority.state().tokens();
    assert!(tokens.len() >= 2);
    for token in &tokens {
        assert!(said.iter().all(|ran| !ran.out.contains(token) && !ran.err.contains(token)), "{said:?}");
    }
    let mut files = vec![home.home().join("xdg")];
    let mut seen = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(tokens.iter().all(|token| !text.contains(token)), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 3, "tokens, their key and the ledger");

    let ran = log_in(&home, &authority, &["--scope", "admin"]).await.exits(0);
    assert!(ran.err.contains("(tools, admin, offline_access)"), "{ran:?}");
    assert!(call(&home, "admin").exits(0).out.contains("hello from admin"));

    let tokens = authority.state().tokens();
    authority.state().revoke_all();
    let ended = [call(&home, "greet"), call(&home, "greet"), home.run(&["servers", "list", "--json"])];
    assert!(ended[0].err.contains("invalid_grant") && ended[2].out.contains("login_ended"), "{ended:?}");
    for token in &tokens {
        assert!(ended.iter().all(|ran| !ran.out.contains(token) && !ran.err.contains(token)), "{ended:?}");
    }
}

#[tokio::test]
async fn a_login_that_nobody_makes_ends_and_what_wants_none_says_so() {
    let authority = Authority::start(Rules { known: Some(("omni", Some("s3cret"))), ..Rules::default() });
    let person = home(&authority, "");
    let ran = person.run(&["servers", "login", "lab", "--no-browser", "--timeout", "1"]).exits(7);
    assert!(ran.err.contains("nobody logged in within 1 s"), "{ran:?}");
    assert!(person.run(&["servers", "login", "other"]).exits(2).err.contains("there is no server"));

    let secret = format!(
        ", grant: client_credentials, client_id: omni, client_secret: s3cret, issuer: '{}'",
        authority.issuer()
    );
    let machine = home(&authority, &secret);
    assert!(call(&machine, "greet").exits(0).out.contains("hello from greet"));
    assert_eq!(login_of(&machine)["state"], "lets_itself_in");
    assert!(machine.run(&["servers", "login", "lab"]).exits(2).err.contains("omni lets itself in"));
    assert_eq!(authority.faults(), Vec::<String>::new());

    let none = Program::new(OMNI).with_file("mcps.yaml", "mcps: [{ name: lab, url: 'http://127.0.0.1:1/mcp' }]");
    let ran = none.run(&["servers", "login", "lab"]).exits(2);
    assert!(ran.err.contains("authentication: {type: oauth}"), "{ran:?}");
}
