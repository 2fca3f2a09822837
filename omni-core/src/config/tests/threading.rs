use std::time::Duration;

use super::{error, findings, load};
use crate::{
    config::{Config, Severity},
    thread::{ContextRules, Place, SummaryRules, ThreadRules},
};

fn config(threading: &str) -> Config {
    load(&[("threading.yaml", threading)], &[]).unwrap()
}

/// The original's file, as it was shipped.
const ORIGINAL: &str = "\
threading:
  enabled: true
  behavior: { always_use_threads: false, continue_threads: true, new_thread_per_conversation: true }
  context:
    enabled: true
    max_messages: 7
    format: \"Previous conversation:\\n{context}\\n\\nCurrent question: {message}\"
    send_to_llm: true
  metadata: { storage: memory }
direct_messages:
  use_threads: true
  context: { enabled: true, max_messages: 9 }
channel_overrides:
  C1: { threading_enabled: false, context_enabled: true }
  C2: { context_enabled: false }
";

#[test]
fn without_a_file_three_messages_are_brought_along_in_channels_and_five_in_direct_messages() {
    let rules = load(&[], &[]).unwrap().threading;
    assert_eq!(rules, ThreadRules::default());
    assert_eq!((rules.channels.max_messages, rules.direct.max_messages), (3, 5));
    assert_eq!(config("").threading, rules);
    assert_eq!(config("threading:\ndirect_messages:\n").threading, rules);
}

#[test]
fn the_originals_file_is_live_and_not_a_key_of_it_unknown() {
    let config = config(ORIGINAL);
    assert_eq!(findings(&config, Severity::Warning), [""; 0]);
    let told = findings(&config, Severity::Info);
    let says = |text: &str| told.iter().any(|finding| finding.contains("threading.yaml") && finding.contains(text));
    assert!(says("accepted and not used by omni: format, send_to_llm"), "{told:?}");
    assert!(says("channel_overrides: now enforced; the original ignored it"), "{told:?}");
    let rules = config.threading;
    assert_eq!((rules.channels, rules.direct), (ContextRules::new(7), ContextRules::new(9)));
    assert_eq!(rules.own, rules.direct, "what is between one person and omni is like a direct message");
    assert!(!rules.replies_in_thread(&Place::Channel("C3".into()), false));
    assert!(rules.replies_in_thread(&Place::Channel("C3".into()), true));
    assert!(!rules.replies_in_thread(&Place::Channel("C1".into()), true));
    assert!(rules.replies_in_thread(&Place::Direct("D1".into()), false));
    assert!(rules.window(&Place::Channel("C1".into()), 100_000).is_some());
    assert!(rules.window(&Place::Channel("C2".into()), 100_000).is_none());
}

#[test]
fn what_omni_adds_is_read_and_shown() {
    let config = config(
        "threading: { expire_hours: 0.5, max_context_tokens: 900, context: { max_messages: 0 } }\n\
         sessions: { max_messages: 50 }\nchannel_overrides: { C1: { max_messages: 4 } }\n",
    );
    assert_eq!(findings(&config, Severity::Warning), [""; 0]);
    let rules = &config.threading;
    assert_eq!((rules.expiry, rules.max_tokens), (Duration::from_secs(1_800), 900));
    assert_eq!((rules.own, rules.direct), (ContextRules::new(50), ContextRules::new(5)));
    assert!(rules.window(&Place::Channel("C2".into()), 100_000).is_none(), "0 is none");
    assert_eq!(rules.window(&Place::Channel("C1".into()), 100_000).unwrap().max_messages, 4);
    let shown = &config.show()["threading"];
    assert_eq!((&shown["expire_hours"], &shown["sessions"]["max_messages"]), (&0.5.into(), &50.into()));
    assert_eq!(shown["channel_overrides"]["C1"]["max_messages"], 4);
}

#[test]
fn what_cannot_be_is_said_with_its_line() {
    for (text, says) in [
        ("threading:\n  expire_hours: 0\n", "threading.yaml:2: threading.expire_hours: it must be more than 0"),
        ("threading:\n  expire_hours: 1e9\n", "at most 87840 hours"),
        ("threading:\n  max_context_tokens: 0\n", "threading.max_context_tokens"),
        (
            "threading:\n  summary:\n    max_tokens: 5000\n",
            "threading.yaml:3: threading.summary.max_tokens: it must be from 64 to 4096, not 5000",
        ),
        ("threading: { summary: { max_tokens: 63 } }\n", "threading.summary.max_tokens"),
        ("threading: { summary: { model: ' ' } }\n", "threading.summary.model: it must name a model"),
        ("threading: { summary: { above_token: 3 } }\n", "did you mean \"above_tokens\"?"),
        ("threading: { summary: { above_tokens: -3 } }\n", "expected a number from 0"),
        ("threading: { context: { max_messages: -1 } }\n", "expected a number from 0"),
        ("sessions: { max_mesages: 3 }\n", "did you mean \"max_messages\"?"),
    ] {
        let error = error(&[("threading.yaml", text)]);
        assert!(error.contains(says), "{text}: {error}");
    }
    let odd = config("threading: { contxt: {} }\ndirect_messages: { context: { max_messages: 401 } }\n");
    let told = findings(&odd, Severity::Warning);
    assert!(told.iter().any(|finding| finding.contains("did you mean \"context\"?")), "{told:?}");
    assert!(told.iter().any(|finding| finding.contains("401 are more than the 400 messages")), "{told:?}");
}

#[test]
fn a_summary_is_made_where_it_is_switched_on_and_not_offline() {
    let rules = |text: &str| config(&format!("threading: {{ summary: {{ {text} }} }}\n"));
    assert_eq!(rules("above_tokens: 10").threading.summary, None);
    assert_eq!(config("threading: { enabled: true }\n").show()["threading"]["summary"], serde_json::Value::Null);
    let offline = rules("enabled: true");
    assert_eq!(offline.threading.summary, Some(SummaryRules::default()));
    let told = findings(&offline, Severity::Warning);
    assert!(told.iter().any(|finding| finding.contains("threading.summary: the offline provider writes none")));

    let threading = "threading: { summary: { enabled: true, above_tokens: 0, max_tokens: 300, model: haiku } }\n";
    let settings = "llm: { provider: anthropic, api_key: sk-ant-x }\n";
    let config = load(&[("settings.yaml", settings), ("threading.yaml", threading)], &[]).unwrap();
    assert_eq!(findings(&config, Severity::Warning), [""; 0]);
    let summary = config.threading.summary.clone().unwrap();
    assert_eq!((summary.above_tokens, summary.max_tokens, summary.model.as_deref()), (0, 300, Some("haiku")));
    assert_eq!(config.show()["threading"]["summary"]["max_tokens"], 300);
}
