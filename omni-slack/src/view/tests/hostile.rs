use proptest::prelude::*;

use super::*;

fn some() -> impl Strategy<Value = String> {
    check::hostile()
}

fn servers(text: &str, count: usize) -> Vec<help::Server> {
    let one = |n: usize| help::Server {
        name: format!("{n}{text}"),
        display_name: text.into(),
        description: Some(text.into()),
        dot: help::Dot::Away,
        tools: count,
    };
    (0..count).map(one).collect()
}

fn tools(text: &str, count: usize) -> Vec<help::Tool> {
    let one = |n: usize| help::Tool {
        name: format!("{n}{text}"),
        description: Some(text.into()),
        is_read_only: n.is_multiple_of(2),
        is_destructive: n.is_multiple_of(3),
        needs_approval: true,
    };
    (0..count).map(one).collect()
}

fn standing(text: &str) -> status::Standing {
    let quota = status::Quota {
        counts: status::Counts::Dollars(omni_core::limit::Period::Month),
        shared: Some(status::Shared::All),
        used: Some(u64::MAX),
        limit: 0,
        resets_in: Some(u64::MAX),
    };
    let (name, role) = (text.into(), Some(text.into()));
    let (cost_today_usd, asked_today) = (Some(1e12), Some(u64::MAX));
    status::Standing { name, role, quotas: vec![quota; 40], cost_today_usd, asked_today }
}

fn card(text: &str) -> confirm::Card {
    confirm::Card {
        value: "0190".into(),
        server: text.into(),
        tool: text.into(),
        arguments: json!({ text: [text, { "x": text }] }),
        effect: Some(text.into()),
        rule: Some(text.into()),
        asker: Some(text.into()),
        expires_at: at(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn answers(text in some(), mrkdwn in any::<bool>(), max in 0_usize..20_000) {
        let style = if mrkdwn { answer::Style::Mrkdwn } else { answer::Style::Markdown };
        let many = vec![text.clone(); 30];
        let person = footer::Person {
            format: footer::Format::Detailed,
            name: Some(text.clone()),
            role: Some(text.clone()),
            emoji: Some(text.clone()),
            email: Some(text.clone()),
            servers: Some(footer::Servers::Some(30)),
            server_names: many.clone(),
        };
        let footer = footer::Footer {
            tools: many.clone(), model: Some(text.clone()), role: Some(text.clone()), trace: Some(text.clone()),
            warnings: many, ..answered().footer
        };
        let view = answer::View { markdown: text.clone(), style, max: Some(max), person, footer, note: Some("n".into()), ..answered() };
        for page in 0..=answer::page_count(&view) {
            let message = answer::message(&view, page);
            prop_assume!(!has_code_call(&message));
            check::message(&message);
        }
        check::message(&answer::working(&text, Some(&text)));
    }

    #[test]
    fn help_and_status(text in some(), count in 0_usize..300, page in 0_usize..50) {
        let servers = servers(&text, count);
        let open = servers.first().map(|server| server.name.clone());
        let menu = help::Menu { role: Some(text.clone()), servers: servers.clone(), open, tools: tools(&text, count), page, problem: None, introduction: None };
        check::message(&help::menu(&menu));
        check::message(&help::menu(&help::Menu { open: None, ..menu }));
        let operation = status::Operation { version: text.clone(), provider: Some((text.clone(), Some(false))), ..status::Operation::default() };
        check::message(&status::message(&status::Status { standing: standing(&text), servers, operation: Some(operation) }));
    }

    #[test]
    fn approvals_and_questions(text in some()) {
        let card = card(&text);
        check::message(&confirm::card(&card));
        check::view(&confirm::details_modal(&card));
        check::message(&confirm::not_yours(&text));
        let outcomes = [
            confirm::Outcome::Denied { by: text.clone(), at: at(), reason: Some(text.clone()) },
            confirm::Outcome::Void { reason: Some(text.clone()) },
        ];
        for outcome in outcomes {
            check::message(&confirm::decided(&card, &outcome));
        }
        let field = json!({ "type": "string", "title": text, "description": text, "default": text, "enum": [text, "b"] });
        let free = json!({ "type": "string", "title": text, "description": text, "default": text, "format": text });
        let schema = json!({ "type": "object", "properties": { "a": field, "b": free } });
        let asked = json!({ "message": text, "requestedSchema": schema });
        prop_assume!(asked.to_string().len() < 60_000);
        let question = question(&text, &text, &asked);
        check::message(&elicit::card(&question, &text));
        check::view(&elicit::modal(&question, &text).unwrap());
    }

    #[test]
    fn home_and_schedules(text in some(), count in 0_usize..40) {
        let schedule = schedule::Schedule {
            id: text.clone(), question: text.clone(), cron: text.clone(), zone: text.clone(), channel: text.clone(),
            next: None, state: schedule::State::Failed { reason: text.clone() }, is_fixed: false,
        };
        let recent = home::Recent { question: text.clone(), at: at(), is_answered: false, link: Some(text.clone()), again: Some(text.clone()) };
        let schedules = vec![schedule; count];
        let home = home::Home {
            standing: standing(&text), servers: servers(&text, count), recent: vec![recent; count],
            pending: vec![card(&text); count], schedules: schedules.clone(), preferences: Some(home::Preferences::default()),
            has_schedules: true,
        };
        check::view(&home::view(&home));
        check::message(&schedule::list(&schedules));
        check::view(&schedule::modal(&text, &text, &text));
    }

    #[test]
    fn what_else_there_is(text in some()) {
        check::message(&person::unknown(&text, Some(&text), Some(&text)));
        check::message(&person::unknown(&text, None, None));
        check::message(&person::refused(&text));
        check::message(&person::no_question(&vec![text.clone(); 9]));
        check::message(&error::message(&Error::Denied { message: text.clone() }, Some(&text), Some(&text)));
        check::view(&shortcut::modal(&text, &text));
        check::chunk(&task::Card::started(&text, &text, &text, &json!({ "a": text })).chunk());
        check::chunk(&task::Card::stopped(&text, &text, &text).chunk());
        let prompts = prompt::to_json(&prompt::for_servers(&vec![(text.clone(), text.clone()); 9]));
        prop_assert!(prompts.as_array().unwrap().len() <= limits::PROMPTS);
        prop_assert!(check::control(&prompts.to_string()).is_none());
    }
}

/// In code `@here` stays, which is nobody there.
fn has_code_call(message: &Message) -> bool {
    let text = message.to_json().to_string();
    ["@channel", "@here", "@everyone"].iter().any(|call| text.contains(call))
}
