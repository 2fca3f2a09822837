//! What Slack refuses in blocks and messages.

use serde_json::{Value, json};

use super::bot::{OPS, button, buttons, section, workspace};

fn labelled(text: &str) -> Value {
    json!({ "type": "button", "action_id": "a", "text": { "type": "plain_text", "text": text } })
}

fn select(options: usize) -> Value {
    let option = |n| json!({ "text": { "type": "plain_text", "text": format!("o{n}") }, "value": format!("v{n}") });
    json!({ "type": "static_select", "action_id": "s", "options": (0..options).map(option).collect::<Vec<_>>() })
}

fn table(rows: usize, columns: usize) -> Value {
    json!({ "type": "table", "rows": vec![vec![json!({ "type": "raw_text", "text": "x" }); columns]; rows] })
}

/// Blocks, and what Slack says against them.
fn refused() -> Vec<(Value, &'static str)> {
    let header = |kind: &str, text: String| json!({ "type": "header", "text": { "type": kind, "text": text } });
    let wide = |value: Value| buttons(&[value]);
    let same_id = json!([{ "type": "divider", "block_id": "x" }, { "type": "divider", "block_id": "x" }]);
    let confirm = json!({
        "title": { "type": "plain_text", "text": "t".repeat(101) }, "text": { "type": "mrkdwn", "text": "t" },
        "confirm": { "type": "plain_text", "text": "y" }, "deny": { "type": "plain_text", "text": "n" },
    });
    let mut asking = button("a");
    asking["confirm"] = confirm;
    let mut heavy = button("a");
    heavy["value"] = "v".repeat(2001).into();
    let mut loud = button("a");
    loud["style"] = "loud".into();
    let mut picked = select(2);
    picked["initial_option"] = json!({ "text": { "type": "plain_text", "text": "x" }, "value": "elsewhere" });
    vec![
        (json!(vec![section("a"); 51]), "no more than 50 items allowed [json-pointer:/blocks]"),
        (json!([section(&"x".repeat(3001))]), "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
        (json!([section("")]), "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        (json!([{ "type": "section" }]), "must have text or fields [json-pointer:/blocks/0]"),
        (
            json!([{ "type": "section", "fields": vec![json!({ "type": "mrkdwn", "text": "f" }); 11] }]),
            "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
        ),
        (
            json!([{ "type": "section", "fields": [{ "type": "mrkdwn", "text": "f".repeat(2001) }] }]),
            "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
        ),
        (json!([{ "type": "section", "text": "plain" }]), "must be an object [json-pointer:/blocks/0/text]"),
        (
            json!([{ "type": "section", "text": { "type": "mrkdwn", "text": "a" }, "txet": 1 }]),
            "invalid additional property: txet [json-pointer:/blocks/0]",
        ),
        (json!([{ "type": "sectoin" }]), "unsupported type: sectoin [json-pointer:/blocks/0/type]"),
        (json!(["text"]), "must be an object [json-pointer:/blocks/0]"),
        (
            json!([header("mrkdwn", "h".into())]),
            "must be a valid enum value: plain_text [json-pointer:/blocks/0/text/type]",
        ),
        (
            json!([header("plain_text", "h".repeat(151))]),
            "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
        ),
        (
            json!([buttons(&vec![button("a"); 2])]),
            "action_id `a` already exists for another element in this block [json-pointer:/blocks/0]",
        ),
        (
            json!([buttons(&(0..26).map(|n| button(&n.to_string())).collect::<Vec<_>>())]),
            "no more than 25 items allowed [json-pointer:/blocks/0/elements]",
        ),
        (json!([buttons(&[])]), "no less than 1 items allowed [json-pointer:/blocks/0/elements]"),
        (
            json!([wide(labelled(&"x".repeat(76)))]),
            "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
        ),
        (json!([wide(heavy)]), "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]"),
        (json!([wide(loud)]), "must be a valid enum value: primary, danger [json-pointer:/blocks/0/elements/0/style]"),
        (
            json!([wide(asking)]),
            "must be less than 101 characters [json-pointer:/blocks/0/elements/0/confirm/title/text]",
        ),
        (
            json!([wide(json!({ "type": "plain_text_input", "action_id": "a" }))]),
            "unsupported type: plain_text_input [json-pointer:/blocks/0/elements/0/type]",
        ),
        (
            json!([wide(button(&"a".repeat(256)))]),
            "must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]",
        ),
        (json!([wide(select(101))]), "no more than 100 items allowed [json-pointer:/blocks/0/elements/0/options]"),
        (json!([wide(select(0))]), "no less than 1 items allowed [json-pointer:/blocks/0/elements/0/options]"),
        (
            json!([wide(picked)]),
            "initial_option must be one of the options [json-pointer:/blocks/0/elements/0/initial_option]",
        ),
        (
            json!([{ "type": "context", "elements": vec![json!({ "type": "mrkdwn", "text": "c" }); 11] }]),
            "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
        ),
        (
            json!([{ "type": "context", "elements": [button("a")] }]),
            "unsupported type: button [json-pointer:/blocks/0/elements/0/type]",
        ),
        (
            json!([{ "type": "context_actions", "elements": [button("a")] }]),
            "unsupported type: button [json-pointer:/blocks/0/elements/0/type]",
        ),
        (
            json!([{ "type": "markdown", "text": "m".repeat(12_001) }]),
            "must be less than 12001 characters [json-pointer:/blocks/0/text]",
        ),
        (
            json!([{ "type": "markdown", "text": "m".repeat(6001) }, { "type": "markdown", "text": "m".repeat(6000) }]),
            "markdown blocks may hold 12000 characters in all [json-pointer:/blocks]",
        ),
        (json!([table(101, 1)]), "no more than 100 items allowed [json-pointer:/blocks/0/rows]"),
        (json!([table(1, 21)]), "no more than 20 items allowed [json-pointer:/blocks/0/rows/0]"),
        (json!([{ "type": "image", "alt_text": "a" }]), "must have image_url or slack_file [json-pointer:/blocks/0]"),
        (
            json!([{ "type": "task_card", "task_id": "t", "title": "T", "status": "done" }]),
            "must be a valid enum value: pending, in_progress, complete, error [json-pointer:/blocks/0/status]",
        ),
        (same_id, "block_id `x` already exists [json-pointer:/blocks/1/block_id]"),
    ]
}

#[tokio::test]
async fn what_is_wrong_with_blocks_is_said_as_slack_says_it() {
    let (slack, bot) = workspace().await;
    for (blocks, objection) in refused() {
        let answer = bot.call("chat.postMessage", json!({ "channel": OPS, "text": "t", "blocks": blocks })).await;
        assert_eq!(answer["error"], "invalid_blocks", "{objection}: {answer}");
        assert!(answer["errors"].as_array().unwrap().contains(&objection.into()), "{objection}: {answer}");
        let told = slack.violations().pop().unwrap();
        assert!(told.starts_with("chat.postMessage: invalid_blocks: ") && told.contains(objection), "{told}");
    }
    assert!(slack.messages(OPS).is_empty(), "nothing was posted");
    assert_eq!(slack.violations().len(), refused().len());
}

#[tokio::test]
async fn what_is_just_within_the_limits_is_taken() {
    let (slack, bot) = workspace().await;
    let elements: Vec<Value> = (0..25).map(|n| button(&n.to_string())).collect();
    let feedback = |value: &str| json!({ "text": { "type": "plain_text", "text": value }, "value": value });
    let blocks = json!([
        section(&"x".repeat(3000)),
        { "type": "header", "text": { "type": "plain_text", "text": "h".repeat(150), "emoji": true } },
        { "type": "divider" },
        buttons(&elements),
        buttons(&[select(100)]).as_object().map(|block| {
            let mut block = block.clone();
            block.insert("block_id".into(), "menu".into());
            block
        }),
        { "type": "context", "elements": vec![json!({ "type": "mrkdwn", "text": "c" }); 10] },
        { "type": "context_actions", "elements": [{
            "type": "feedback_buttons", "action_id": "f",
            "positive_button": feedback("good"), "negative_button": feedback("bad"),
        }] },
        { "type": "markdown", "text": "m".repeat(5000) },
        table(100, 20),
        { "type": "rich_text", "elements": [{ "type": "rich_text_section", "elements": [{ "type": "text", "text": "r" }] }] },
    ]);
    bot.does("chat.postMessage", json!({ "channel": OPS, "text": "t", "blocks": blocks })).await;
    assert_eq!(slack.violations(), [""; 0]);
    let message = slack.messages(OPS).remove(0);
    assert!(message.blocks.iter().all(|block| block["block_id"].is_string()), "Slack names what has no name");
    assert!(message.element("24").is_some() && message.element("f").is_some());
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_said_as_slack_says_it() {
    let (slack, bot) = workspace().await;
    let ts = bot.posts("first").await;
    let post = |args: Value| {
        let mut args = args;
        args["channel"] = OPS.into();
        args
    };
    let long: Vec<Value> = vec![section(&"x".repeat(2900)); 5];
    let refusals = [
        ("chat.postMessage", json!({}), "no_text"),
        ("chat.postMessage", json!({ "text": "t", "markdown_text": "m" }), "markdown_text_conflict"),
        ("chat.postMessage", json!({ "markdown_text": "m".repeat(12_001) }), "msg_too_long"),
        ("chat.postMessage", json!({ "text": "t", "blocks": long }), "msg_blocks_too_long"),
        ("chat.postMessage", json!({ "text": "t", "blocks": "[{" }), "invalid_blocks_format"),
        ("chat.postMessage", json!({ "text": "t", "blocks": [table(1, 1), table(1, 1)] }), "invalid_attachments"),
        ("chat.postMessage", json!({ "text": "t", "metadata": { "event_type": "x" } }), "invalid_metadata_format"),
        ("chat.update", json!({ "text": "u".repeat(4001), "ts": ts }), "msg_too_long"),
        ("chat.update", json!({ "text": "u" }), "invalid_arguments"),
        ("chat.noSuchThing", json!({}), "unknown_method"),
    ];
    for (method, args, error) in &refusals {
        assert_eq!(bot.refused(method, post(args.clone())).await, *error);
    }
    assert_eq!(slack.violations().len(), refusals.len(), "{:#?}", slack.violations());
}

#[tokio::test]
async fn text_over_forty_thousand_characters_is_cut_off() {
    let (slack, bot) = workspace().await;
    bot.posts(&"x".repeat(40_001)).await;
    assert_eq!(slack.messages(OPS)[0].text.len(), 40_000);
    assert_eq!(slack.violations(), ["chat.postMessage: text over 40000 characters is cut off"]);
}

#[tokio::test]
async fn whom_a_message_rings_up_is_seen_in_all_but_plain_text() {
    let (slack, bot) = workspace().await;
    let blocks = json!([
        section("<!channel> and <@U0ANN>"),
        { "type": "section", "text": { "type": "plain_text", "text": "<!here>" } },
        { "type": "markdown", "text": "&lt;!everyone&gt; <!everyone>" },
    ]);
    bot.does("chat.postMessage", json!({ "channel": OPS, "text": "plain", "blocks": blocks })).await;
    assert_eq!(slack.messages(OPS)[0].pings(), ["<!channel>", "<@U0ANN>", "<!everyone>"]);
}
