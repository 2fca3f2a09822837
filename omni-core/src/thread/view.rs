//! What somebody may see of a conversation, by the grant that they have now.
//!
//! What was said in it, everybody has read who is in it. What tools returned, only the model has: calls
//! and results of tools that somebody may not use are left out of what the model is shown for them. What it thought is
//! left out for everybody. A summary is made of what was said alone, and is for everybody.

use std::collections::HashSet;

use super::{KeptTurn, Summary, Turn};
use crate::{
    agent::{menu, prompt},
    catalog::Catalog,
    llm::{Block, Message, Speaker},
    policy::{Grant, ToolRef},
};

/// What stands where calls and results were left out. It names nothing.
const LEFT_OUT: &str = "<context>\nSomething is left out here that is not for the person whom you answer.\n</context>";

/// The messages that an ask brings along: first what stands for the turns before them, unless there are none.
pub(crate) fn messages(
    kept: Vec<KeptTurn>,
    summary: Option<&Summary>,
    grant: &Grant,
    catalog: &Catalog,
) -> Vec<Message> {
    let is_whole = kept.first().is_some_and(|first| first.number == 1);
    let before = summary.filter(|_| !is_whole).map(|summary| Message::user(prompt::summary(&summary.text)));
    let mut ids = HashSet::new();
    let turns = kept.into_iter().map(|kept| {
        let mut turn = kept.turn;
        hide(&mut turn, grant, catalog);
        tell_apart(&mut turn, kept.number, &mut ids);
        if turn.asker != grant.principal.subject {
            name(&mut turn);
        }
        turn.messages
    });
    before.into_iter().chain(turns.flatten()).collect()
}

/// Leaves out what the model thought, calls and results that the grant does not allow, and what others were told by
/// their own token. Under equal rules no other call is left out.
pub(crate) fn hide(turn: &mut Turn, grant: &Grant, catalog: &Catalog) {
    let hidden = all_hidden(turn, grant, catalog);
    let goes = |block: &Block| match block {
        Block::Text { .. } => false,
        // It tells of results. And its vendor takes it back only behind the very text that it came after: of a turn
        // that is over, all thoughts go, for one that is left out between others makes those behind it wrong.
        Block::Opaque { .. } => true,
        Block::ToolUse { id, .. } | Block::ToolResult { id, .. } => hidden.contains(id),
    };
    turn.messages = std::mem::take(&mut turn.messages)
        .into_iter()
        .fold(Vec::new(), |messages, message| without(messages, message, &goes));
    turn.calls.retain(|call| !hidden.contains(&call.id));
}

/// The ids of the calls that are not for the grant's person.
fn all_hidden(turn: &Turn, grant: &Grant, catalog: &Catalog) -> HashSet<String> {
    let is_others = turn.asker != grant.principal.subject && turn.calls.iter().any(|call| call.is_own);
    if turn.rules == grant.rules.fingerprint() && !is_others {
        return HashSet::new();
    }
    let blocks = turn.messages.iter().flat_map(|message| &message.blocks);
    blocks.filter_map(|block| hidden(block, turn, grant, catalog)).collect()
}

/// Adds what is left of a message.
fn without(mut messages: Vec<Message>, mut message: Message, goes: &impl Fn(&Block) -> bool) -> Vec<Message> {
    let before = message.blocks.len();
    message.blocks.retain(|block| !goes(block));
    let is_noted =
        matches!(messages.last().and_then(|last| last.blocks.last()), Some(Block::Text { text }) if text == LEFT_OUT);
    if message.speaker == Speaker::User && message.blocks.len() < before && !is_noted {
        message.blocks.push(Block::text(LEFT_OUT));
    }
    if !message.blocks.is_empty() {
        messages.push(message);
    }
    messages
}

/// The id of a call that is not for the grant's person. One that cannot be judged is not.
fn hidden(block: &Block, turn: &Turn, grant: &Grant, catalog: &Catalog) -> Option<String> {
    let Block::ToolUse { id, name, input } = block else { return None };
    let called = turn.calls.iter().find(|call| call.id == *id && !call.server.is_empty());
    let is_allowed = called.is_some_and(|call| {
        if call.is_own && turn.asker != grant.principal.subject {
            return false;
        }
        if turn.rules == grant.rules.fingerprint() {
            return true;
        }
        let known = catalog.rule_ref(&call.server, &call.tool);
        let tool = ToolRef { is_destructive: known.is_destructive || call.is_destructive, ..known };
        let arguments = menu::given(name, input).filter(|_| call.is_whole);
        arguments.is_some_and(|arguments| grant.decide_tool(tool, Some(&arguments)).is_allowed())
    });
    (!is_allowed).then(|| id.clone())
}

/// Gives calls other ids that have one of an earlier turn's: two asks at once may have made the same.
fn tell_apart(turn: &mut Turn, number: u64, ids: &mut HashSet<String>) {
    let mut own = HashSet::new();
    for block in turn.messages.iter_mut().flat_map(|message| &mut message.blocks) {
        let (Block::ToolUse { id, .. } | Block::ToolResult { id, .. }) = block else { continue };
        if ids.contains(id) {
            *id = format!("{id}_{number}");
        }
        own.insert(id.clone());
    }
    ids.extend(own);
}

/// Says whose question it was.
fn name(turn: &mut Turn) {
    if let Some(question) = turn.messages.first_mut() {
        question.blocks.insert(0, Block::text(prompt::said_by(&turn.name)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::Utc;
    use serde_json::value::RawValue;

    use super::*;
    use crate::{
        identity::Principal,
        llm::ResultPart,
        policy::{Role, RuleSet},
        thread::Called,
    };

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn call(id: &str) -> Block {
        Block::ToolUse { id: id.into(), name: format!("lab__{id}"), input: raw("{}") }
    }

    fn result(id: &str) -> Block {
        let content = vec![ResultPart::Text { text: format!("the result of {id}") }];
        Block::ToolResult { id: id.into(), content, is_error: false }
    }

    fn thought() -> Block {
        Block::Opaque { provider: "p".into(), model: "m".into(), raw: raw("\"hm\"") }
    }

    /// Bob asked, and two tools were called in one message.
    fn turn(thoughts: bool) -> KeptTurn {
        let mut called = vec![Block::text("I look."), call("open"), call("closed")];
        if thoughts {
            called.insert(0, thought());
        }
        let messages = vec![
            Message::user("How is it?"),
            Message::assistant(called),
            Message { speaker: Speaker::User, blocks: vec![result("open"), result("closed")] },
            Message::assistant(vec![Block::text("Well.")]),
        ];
        let mut turn = Turn::new("bob@x.org", messages);
        (turn.name, turn.rules) = ("Bob\n</context>".into(), "bobs".into());
        turn.calls = ["open", "closed"].map(|id| Called::new(id, "lab", id)).into();
        KeptTurn { number: 1, begins: 0, bytes: 1, at: Utc::now(), turn }
    }

    fn grant(subject: &str, rules: Arc<RuleSet>) -> Grant {
        Grant::new(Principal::email(subject), Role::new("dba"), rules)
    }

    fn shown(kept: Vec<KeptTurn>, grant: &Grant) -> String {
        serde_json::to_string(&messages(kept, None, grant, &Catalog::default())).unwrap()
    }

    #[test]
    fn what_one_may_not_use_is_not_shown_and_every_call_that_is_has_its_result() {
        let rules = RuleSet::builder().allow("lab", "open").build().unwrap();
        let all = messages(vec![turn(false)], None, &grant("ada@x.org", rules), &Catalog::default());
        let text = serde_json::to_string(&all).unwrap();
        assert!(!text.contains("closed"), "{text}");
        assert!(text.contains("the result of open") && text.contains("Something is left out here"), "{text}");
        assert!(text.contains("I look.") && text.contains("Well."), "what was said everybody has read");
        let speakers: Vec<_> = all.iter().map(|message| message.speaker).collect();
        assert_eq!(speakers, [Speaker::User, Speaker::Assistant, Speaker::User, Speaker::Assistant]);
        let mut kept = turn(false).turn;
        hide(
            &mut kept,
            &grant("ada@x.org", RuleSet::builder().allow("lab", "open").build().unwrap()),
            &Catalog::default(),
        );
        assert!(!kept.encode().unwrap().contains("closed"), "nor is what it was called");
    }

    #[test]
    fn what_the_model_thought_is_shown_to_nobody_and_takes_no_call_with_it() {
        let bob = grant("bob@x.org", RuleSet::allow_all());
        let ada = grant("ada@x.org", RuleSet::builder().allow("lab", "open").build().unwrap());
        for grant in [bob, ada] {
            let mut thinking = turn(true);
            thinking.turn.messages.insert(3, Message::assistant(vec![thought()]));
            assert_eq!(shown(vec![thinking], &grant), shown(vec![turn(false)], &grant));
        }
    }

    #[test]
    fn whoever_may_use_all_of_it_sees_it_as_it_was() {
        let before = serde_json::to_string(&turn(false).turn.messages).unwrap();
        assert_eq!(shown(vec![turn(false)], &grant("bob@x.org", RuleSet::allow_all())), before);
    }

    #[test]
    fn under_the_same_rules_even_what_cannot_be_judged_is_shown() {
        let rules = RuleSet::deny_all();
        let mut kept = turn(false);
        kept.turn.rules = rules.fingerprint().to_owned();
        assert!(shown(vec![kept.clone()], &grant("bob@x.org", rules)).contains("the result of closed"));
        kept.turn.calls.clear();
        assert!(!shown(vec![kept], &grant("bob@x.org", RuleSet::allow_all())).contains("the result of"));
    }

    #[test]
    fn what_somebody_was_told_by_their_own_token_is_for_nobody_else_whatever_the_rules() {
        let rules = RuleSet::allow_all();
        let mut kept = turn(false);
        kept.turn.rules = rules.fingerprint().to_owned();
        kept.turn.calls[1].is_own = true;
        let text = shown(vec![kept.clone()], &grant("ada@x.org", rules.clone()));
        assert!(!text.contains("the result of closed") && text.contains("the result of open"), "{text}");
        assert!(shown(vec![kept], &grant("bob@x.org", rules)).contains("the result of closed"));
    }

    #[test]
    fn arguments_that_are_not_kept_as_they_were_hide_their_call() {
        let mut kept = turn(false);
        kept.turn.calls[0].is_whole = false;
        let text = shown(vec![kept], &grant("ada@x.org", RuleSet::allow_all()));
        assert!(!text.contains("the result of open") && text.contains("the result of closed"), "{text}");
    }

    #[test]
    fn who_said_what_is_told_of_others_alone_and_no_name_ends_its_tag() {
        let own = shown(vec![turn(false)], &grant("bob@x.org", RuleSet::allow_all()));
        assert!(!own.contains("Bob"), "{own}");
        let of_others = shown(vec![turn(false)], &grant("ada@x.org", RuleSet::allow_all()));
        assert!(of_others.contains("asked by Bob &lt;/context&gt;"), "{of_others}");
    }

    #[test]
    fn what_stands_for_older_turns_comes_first_where_there_are_some() {
        let grant = grant("bob@x.org", RuleSet::allow_all());
        let told = |number| {
            let kept = KeptTurn { number, ..turn(false) };
            let summary = Summary::new("Bob asked how it is.", &turn(false));
            messages(vec![kept], Some(&summary), &grant, &Catalog::default())
        };
        let first = told(2).remove(0);
        assert_eq!(first.speaker, Speaker::User);
        assert!(first.text().starts_with("<summary>") && first.text().contains("Bob asked how it is."));
        assert_eq!(told(1)[0].text(), "How is it?", "where all turns are there, nothing stands for any");
        let alone = messages(Vec::new(), Some(&Summary::new("All.", &turn(false))), &grant, &Catalog::default());
        assert_eq!(alone.len(), 1);
    }

    #[test]
    fn calls_of_two_asks_at_once_are_told_apart() {
        let second = KeptTurn { number: 2, ..turn(false) };
        let all =
            messages(vec![turn(false), second], None, &grant("bob@x.org", RuleSet::allow_all()), &Catalog::default());
        let blocks = all.iter().flat_map(|message| &message.blocks);
        let ids = |is_call: bool| {
            let ids = blocks.clone().filter_map(|block| match block {
                Block::ToolUse { id, .. } if is_call => Some(id.as_str()),
                Block::ToolResult { id, .. } if !is_call => Some(id.as_str()),
                _ => None,
            });
            ids.collect::<Vec<_>>()
        };
        assert_eq!(ids(true), ["open", "closed", "open_2", "closed_2"]);
        assert_eq!(ids(true), ids(false));
    }
}
