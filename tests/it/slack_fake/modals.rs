//! Buttons, response urls, triggers, modals and homes.

use std::time::Duration;

use omni_tests::slack::{Message, Slack, Submitted};
use serde_json::{Value, json};

use super::bot::{ANN, BOB, Bot, OPS, Socket, button, buttons, section, workspace};

fn form(title: &str) -> Value {
    json!({
        "type": "modal", "callback_id": "why", "private_metadata": "{\"req\":1}", "notify_on_close": true,
        "title": { "type": "plain_text", "text": title }, "submit": { "type": "plain_text", "text": "Send" },
        "blocks": [
            { "type": "input", "block_id": "reason", "label": { "type": "plain_text", "text": "Why?" },
              "element": { "type": "plain_text_input", "action_id": "typed" } },
            { "type": "input", "block_id": "kind", "optional": true, "label": { "type": "plain_text", "text": "Kind" },
              "element": { "type": "static_select", "action_id": "picked", "options": [
                  { "text": { "type": "plain_text", "text": "Wrong" }, "value": "wrong" },
              ] } },
            buttons(&[button("more")]),
        ],
    })
}

/// A message with a button, seen by all or by Ann alone.
async fn with_button(slack: &Slack, bot: &Bot, only_ann: bool) -> Message {
    let blocks = [buttons(&[button("go")])];
    if only_ann {
        bot.does("chat.postEphemeral", json!({ "channel": OPS, "user": ANN, "text": "t", "blocks": blocks })).await;
        return slack.ephemerals(ANN).remove(0);
    }
    bot.does("chat.postMessage", json!({ "channel": OPS, "text": "t", "blocks": blocks })).await;
    slack.messages(OPS).pop().unwrap()
}

/// A modal that a click opened.
async fn with_modal(slack: &Slack, bot: &Bot, socket: &mut Socket) -> omni_tests::slack::View {
    let message = with_button(slack, bot, false).await;
    socket.takes().await;
    let sent = slack.clicks(ANN, &message, "go").await;
    socket.takes().await;
    bot.does("views.open", json!({ "trigger_id": sent.trigger_id, "view": form("Why") })).await;
    slack.modal(ANN, "Why?").await
}

#[tokio::test]
async fn a_click_says_what_was_pressed_and_where() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    let message = with_button(&slack, &bot, false).await;
    socket.takes().await;
    slack.clicks(BOB, &message, "go").await;
    let envelope = socket.takes().await;
    let payload = &envelope["payload"];
    assert_eq!((&envelope["type"], &envelope["accepts_response_payload"]), (&"interactive".into(), &false.into()));
    assert_eq!((&payload["type"], &payload["user"]["id"]), (&"block_actions".into(), &BOB.into()));
    assert_eq!(
        (&payload["actions"][0]["value"], &payload["actions"][0]["block_id"]),
        (&"go".into(), &"buttons".into())
    );
    assert_eq!(
        (&payload["message"]["ts"], &payload["container"]["is_ephemeral"]),
        (&message.ts.clone().into(), &false.into())
    );
}

#[tokio::test]
async fn a_response_url_changes_what_only_one_sees() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    let message = with_button(&slack, &bot, true).await;
    let sent = slack.clicks(ANN, &message, "go").await;
    let payload = socket.takes().await["payload"].clone();
    assert!(payload["message"].is_null() && payload["container"]["is_ephemeral"] == true, "{payload}");
    let url = sent.response_url.unwrap();
    assert_eq!(payload["response_url"], url);
    let again = json!({ "replace_original": true, "text": "t", "blocks": [section("changed")] });
    assert_eq!(bot.responds(&url, again).await.text, "ok");
    let changed = slack.ephemerals(ANN);
    assert_eq!(
        (changed.len(), changed[0].ts.as_str(), changed[0].reads().as_str()),
        (1, message.ts.as_str(), "changed")
    );
    bot.responds(&url, json!({ "delete_original": true })).await;
    assert!(slack.ephemerals(ANN).is_empty());
    assert_eq!(slack.violations(), [""; 0]);
}

#[tokio::test]
async fn a_response_url_is_good_five_times_and_for_half_an_hour() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    let url = slack.slash(ANN, OPS, "/omni", "").await.response_url.unwrap();
    socket.takes().await;
    for n in 0..5 {
        assert_eq!(bot.responds(&url, json!({ "text": format!("answer {n}") })).await.status, 200);
    }
    assert_eq!(slack.ephemerals(ANN).len(), 5);
    let sixth = bot.responds(&url, json!({ "text": "t" })).await;
    assert_eq!((sixth.status, sixth.text.as_str()), (404, "used_url"));
    let old = slack.slash(ANN, OPS, "/omni", "").await.response_url.unwrap();
    socket.takes().await;
    slack.settled().await;
    slack.passes(Duration::from_secs(30 * 60 + 1));
    assert_eq!(bot.responds(&old, json!({ "text": "t" })).await.text, "expired_url");
    assert_eq!(slack.violations(), ["response_url: used_url", "response_url: expired_url"]);
}

#[tokio::test]
async fn a_trigger_opens_one_modal_and_within_three_seconds() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    let message = with_button(&slack, &bot, false).await;
    socket.takes().await;
    let trigger = slack.clicks(ANN, &message, "go").await.trigger_id;
    socket.takes().await;
    bot.does("views.open", json!({ "trigger_id": trigger, "view": form("Why") })).await;
    let again = json!({ "trigger_id": trigger, "view": form("Why") });
    assert_eq!(bot.refused("views.open", again).await, "exchanged_trigger_id");
    let trigger = slack.clicks(ANN, &message, "go").await.trigger_id;
    socket.takes().await;
    slack.settled().await;
    slack.passes(Duration::from_millis(3001));
    assert_eq!(
        bot.refused("views.open", json!({ "trigger_id": trigger, "view": form("Why") })).await,
        "expired_trigger_id"
    );
    assert_eq!(
        bot.refused("views.open", json!({ "trigger_id": "1.2", "view": form("Why") })).await,
        "invalid_trigger_id"
    );
    assert_eq!(slack.violations().len(), 3);
}

#[tokio::test]
async fn what_is_wrong_with_a_modal_is_said() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    let message = with_button(&slack, &bot, false).await;
    socket.takes().await;
    let changed = |name: &str, value: Value| {
        let mut view = form("Why");
        view[name] = value;
        view
    };
    let wrong = [
        (form(&"t".repeat(25)), "/view/title/text"),
        (changed("submit", Value::Null), "missing required field: submit"),
        (changed("private_metadata", "m".repeat(3001).into()), "/view/private_metadata"),
        (changed("blocks", json!(vec![section("a"); 101])), "no more than 100 items"),
        (changed("blocks", json!([section(&"x".repeat(3001))])), "/view/blocks/0/text/text"),
        (changed("type", "home".into()), "must be a valid enum value: modal"),
    ];
    for (view, objection) in wrong {
        let trigger = slack.clicks(ANN, &message, "go").await.trigger_id;
        socket.takes().await;
        let answer = bot.call("views.open", json!({ "trigger_id": trigger, "view": view })).await;
        assert_eq!(answer["error"], "invalid_arguments");
        assert!(answer["response_metadata"]["messages"].to_string().contains(objection), "{objection}: {answer}");
    }
    assert!(slack.views(ANN).is_empty());
}

#[tokio::test]
async fn a_form_is_sent_with_its_values_and_the_ack_decides_what_becomes_of_it() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    let modal = with_modal(&slack, &bot, &mut socket).await;
    let answers = [
        json!({ "response_action": "errors", "errors": { "reason": "Say more" } }),
        json!({ "response_action": "update", "view": form("Really") }),
        json!({ "response_action": "push", "view": form("Above") }),
    ];
    for (number, payload) in answers.into_iter().enumerate() {
        let values = json!({ "typed": "because", "picked": "wrong" });
        let (submitted, ()) = tokio::join!(slack.submits(&modal, values), async {
            let envelope = socket.hears().await;
            let view = &envelope["payload"]["view"];
            assert_eq!(
                view["state"]["values"]["reason"]["typed"],
                json!({ "type": "plain_text_input", "value": "because" })
            );
            assert_eq!(view["state"]["values"]["kind"]["picked"]["selected_option"]["value"], "wrong");
            assert_eq!(
                (&view["private_metadata"], &envelope["accepts_response_payload"]),
                (&"{\"req\":1}".into(), &true.into())
            );
            socket.acks_with(&envelope, payload).await;
        });
        match (number, submitted) {
            (0, Submitted::Errors(errors)) => assert_eq!(errors["reason"], "Say more"),
            (1, Submitted::Updated(view)) => assert!(view.says("Really") && view.id == modal.id),
            (2, Submitted::Pushed(view)) => assert_eq!(view.body["root_view_id"], modal.id),
            (number, other) => panic!("{number}: {other:?}"),
        }
    }
    assert_eq!(slack.views(ANN).len(), 2);
    let top = slack.views(ANN).pop().unwrap();
    let (closed, _) = tokio::join!(slack.submits(&top, json!({ "typed": "x" })), socket.takes());
    assert_eq!((closed, slack.views(ANN).len()), (Submitted::Closed, 1));
    slack.closes(&slack.views(ANN)[0]).await;
    assert_eq!(socket.takes().await["payload"]["type"], "view_closed");
    assert_eq!(slack.violations(), [""; 0]);
}

#[tokio::test]
async fn a_form_that_is_not_answered_in_time_stays_and_errors_belong_to_its_inputs() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    let modal = with_modal(&slack, &bot, &mut socket).await;
    let (failed, ()) = tokio::join!(slack.submits(&modal, json!({ "typed": "x" })), async {
        socket.hears().await;
        slack.passes(Duration::from_millis(3001));
    });
    assert_eq!((failed, slack.views(ANN).len()), (Submitted::Failed, 1));
    let (_, ()) = tokio::join!(slack.submits(&modal, json!({ "typed": "x" })), async {
        let envelope = socket.hears().await;
        socket.acks_with(&envelope, json!({ "response_action": "errors", "errors": { "elsewhere": "?" } })).await;
    });
    assert_eq!(slack.violations(), ["interactive: not acked within 3 s", "ack of a form: elsewhere is no input of it"]);
}

#[tokio::test]
async fn three_modals_lie_on_top_of_each_other_and_are_changed_by_hash() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    let mut top = with_modal(&slack, &bot, &mut socket).await;
    for number in 2..=4 {
        let trigger = slack.clicks(ANN, &top, "more").await.trigger_id;
        socket.takes().await;
        let push = json!({ "trigger_id": trigger, "view": form("Above") });
        if number == 4 {
            assert_eq!(bot.refused("views.push", push).await, "push_limit_reached");
        } else {
            bot.does("views.push", push).await;
            top = slack.views(ANN).pop().unwrap();
        }
    }
    let old = top.body["hash"].clone();
    let update = json!({ "view_id": top.id, "hash": old, "view": form("Changed") });
    bot.does("views.update", update.clone()).await;
    slack.modal(ANN, "Changed").await;
    assert_eq!(bot.refused("views.update", update).await, "hash_conflict");
    assert_eq!(bot.refused("views.update", json!({ "view_id": "V0", "view": form("x") })).await, "not_found");
    assert_eq!(slack.violations().len(), 1);
}

#[tokio::test]
async fn a_home_is_published_and_its_buttons_work() {
    let (slack, bot) = workspace().await;
    let mut socket = bot.connects().await;
    slack.opens_home(ANN).await;
    assert_eq!(socket.takes().await["payload"]["event"]["tab"], "home");
    let home = json!({ "type": "home", "blocks": [section("Welcome"), buttons(&[button("more")])] });
    bot.does("views.publish", json!({ "user_id": ANN, "view": home })).await;
    let home = slack.home_saying(ANN, "Welcome").await;
    assert!(slack.home(BOB).is_none());
    slack.clicks(ANN, &home, "more").await;
    let payload = socket.takes().await["payload"].clone();
    assert_eq!((&payload["container"]["type"], &payload["view"]["id"]), (&"view".into(), &home.id.clone().into()));
    let with_title = json!({ "type": "home", "title": { "type": "plain_text", "text": "t" }, "blocks": [] });
    assert_eq!(bot.refused("views.publish", json!({ "user_id": ANN, "view": with_title })).await, "invalid_arguments");
}

#[tokio::test]
async fn who_does_not_see_a_button_cannot_press_it() {
    let (slack, bot) = workspace().await;
    let message = with_button(&slack, &bot, true).await;
    let clicking = slack.clone();
    let failed = tokio::spawn(async move { clicking.clicks(BOB, &message, "go").await }).await;
    assert!(failed.unwrap_err().is_panic());
    let message = with_button(&slack, &bot, false).await;
    let failed = tokio::spawn(async move { slack.clicks(BOB, &message, "other").await }).await;
    assert!(failed.unwrap_err().is_panic());
}
