//! What a record looks like when it is sealed: without secrets, capped, in one spelling.

use std::io;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{AdminRecord, AskRecord, CallRecord, Event, Outcome, Record, spelling};
use crate::{audit::AuditError, config::StoreContent, redact::Redactor};

/// Most characters of a question or an answer.
pub const MAX_TEXT: usize = 32 * 1024;
/// Most characters of a call's arguments as JSON.
pub const MAX_ARGUMENTS: usize = 16 * 1024;
/// Most characters of an error.
pub const MAX_ERROR: usize = 2 * 1024;

/// Most characters of a question, or of a call's arguments, that was refused before it began: whoever is refused fills the
/// ledger slowly, however much they send.
pub const MAX_REFUSED: usize = 2 * 1024;

/// Most characters of a name or a rule.
const MAX_NAME: usize = 512;
/// Most characters of a question or an answer of which only a preview is kept.
const MAX_PREVIEW: usize = 200;

/// A record as it is kept, and its bytes.
pub(crate) fn written(
    record: Record,
    redactor: &Redactor,
    content: StoreContent,
) -> Result<(Record, Bytes), AuditError> {
    let record = clean(record, redactor, content);
    let bytes = canonical(&record)?;
    Ok((record, bytes))
}

/// Takes secrets out of a record and cuts what is too long, or more than is to be kept.
pub(crate) fn clean(record: Record, redactor: &Redactor, content: StoreContent) -> Record {
    let mut record = without_secrets(record, redactor);
    let keep = match content {
        StoreContent::Full => return record,
        StoreContent::Preview => MAX_PREVIEW,
        StoreContent::None => 0,
    };
    let shorten = |text: &mut String| *text = text.chars().take(keep).collect();
    match &mut record.event {
        Event::Ask(ask) => [&mut ask.question, &mut ask.answer].into_iter().for_each(shorten),
        Event::AskStarted { question } => shorten(question),
        Event::Started(call) | Event::ToolCall(call) | Event::DirectCall(call) => {
            // What a tool says of its failure is its output, and may quote the arguments.
            call.error.iter_mut().for_each(shorten);
            if keep == 0 {
                call.arguments = Value::Null;
            }
        }
        // A decision on a call quotes the call.
        Event::Admin(admin) if keep == 0 && admin.action.starts_with("confirmation.") => {
            match admin.details.get_mut("arguments") {
                Some(arguments) => *arguments = Value::Null,
                // They were cut, and what is left of them begins with the call.
                None => admin.details = Value::Null,
            }
        }
        Event::Admin(_) | Event::ChainOpened { .. } | Event::Gap { .. } => {}
    }
    record
}

fn without_secrets(mut record: Record, redactor: &Redactor) -> Record {
    match &mut record.event {
        Event::DirectCall(call) if call.unsent && matches!(call.outcome, Outcome::Denied | Outcome::RateLimited) => {
            clean_call(call, redactor, MAX_REFUSED);
        }
        Event::Started(call) | Event::ToolCall(call) | Event::DirectCall(call) => {
            clean_call(call, redactor, MAX_ARGUMENTS);
        }
        Event::Ask(ask) => clean_ask(ask, redactor),
        Event::AskStarted { question } => clean_text(question, redactor, MAX_TEXT),
        Event::Admin(admin) => clean_admin(admin, redactor),
        Event::ChainOpened { .. } | Event::Gap { .. } => {}
    }
    record
}

fn clean_admin(admin: &mut AdminRecord, redactor: &Redactor) {
    clean_text(&mut admin.target, redactor, MAX_NAME);
    clean_json(&mut admin.details, redactor, MAX_ARGUMENTS);
    clean_error(&mut admin.error, redactor);
}

fn clean_call(call: &mut CallRecord, redactor: &Redactor, most: usize) {
    // A model or a caller made these up, perhaps.
    for name in [&mut call.server, &mut call.tool, &mut call.call_id].into_iter().chain(&mut call.rule) {
        clean_text(name, redactor, MAX_NAME);
    }
    clean_json(&mut call.arguments, redactor, most);
    clean_error(&mut call.error, redactor);
}

fn clean_ask(ask: &mut AskRecord, redactor: &Redactor) {
    let is_refused = ask.iterations == 0 && matches!(ask.outcome, Outcome::Denied | Outcome::RateLimited);
    clean_text(&mut ask.question, redactor, if is_refused { MAX_REFUSED } else { MAX_TEXT });
    clean_text(&mut ask.answer, redactor, MAX_TEXT);
    // A caller may have made it up.
    if let Some(model) = &mut ask.model {
        clean_text(model, redactor, MAX_NAME);
    }
    clean_error(&mut ask.error, redactor);
}

fn clean_error(error: &mut Option<String>, redactor: &Redactor) {
    if let Some(error) = error {
        clean_text(error, redactor, MAX_ERROR);
    }
}

fn clean_text(text: &mut String, redactor: &Redactor, max: usize) {
    redactor.clean(text);
    cut(text, max);
}

fn clean_json(value: &mut Value, redactor: &Redactor, most: usize) {
    redactor.clean_json(value);
    let mut size = Size(0);
    if serde_json::to_writer(&mut size, value).is_ok() && size.0 <= most {
        return;
    }
    let mut text = value.to_string();
    if text.chars().count() > most {
        cut(&mut text, most);
        *value = json!({ "_cut": text });
    }
}

/// How many bytes were written to it.
struct Size(usize);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Leaves the first `max` characters, with a mark where more was.
fn cut(text: &mut String, max: usize) {
    // As many bytes hold at most as many characters.
    if text.len() <= max {
        return;
    }
    if let Some((end, _)) = text.char_indices().nth(max) {
        let all = text.chars().count();
        text.truncate(end);
        text.push_str(&format!("… [cut: {max} of {all} characters]"));
    }
}

/// Sorted keys, no spaces.
pub(crate) fn canonical(record: &Record) -> Result<Bytes, AuditError> {
    let spelled = spelling::spell(record);
    spelled.map(Bytes::from).map_err(|error| AuditError::Invalid { message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::ledger::Outcome;

    fn ask(question: &str) -> Record {
        Record::new(Uuid::nil(), None, Event::Ask(Box::new(AskRecord::new(question, Outcome::Success))))
    }

    fn call(arguments: Value) -> Record {
        Record::new(Uuid::nil(), None, Event::ToolCall(CallRecord::new("db", "query", arguments, Outcome::Success)))
    }

    fn arguments(record: &Record) -> &Value {
        match &record.event {
            Event::ToolCall(call) => &call.arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_preview_is_short_and_none_keeps_neither_words_nor_arguments() {
        let kept = |record, content| clean(record, &Redactor::new(), content).event;
        let question = "x".repeat(500);
        let Event::Ask(preview) = kept(ask(&question), StoreContent::Preview) else { panic!("an ask") };
        let Event::Ask(none) = kept(ask(&question), StoreContent::None) else { panic!("an ask") };
        assert_eq!((preview.question.len(), none.question.len()), (MAX_PREVIEW, 0));
        let Event::ToolCall(call) = kept(call(json!({"a": 1})), StoreContent::None) else { panic!("a call") };
        assert_eq!(call.arguments, Value::Null);
    }

    #[test]
    fn a_decision_keeps_no_arguments_where_none_are_kept() {
        for size in [1, MAX_ARGUMENTS] {
            let mut decision = AdminRecord::new("confirmation.approved", "db.drop");
            decision.details = json!({ "arguments": { "text": "x".repeat(size) }, "digest": "d" });
            let record = Record::new(Uuid::nil(), None, Event::Admin(decision));
            let Event::Admin(kept) = clean(record, &Redactor::new(), StoreContent::None).event else {
                panic!("a decision")
            };
            assert!(!kept.details.to_string().contains('x'), "{kept:?}");
        }
    }

    #[test]
    fn canonical_bytes_have_sorted_keys_and_no_spaces() {
        let bytes = canonical(&call(json!({"b": 1, "a": {"d": [1, 2], "c": "x y"}}))).unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.contains(r#""arguments":{"a":{"c":"x y","d":[1,2]},"b":1}"#), "{text}");
        assert!(text.starts_with(r#"{"arguments""#), "{text}");
    }

    #[test]
    fn a_record_survives_its_canonical_form() {
        let record = call(json!({"limit": 18_446_744_073_709_551_615_u64, "ratio": 0.1}));
        let back: Record = serde_json::from_slice(&canonical(&record).unwrap()).unwrap();
        assert_eq!(back, record);
        let ask = ask("naïve?");
        assert_eq!(serde_json::from_slice::<Record>(&canonical(&ask).unwrap()).unwrap(), ask);
    }

    #[test]
    fn long_questions_are_cut_by_characters_and_say_so() {
        let record = clean(ask(&"é".repeat(MAX_TEXT + 5)), &Redactor::new(), StoreContent::Full);
        let Event::Ask(ask) = record.event else { panic!("an ask") };
        assert!(ask.question.ends_with(&format!("é… [cut: {MAX_TEXT} of {} characters]", MAX_TEXT + 5)));
        assert_eq!(ask.question.matches('é').count(), MAX_TEXT);
    }

    #[test]
    fn long_arguments_stay_json_and_are_marked_as_cut() {
        let record = clean(call(json!({"text": "x".repeat(MAX_ARGUMENTS)})), &Redactor::new(), StoreContent::Full);
        let text = arguments(&record)["_cut"].as_str().unwrap();
        assert!(text.starts_with(r#"{"text":"xxx"#) && text.contains("[cut: "), "{text}");
    }

    #[test]
    fn of_what_is_refused_no_more_is_kept_than_tells_what_it_was() {
        let long = "x".repeat(100_000);
        let size =
            |event| canonical(&clean(Record::new(Uuid::nil(), None, event), &Redactor::new(), StoreContent::Full));
        let asked = |outcome| size(Event::Ask(Box::new(AskRecord::new(&long, outcome)))).unwrap().len();
        for outcome in [Outcome::Denied, Outcome::RateLimited] {
            assert!(asked(outcome) < MAX_REFUSED + 1_000, "{outcome:?}");
        }
        assert!(asked(Outcome::Success) > MAX_TEXT);
        let mut call = CallRecord::new("db", "query", json!({ "text": long }), Outcome::Denied);
        assert!(size(Event::DirectCall(call.clone())).unwrap().len() > MAX_ARGUMENTS);
        call.unsent = true;
        assert!(size(Event::DirectCall(call)).unwrap().len() < MAX_REFUSED + 1_000);
    }

    #[test]
    fn names_that_somebody_made_up_are_cut_and_hold_no_secret() {
        let mut call = CallRecord::new("db", &"x".repeat(1_000_000), Value::Null, Outcome::Error);
        call.call_id = "sk-abcdefghijklmnopqrstuvwxyz".into();
        let record = Record::new(Uuid::nil(), None, Event::DirectCall(call));
        let bytes = canonical(&clean(record, &Redactor::new(), StoreContent::Full)).unwrap();
        assert!(bytes.len() < 2_000, "{}", bytes.len());
        assert!(!String::from_utf8_lossy(&bytes).contains("abcdefghijklmnop"));
    }

    #[test]
    fn a_models_name_is_cut_and_holds_no_secret() {
        for name in ["sk-abcdefghijklmnopqrstuvwxyz".to_owned(), "x".repeat(1_000_000)] {
            let mut asked = AskRecord::new("?", Outcome::Error);
            asked.model = Some(name);
            let record = Record::new(Uuid::nil(), None, Event::Ask(Box::new(asked)));
            let bytes = canonical(&clean(record, &Redactor::new(), StoreContent::Full)).unwrap();
            assert!(bytes.len() < 2_000, "{}", bytes.len());
            assert!(!String::from_utf8_lossy(&bytes).contains("abcdefghijklmnop"));
        }
    }

    #[test]
    fn secrets_are_gone_before_anything_is_cut() {
        let secret = "s3cr3t-value-of-the-config";
        let redactor = Redactor::new().with_value(secret);
        let question = format!("{}{secret}", "x".repeat(MAX_TEXT - 5));
        let bytes = canonical(&clean(ask(&question), &redactor, StoreContent::Full)).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("s3cr"));
    }
}
