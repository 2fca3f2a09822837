//! Tokens, scopes, channels, people, reactions and files.

use omni_tests::slack::Slack;
use serde_json::{Value, json};

use super::bot::{ANN, BOB, OPS, at_home, post, workspace};

/// An app with these scopes alone.
async fn with_scopes(scopes: &[&str]) -> Slack {
    Slack::installed(&json!({
        "display_information": { "name": "small" }, "oauth_config": { "scopes": { "bot": scopes } },
    }))
    .await
}

#[tokio::test]
async fn each_token_opens_what_it_is_for() {
    let (slack, bot) = workspace().await;
    assert_eq!(bot.does("auth.test", json!({})).await["user_id"], "U0OMNI");
    assert_eq!(bot.refused("apps.connections.open", json!({})).await, "not_allowed_token_type");
    assert_eq!(bot.with_token(&slack.app_token()).refused("auth.test", json!({})).await, "not_allowed_token_type");
    assert_eq!(bot.with_token("").refused("auth.test", json!({})).await, "not_authed");
    assert_eq!(slack.violations().len(), 3, "a bot that uses the wrong token is wrong");
    assert_eq!(bot.with_token("xoxb-other").refused("auth.test", json!({})).await, "invalid_auth");
    slack.revokes_tokens();
    assert_eq!(bot.refused("auth.test", json!({})).await, "token_revoked");
    assert_eq!(slack.violations().len(), 3, "a token that is not good any more is nobody's fault");
}

#[tokio::test]
async fn what_the_app_has_no_scope_for_is_refused() {
    let (slack, bot) = at_home(with_scopes(&["chat:write", "users:read"]).await);
    let answer = bot.called("conversations.replies", json!({ "channel": OPS, "ts": "1.1" })).await;
    assert_eq!(answer.body["error"], "missing_scope");
    assert_eq!(answer.body["provided"], "chat:write,users:read");
    assert_eq!(answer.scopes, "chat:write,users:read", "every answer says what the app may do");
    assert!(slack.violations()[0].contains("missing_scope: needed: channels:history"), "{:?}", slack.violations());
    assert_eq!(bot.refused("reactions.add", json!({})).await, "missing_scope", "before anything else");
    let ann = bot.does("users.info", json!({ "user": ANN })).await;
    assert!(ann["user"]["profile"]["email"].is_null(), "addresses have a scope of their own");
    let (_, bot) = workspace().await;
    let ann = bot.does("users.info", json!({ "user": ANN })).await;
    assert_eq!(ann["user"]["profile"]["email"], "ann@acme.test");
}

#[tokio::test]
async fn history_needs_the_scope_of_the_kind_of_channel() {
    let (slack, bot) = at_home(with_scopes(&["channels:history"]).await);
    let direct = slack.direct(ANN);
    bot.does("conversations.history", json!({ "channel": OPS })).await;
    assert_eq!(bot.refused("conversations.history", json!({ "channel": direct })).await, "missing_scope");
}

#[tokio::test]
async fn a_bot_posts_where_it_is() {
    let (slack, bot) = workspace().await;
    slack.private_channel("C0HR", "hr", &[ANN]);
    slack.channel("C0OLD", "old");
    slack.archives("C0OLD");
    slack.bot_leaves(OPS);
    slack.bot_leaves("C0HR");
    let to = |channel: &str| json!({ "channel": channel, "text": "t" });
    assert_eq!(bot.refused("chat.postMessage", to(OPS)).await, "not_in_channel");
    assert_eq!(bot.refused("chat.postMessage", to("C0HR")).await, "channel_not_found", "it is a secret");
    assert_eq!(bot.refused("chat.postMessage", to("C0NONE")).await, "channel_not_found");
    assert_eq!(bot.refused("chat.postMessage", to("C0OLD")).await, "is_archived");
    assert_eq!(bot.refused("conversations.replies", json!({ "channel": OPS, "ts": "1.1" })).await, "not_in_channel");
    assert_eq!(slack.violations(), [""; 0], "a good bot may meet with all of it");
    slack.bot_joins(OPS);
    bot.does("chat.postMessage", to(OPS)).await;
    assert_eq!(
        bot.does("chat.postMessage", to(ANN)).await["channel"],
        slack.direct(ANN),
        "a user's id is the direct channel"
    );
    bot.does("chat.postMessage", to("#ops")).await;
    let (_, public) = at_home(with_scopes(&["chat:write", "chat:write.public"]).await);
    public.slack.bot_leaves(OPS);
    public.does("chat.postMessage", to(OPS)).await;
}

#[tokio::test]
async fn what_only_one_sees_is_changed_by_nobody_but_its_response_url() {
    let (slack, bot) = workspace().await;
    let only = json!({ "channel": OPS, "user": ANN, "text": "only you" });
    let ts = bot.does("chat.postEphemeral", only).await["message_ts"].clone();
    assert_eq!(slack.ephemerals(ANN)[0].text, "only you");
    assert!(slack.ephemerals(BOB).is_empty() && slack.messages(OPS).is_empty());
    let change = json!({ "channel": OPS, "ts": ts, "text": "changed" });
    assert_eq!(bot.refused("chat.update", change).await, "message_not_found");
    assert_eq!(slack.violations().len(), 1);
    slack.leaves(BOB, OPS);
    let to_bob = json!({ "channel": OPS, "user": BOB, "text": "t" });
    assert_eq!(bot.refused("chat.postEphemeral", to_bob).await, "user_not_in_channel");
}

#[tokio::test]
async fn a_bot_changes_and_deletes_its_own_messages_alone() {
    let (slack, bot) = workspace().await;
    let theirs = slack.says(ANN, OPS, "mine").await;
    let ts = bot.posts("first").await;
    bot.does("chat.update", json!({ "channel": OPS, "ts": ts, "text": "second" })).await;
    assert_eq!((slack.messages(OPS)[1].text.as_str(), slack.messages(OPS)[1].edits), ("second", 1));
    let at = |ts: &str| json!({ "channel": OPS, "ts": ts, "text": "t" });
    assert_eq!(bot.refused("chat.update", at(&theirs.ts)).await, "cant_update_message");
    assert_eq!(bot.refused("chat.delete", at(&theirs.ts)).await, "cant_delete_message");
    assert_eq!(bot.refused("chat.update", at("1.1")).await, "message_not_found");
    bot.does("chat.delete", at(&ts)).await;
    assert_eq!(slack.messages(OPS).len(), 1);
}

#[tokio::test]
async fn timestamps_are_unique_and_rise() {
    let (slack, bot) = workspace().await;
    slack.without_rate_limits();
    for n in 0..20 {
        bot.posts(&n.to_string()).await;
        slack.says(ANN, OPS, "between").await;
    }
    let all = slack.messages(OPS);
    assert!(all.windows(2).all(|pair| pair[0].ts < pair[1].ts && pair[0].ts.len() == pair[1].ts.len()));
}

#[tokio::test]
async fn a_thread_is_read_page_by_page() {
    let (slack, bot) = workspace().await;
    let first = slack.says(ANN, OPS, "1 < 2 & <@U0BOB>").await;
    for n in 1..5 {
        slack.replies(BOB, OPS, &first.ts, &format!("reply {n}")).await;
    }
    let page = |cursor: &str| json!({ "channel": OPS, "ts": first.ts, "limit": 3, "cursor": cursor });
    let one = bot.does("conversations.replies", page("")).await;
    let next = one["response_metadata"]["next_cursor"].as_str().unwrap().to_owned();
    let two = bot.does("conversations.replies", page(&next)).await;
    assert_eq!((one["has_more"].clone(), two["has_more"].clone()), (true.into(), false.into()));
    let texts = [one, two]
        .map(|page| page["messages"].as_array().unwrap().iter().map(|m| m["text"].clone()).collect::<Vec<_>>());
    assert_eq!(texts[0], ["1 &lt; 2 &amp; <@U0BOB>", "reply 1", "reply 2"], "text is escaped, mentions are not");
    assert_eq!(texts[1], ["reply 3", "reply 4"]);
    let history = bot.does("conversations.history", json!({ "channel": OPS })).await;
    assert_eq!(history["messages"].as_array().unwrap().len(), 1, "replies are not listed in the channel");
    assert_eq!(bot.refused("conversations.replies", json!({ "channel": OPS, "ts": "1.1" })).await, "thread_not_found");
}

#[tokio::test]
async fn people_are_looked_up() {
    let (slack, bot) = workspace().await;
    slack.user_is(BOB, json!({ "deleted": true }));
    assert_eq!(bot.does("users.info", json!({ "user": BOB })).await["user"]["deleted"], true);
    assert_eq!(bot.refused("users.info", json!({ "user": "U0NOBODY" })).await, "user_not_found");
    let ann = bot.does("users.lookupByEmail", json!({ "email": "ANN@acme.test" })).await;
    assert_eq!(ann["user"]["id"], ANN);
    assert_eq!(bot.refused("users.lookupByEmail", json!({ "email": "bob@acme.test" })).await, "users_not_found");
    let opened = bot.form("conversations.open", "users=U0ANN").await;
    assert_eq!(opened["channel"]["id"], slack.direct(ANN), "forms are read as well as JSON");
}

#[tokio::test]
async fn a_method_that_reads_hears_nothing_in_json() {
    let (_, bot) = workspace().await;
    let ann = json!({ "user": ANN });
    assert_eq!(bot.called_in_json("users.info", ann.clone()).await.body["ok"], false);
    assert_eq!(bot.does("users.info", ann).await["user"]["id"], ANN);
}

#[tokio::test]
async fn reactions_are_set_once_and_taken_back_once() {
    let (slack, bot) = workspace().await;
    let post = slack.says(ANN, OPS, "hi").await;
    let named = |name: &str| json!({ "channel": OPS, "timestamp": post.ts, "name": name });
    bot.does("reactions.add", named("eyes")).await;
    assert_eq!(bot.refused("reactions.add", named("eyes")).await, "already_reacted");
    slack.reacts(ANN, OPS, &post.ts, "eyes").await;
    let shown = bot.does("reactions.get", named("")).await;
    assert_eq!(shown["message"]["reactions"], json!([{ "name": "eyes", "users": ["U0OMNI", ANN], "count": 2 }]));
    bot.does("reactions.remove", named("eyes")).await;
    assert_eq!(bot.refused("reactions.remove", named("eyes")).await, "no_reaction");
    assert_eq!(slack.violations(), [""; 0]);
    assert_eq!(bot.refused("reactions.add", named(":eyes:")).await, "invalid_name");
}

#[tokio::test]
async fn a_file_is_announced_sent_and_shared() {
    let (slack, bot) = workspace().await;
    let thread = slack.says(ANN, OPS, "csv?").await.ts;
    let announced = bot.form("files.getUploadURLExternal", "filename=a.csv&length=4").await;
    let url = announced["upload_url"].as_str().unwrap();
    let files = json!([{ "id": announced["file_id"], "title": "A" }]);
    let shared = json!({ "files": files, "channel_id": OPS, "thread_ts": thread });
    assert_eq!(bot.refused("files.completeUploadExternal", shared.clone()).await, "file_not_found", "nothing was sent");
    assert_eq!(post(url, "", "text/csv", "too long").await.status, 400);
    assert_eq!(post(url, "", "text/csv", "a,b\n").await.text, "OK - 4");
    bot.does("files.completeUploadExternal", shared).await;
    let file = slack.files().remove(0);
    assert_eq!((file.name.as_str(), file.title.as_str(), &file.content[..]), ("a.csv", "A", &b"a,b\n"[..]));
    assert_eq!(slack.thread(OPS, &thread)[1].files, ["a.csv"]);
    assert_eq!(slack.violations().len(), 2);
}

#[tokio::test]
async fn a_form_may_carry_json_in_its_fields_and_json_without_a_charset_is_warned_of() {
    let (slack, bot) = workspace().await;
    let blocks = "%5B%7B%22type%22%3A%22divider%22%7D%5D";
    let answer = bot.form("chat.postMessage", &format!("channel={OPS}&text=a+b&blocks={blocks}")).await;
    assert_eq!(answer["message"]["text"], "a b");
    assert_eq!(slack.messages(OPS)[0].blocks[0]["type"], "divider");
    let url = format!("{}/api.test", slack.api_url());
    let warned = post(&url, &slack.bot_token(), "application/json", json!({ "a": 1 }).to_string()).await;
    assert_eq!(warned.body["warning"], "missing_charset");
    let plain = post(&url, &slack.bot_token(), "text/plain", "a").await;
    assert_eq!(plain.body["error"], "invalid_post_type");
}

#[tokio::test]
async fn status_title_and_prompts_are_seen() {
    let (slack, bot) = workspace().await;
    let direct = slack.opens_messages(ANN).await;
    let post = slack.dms(ANN, "hi").await;
    let at = |more: Value| {
        let mut args = json!({ "channel_id": direct, "thread_ts": post.ts });
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        args
    };
    bot.does("agents.sessions.setStatus", at(json!({ "status": "processing", "title": "Costs" }))).await;
    bot.does("assistant.threads.setStatus", at(json!({ "status": "is thinking" }))).await;
    bot.does("assistant.threads.setTitle", at(json!({ "title": "Costs today" }))).await;
    let prompts = vec![json!({ "title": "Costs", "message": "Show costs" }); 4];
    bot.does("assistant.threads.setSuggestedPrompts", json!({ "channel_id": direct, "prompts": prompts })).await;
    let seen = |world: &omni_tests::slack::World| {
        Some((world.statuses(&direct, &post.ts), world.title(&direct, &post.ts), world.prompts(&direct).len()))
    };
    let (statuses, title, count) = slack.until("it", seen).await;
    assert_eq!(
        (statuses, title.as_deref(), count),
        (vec!["processing".into(), "is thinking".into()], Some("Costs today"), 4)
    );
    assert_eq!(bot.refused("agents.sessions.setStatus", at(json!({ "status": "busy" }))).await, "invalid_arguments");
    let five = vec![json!({ "title": "Costs", "message": "Show costs" }); 5];
    let five = json!({ "channel_id": direct, "prompts": five });
    assert_eq!(bot.refused("assistant.threads.setSuggestedPrompts", five).await, "invalid_arguments");
}

#[tokio::test]
async fn a_manifest_over_slacks_limits_is_not_taken() {
    let wrong = json!({
        "display_information": { "name": "x".repeat(36) },
        "features": { "slash_commands": [{ "command": "omni", "description": "no slash" }] },
        "oauth_config": { "scopes": { "bot": [] } },
        "settings": { "event_subscriptions": { "bot_events": ["app_mention"] } },
    });
    let failed = tokio::spawn(async move { Slack::installed(&wrong).await }).await.unwrap_err().into_panic();
    let told = failed.downcast::<String>().unwrap();
    for reason in [
        "36 characters",
        "\\\"omni\\\" is not possible",
        "needs the scope app_mentions:read",
        "need the scope commands",
    ] {
        assert!(told.contains(reason), "{reason}: {told}");
    }
}
