use omni_core::scan::visible_json;

use super::*;

fn message(name: &str, message: &Message) {
    check::message(message);
    insta::assert_json_snapshot!(name, message.to_json());
}

fn view(name: &str, view: &Value) {
    check::view(view);
    insta::assert_json_snapshot!(name, view);
}

#[test]
fn answers_look_as_they_do() {
    message("answer", &answer::message(&answered(), 0));
    let mrkdwn = answer::View { style: answer::Style::Mrkdwn, note: Some("⏹ Stopped.".into()), ..answered() };
    message("answer_mrkdwn", &answer::message(&mrkdwn, 0));
    let long = answer::View { markdown: "A line of it.\n\n".repeat(100), max: Some(700), ..answered() };
    message("answer_first_page", &answer::message(&long, 0));
    message("answer_last_page", &answer::message(&long, answer::page_count(&long) - 1));
    let detailed = footer::Footer {
        is_detailed: true,
        tokens: Some((1_200, 80)),
        model: Some("claude-haiku".into()),
        role: Some("dba".into()),
        trace: Some("https://trace.example/1".into()),
        warnings: vec!["the limit of turns was reached".into()],
        ..answered().footer
    };
    message("answer_detailed", &Message::new("x", answer::tail(&detailed, &answer::Buttons::default())));
    message("working", &answer::working("Check health on <!channel>", Some("0190")));
}

#[test]
fn no_question_is_quoted_where_none_is_known() {
    let working = answer::working("", Some("C1 1.1"));
    check::message(&working);
    assert_eq!(working.blocks[0]["text"]["text"], "🔄 Processing your question...");
}

#[test]
fn people_are_shown_as_the_format_says() {
    let person = |format| footer::Person {
        format,
        email: Some("ann@company.com".into()),
        servers: Some(footer::Servers::Some(4)),
        server_names: ["a", "b", "c", "d"].map(String::from).to_vec(),
        ..answered().person
    };
    let line = |format| person(format).header().unwrap()["elements"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(line(footer::Format::Minimal), "⚡ Power User");
    assert_eq!(line(footer::Format::Standard), "👤 Ann (⚡ Power User)");
    assert_eq!(
        line(footer::Format::Detailed),
        "👤 Ann | ann@company.com | Role: Power User | MCPs: 4 available | (`a`, `b`, `c`, +1 more)"
    );
    assert!(footer::Person::default().header().is_none());
}

#[test]
fn help_looks_as_it_does() {
    let servers = vec![server("database_mcp", 12), help::Server { dot: help::Dot::Away, ..server("github_mcp", 2) }];
    let menu = help::Menu { role: Some("dba".into()), servers, ..help::Menu::default() };
    message("help", &help::menu(&menu));
    let tools = (0..12).map(|n| tool(&format!("tool_{n}"))).collect();
    let mut open = help::Menu { open: Some("database_mcp".into()), tools, page: 1, ..menu.clone() };
    open.tools[10].is_destructive = true;
    open.tools[10].needs_approval = true;
    message("help_tools", &help::menu(&open));
    let problem = help::Menu { problem: Some(error::away("database_mcp")), tools: Vec::new(), ..open };
    message("help_problem", &help::menu(&problem));
    message("help_nothing", &help::menu(&help::Menu::default()));
}

#[test]
fn sixty_servers_are_in_one_menu() {
    let servers = (0..60).map(|n| server(&format!("server_{n}"), 1)).collect();
    let told = help::menu(&help::Menu { servers, ..help::Menu::default() });
    check::message(&told);
    let select = &told.blocks[2]["elements"][0];
    assert_eq!((&select["type"], select["options"].as_array().unwrap().len()), (&json!("static_select"), 60));
}

#[test]
fn status_looks_as_it_does() {
    let standing = status::Standing {
        name: "Ann".into(),
        role: Some("dba".into()),
        quotas: vec![status::Quota {
            counts: status::Counts::AsksAnHour,
            shared: None,
            used: Some(50),
            limit: 200,
            resets_in: Some(1_261),
        }],
        cost_today_usd: Some(0.12),
        asked_today: Some(7),
    };
    let away = help::Server { dot: help::Dot::Away, display_name: "GitHub".into(), ..server("github_mcp", 2) };
    let mine = status::Status { standing, servers: vec![server("database_mcp", 8), away], operation: None };
    message("status", &status::message(&mine));
    let operation = status::Operation {
        version: "0.1.0".into(),
        uptime_s: 90,
        sockets: Some(2),
        running: Some(3),
        p95_ms: Some(4_200),
        failed: Some((1, 40)),
        provider: Some(("claude-haiku".into(), Some(true))),
        ledger: Some((3, false)),
    };
    message("status_admin", &status::message(&status::Status { operation: Some(operation), ..mine }));
}

#[test]
fn approvals_look_as_they_do() {
    message("confirm", &confirm::card(&call()));
    let by = "U0REQUESTER".to_owned();
    let outcomes = [
        ("approved", confirm::Outcome::Approved { by: by.clone(), at: at() }),
        ("denied", confirm::Outcome::Denied { by: by.clone(), at: at(), reason: Some("not <!now>".into()) }),
        ("expired", confirm::Outcome::Expired),
        ("void", confirm::Outcome::Void { reason: None }),
        ("done", confirm::Outcome::Done { by }),
        ("unknown", confirm::Outcome::Unknown),
    ];
    for (name, outcome) in outcomes {
        let decided = confirm::decided(&call(), &outcome);
        assert!(decided.blocks.iter().all(|block| block["type"] != "actions"));
        message(&format!("confirm_{name}"), &decided);
    }
    message("confirm_not_yours", &confirm::not_yours("U0REQUESTER"));
    message("confirm_stale", &confirm::stale());
    view("confirm_reason_modal", &confirm::reason_modal("{}"));
    view("confirm_details_modal", &confirm::details_modal(&call()));
}

#[test]
fn whoever_decides_sees_what_is_hidden_and_that_something_is_left_out() {
    let shown = confirm::card(&call()).to_json().to_string();
    assert!(shown.contains(r"\\u202e"), "{shown}");
    let long = confirm::Card { arguments: json!({ "sql": "x".repeat(9_000) }), ..call() };
    let card = confirm::card(&long);
    check::message(&card);
    assert!(card.to_json().to_string().contains("Not all of it is shown"));
    let details = confirm::details_modal(&long).to_string();
    assert!(details.matches('x').count() >= 9_000);
}

#[test]
fn the_card_its_details_and_the_page_write_out_every_character_that_the_terminal_writes_out() {
    let some = ('\u{7f}'..='\u{1ffff}').chain('\u{e0000}'..='\u{e0fff}');
    let hidden: Vec<char> = some.filter(|c| visible_json(c.encode_utf8(&mut [0; 4])).starts_with('\\')).collect();
    assert!(hidden.len() > 4_000, "{}", hidden.len());
    for hidden in hidden.chunks(50) {
        let path = format!("/srv/pro{}d", hidden.iter().collect::<String>());
        let written = visible_json(&path).replace('\\', r"\\");
        let card = confirm::Card { arguments: json!({ "path": path }), ..call() };
        let page = home::Home { pending: vec![card.clone()], ..home::Home::default() };
        for shown in [confirm::card(&card).to_json(), confirm::details_modal(&card), home::view(&page)] {
            assert!(shown.to_string().contains(&written), "{written} {shown}");
        }
    }
}

#[test]
fn questions_of_servers_look_as_they_do() {
    message("elicit", &elicit::card(&form(), "q1"));
    message("elicit_answered", &elicit::ended(&form(), elicit::Outcome::Answered));
    view("elicit_modal", &elicit::modal(&form(), "{}").unwrap());
    let page = question(
        "sso",
        "login",
        &json!({ "mode": "url", "message": "Log in", "url": "https://login.example:8443/a?b=c" }),
    );
    assert!(elicit::modal(&page, "").is_none());
    message("elicit_page", &elicit::card(&page, "q1"));
}

#[test]
fn the_home_tab_looks_as_it_does() {
    let home = home::Home {
        standing: status::Standing { name: "Ann".into(), role: Some("dba".into()), ..status::Standing::default() },
        servers: vec![server("database_mcp", 8)],
        recent: vec![home::Recent {
            question: "Check health".into(),
            at: at(),
            is_answered: true,
            link: Some("https://acme.slack.com/archives/C1/p1".into()),
            again: Some("0190".into()),
        }],
        pending: vec![call()],
        schedules: vec![schedules()[0].clone()],
        preferences: Some(home::Preferences::default()),
        has_schedules: true,
    };
    view("home", &home::view(&home));
    view("home_closed", &home::closed(&person::unknown("U0REQUESTER", None, None)));
}

fn schedules() -> Vec<schedule::Schedule> {
    let one = schedule::Schedule {
        id: "s1".into(),
        question: "Cost of the week".into(),
        cron: "0 9 * * 1".into(),
        zone: "Europe/Berlin".into(),
        channel: "C0REPORTS".into(),
        next: Some(at()),
        ..schedule::Schedule::default()
    };
    let paused = schedule::Schedule { state: schedule::State::Paused, ..one.clone() };
    let failed = schedule::State::Failed { reason: "the server is away".into() };
    vec![one.clone(), paused, schedule::Schedule { state: failed, is_fixed: true, ..one }]
}

#[test]
fn schedules_look_as_they_do() {
    message("schedules", &schedule::list(&schedules()));
    message("schedules_none", &schedule::list(&[]));
    view("schedule_modal", &schedule::modal("Cost of the week", "Europe/Berlin", "{}"));
}

#[test]
fn reports_look_as_they_do() {
    let question = "What broke <!here> & why?";
    let head = report::Head { slack_id: Some("U0REQUESTER"), name: "Ann", at: at(), title: None, question };
    message("report", &Message::new("x", head.blocks()));
    let titled = report::Head { slack_id: None, title: Some("*On call*"), ..head };
    message("report_of_file", &Message::new("x", titled.blocks()));
    message("report_rests", &report::rests(question, "the model is away <!here>", false));
    message("report_of_file_rests", &report::rests(question, "the model is away", true));
}

#[test]
fn notices_look_as_they_do() {
    message("asked", &notice::asked("U0REQUESTER", "Is it well?\nAnd <!channel>, who broke *it*?"));
    message("not_here", &notice::not_here(false));
    message("not_here_direct", &notice::not_here(true));
    message("interrupted", &notice::interrupted());
    message("report_interrupted", &notice::report_interrupted("What *broke* <!here>?"));
    message("elsewhere", &confirm::elsewhere());
    message("help_in_threads", &help::in_threads());
}

#[test]
fn what_else_there_is_looks_as_it_does() {
    message("greeting", &person::greeting(None));
    message("no_question", &person::no_question(&[]));
    message("unknown_person", &person::unknown("U0REQUESTER", Some("ann@company.com"), Some("#it-help")));
    message("refused_person", &person::refused("ann is deactivated"));
    view("feedback_modal", &feedback::modal("{}"));
    message("unread", &shortcut::unread("Why <!here>?"));
    view("shortcut_modal", &shortcut::modal("The build <!here> is red", "{}"));
    let prompts = prompt::to_json(&prompt::for_servers(&[("Database".into(), "get_health".into())]));
    insta::assert_json_snapshot!("prompts", prompts);
    let chunk = task::Card::started("c1", "database_mcp", "get_health", &json!({ "database": "a" })).chunk();
    check::chunk(&chunk);
    insta::assert_json_snapshot!("task", chunk);
}

#[test]
fn errors_say_what_happened_and_what_to_do() {
    let id = Some("0190-ab");
    let internal = Error::Internal { message: "/etc/secret".into() };
    insta::assert_snapshot!("error_internal", error::text(&internal, id));
    let denied = Error::Denied { message: "you may not use drop_index".into() };
    insta::assert_snapshot!("error_denied", error::text(&denied, id));
    let timeout = Error::Timeout { after: std::time::Duration::from_secs(60) };
    insta::assert_snapshot!("error_timeout", error::text(&timeout, None));
    assert_eq!(error::message(&timeout, id, Some("q")).blocks.len(), 2);
    assert_eq!(error::message(&denied, id, Some("q")).blocks.len(), 1);
}

#[test]
fn a_rate_limit_is_told_in_the_words_of_the_original() {
    use omni_core::limit::{Limit, LimitError, LimitKey, Refusal};
    let hour = Limit::Window { max: 20, per: std::time::Duration::from_secs(3_600) };
    let key = LimitKey::new("default", "ask:hour:ada@company.com");
    let refusal = Refusal::new(key, hour, 20, std::time::Duration::from_secs(1_320));
    let error = Error::Limit(LimitError::Refused(Box::new(refusal)));
    assert_eq!(
        error::text(&error, Some("0190")),
        "🚫 Rate limit exceeded. You've made 20/20 requests in the last hour. Please try again in 22 minutes."
    );
}
