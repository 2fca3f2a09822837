use omni_core::{
    answer::Warning,
    limit::{Limit, LimitError, LimitKey, Refusal},
    llm::LlmError,
};

use super::*;
use crate::console::testing::console;

fn render(make: impl FnOnce(&Console) -> Box<dyn Render + '_>, watched: bool, ending: &Ending) -> (String, String) {
    let (console, out, err) = console(watched);
    let mut renderer = make(&console);
    for event in [
        AnswerEvent::Text { text: "All is \u{1b}[1".into() },
        AnswerEvent::ToolFinished(fixtures::call("ok")),
        AnswerEvent::ToolFinished(fixtures::call("error")),
        AnswerEvent::Text { text: "mwell\u{1b}[0m.".into() },
    ] {
        renderer.event(&event).unwrap();
    }
    renderer.end(ending).unwrap();
    drop(renderer);
    (out.text(), err.text())
}

fn done(allow_denied: bool, answer: Answer) -> Ending {
    Ending::new(Ok(answer), allow_denied)
}

#[test]
fn the_answer_goes_to_output_with_a_last_line_feed_and_nothing_else_does() {
    let (out, err) = render(|console| Box::new(Text::new(console, true)), false, &done(false, fixtures::answer()));
    assert_eq!((out.as_str(), err.as_str()), ("All is well.\n", ""));
    let (out, _) = render(|console| Box::new(Text::new(console, false)), false, &done(false, fixtures::answer()));
    assert_eq!(out, "All is well.\n");
}

#[test]
fn whoever_watches_sees_each_call_and_what_it_took() {
    let (_, err) = render(|console| Box::new(Text::new(console, false)), true, &done(false, fixtures::answer()));
    insta::assert_snapshot!(err, @r"
    ✓ db.get_health 412 ms
    ✗ db.get_health 412 ms: no such database
    — claude-haiku, 0 tokens, $0.000000, 1 call, 8.3 s
    ");
}

#[test]
fn a_denial_is_told_even_when_the_model_wrote_prose() {
    let mut answer = fixtures::answer();
    answer.denials.push(fixtures::denial());
    let (out, err) = render(|console| Box::new(Text::new(console, true)), false, &done(false, answer));
    assert_eq!(out, "All is well.\n");
    insta::assert_snapshot!(err, @r"
    warning: db.drop_table was denied (policy): roles.contractor.deny[1]
    hint: `omni policy explain` shows which rule decides; --allow-denied accepts such answers
    ");
}

#[test]
fn a_refusal_by_a_limit_keeps_its_words() {
    let limit = Limit::Window { max: 20, per: std::time::Duration::from_secs(3600) };
    let refusal = Refusal::new(LimitKey::new("default", "ask:a"), limit, 20, std::time::Duration::from_secs(61));
    let error = Error::Limit(LimitError::Refused(Box::new(refusal)));
    let (console, _, err) = console(false);
    let exit = fault(&console, &error.into(), Format::Text, true);
    assert_eq!(exit, Exit::RateLimited);
    insta::assert_snapshot!(err.text(), @"🚫 Rate limit exceeded. You've made 20/20 requests in the last hour. Please try again in 2 minutes.");
}

#[test]
fn the_document_of_an_answer_has_every_field() {
    let (out, err) = render(|console| Box::new(Document { console }), false, &done(false, fixtures::answer()));
    assert_eq!(err, "");
    insta::assert_snapshot!(out);
}

#[test]
fn a_denied_answer_says_so_in_its_document() {
    let mut answer = fixtures::answer();
    answer.denials.push(fixtures::denial());
    let denied = AskDocument::of(&done(false, answer.clone()));
    assert_eq!((denied.ok, denied.exit_code, denied.status), (false, 5, omni_core::answer::Status::Denied));
    let allowed = AskDocument::of(&done(true, answer));
    assert_eq!((allowed.ok, allowed.exit_code, allowed.denials.len()), (true, 0, 1));
}

#[test]
fn a_failure_is_a_document_too() {
    let (console, out, err) = console(false);
    let missing = Fault::with_exit("there is no question", Exit::InputNeeded).hint("give one");
    assert_eq!(fault(&console, &missing, Format::Json, true), Exit::InputNeeded);
    let document: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
    assert_eq!(document["exit_code"], 4);
    assert_eq!(document["error"]["code"], "input_needed");
    assert_eq!(document["error"]["hint"], "give one");
    assert_eq!(document["status"], "failed");
    assert_eq!(err.text(), "error: there is no question\nhint: give one\n");
}

#[test]
fn lines_end_with_the_end() {
    let (out, _) = render(|console| Box::new(Lines { console }), false, &done(false, fixtures::answer()));
    let events: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["token", "tool_end", "tool_end", "token", "done"]);
}

#[test]
fn lines_tell_the_cause_of_a_failure_as_the_document_does() {
    let error = Error::Llm(LlmError::Cut { provider: "openai", message: "reset by\npeer".into() });
    let ending = Ending::new(Err(Failure::new(error, fixtures::answer())), false);
    let (out, _) = render(|console| Box::new(Lines { console }), false, &ending);
    let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    let document = AskDocument::of(&ending).error.unwrap();
    assert_eq!(last["event"], "error");
    assert_eq!(last["error"]["message"], document.message);
    assert_eq!(document.message, "the answer of openai broke off: reset by peer");
}

#[test]
fn what_a_server_says_forges_no_line() {
    let forged = "noisy does not answer: x\nerror: forged\r\u{1b}[2K\u{2028}really";
    assert_eq!(one_line(forged), "noisy does not answer: x error: forged really");
    let (console, _, err) = console(true);
    let mut text = Text::new(&console, true);
    text.event(&AnswerEvent::Warning(Warning::new("server_unhealthy", forged))).unwrap();
    let mut call = fixtures::call("error");
    call.tool = "x\n✓ db.drop_all".into();
    text.event(&AnswerEvent::ToolFinished(call)).unwrap();
    assert_eq!(err.text().lines().count(), 2, "{}", err.text());
}

#[test]
fn the_wanted_form_is_known_even_when_the_arguments_are_wrong() {
    let guess = |line: &str| Format::guess(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
    assert_eq!(guess("omni ask --json --nonsense"), Format::Json);
    assert_eq!(guess("omni ask -o jsonl --nonsense"), Format::Jsonl);
    assert_eq!(guess("omni tools call x.y --json {} --nonsense"), Format::Text);
    assert_eq!(guess("omni ask --json --nonsense call"), Format::Json);
    assert_eq!(guess("omni ask --nonsense"), Format::Text);
}
