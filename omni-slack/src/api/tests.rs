use tokio::{task::JoinSet, time::advance};

use super::{wire::*, *};

const UPDATE: &str = "chat.update";

#[tokio::test(start_paused = true)]
async fn of_many_who_wait_for_a_method_all_get_through_and_none_calls_too_early() {
    let wire = Arc::new(Wire::limited(UPDATE, 10));
    let (api, mut updates) = (Api::new(wire.clone()), JoinSet::new());
    for at in 0..25 {
        let api = api.clone();
        updates.spawn(async move { api.update(&format!("C{at}"), "1.0", &Body::of("Done.")).await });
    }
    assert!(updates.join_all().await.iter().all(Result::is_ok));
    let refused = wire.calls(UPDATE).iter().filter(|call| !call.is_taken).count();
    assert_eq!((wire.calls(UPDATE).len() - refused, wire.early()), (25, 0));
    assert!(refused <= 3, "who waits finds out one after the other: {refused}");
}

#[tokio::test(start_paused = true)]
async fn what_can_wait_is_not_asked_for_in_a_pause() {
    let wire = Arc::new(Wire::default());
    let (api, body, last) = (Api::new(wire.clone()), Body::of("Meanwhile."), Instant::now());
    wire.next(UPDATE, [Some(limited(UPDATE, Duration::from_secs(10)))]);
    assert!(api.update_if_free("C1", "1.0", &body, last).await.is_err());
    advance(Duration::from_secs(5)).await;
    assert_eq!(api.update_if_free("C1", "1.0", &body, last).await, Ok(false));
    assert_eq!(api.update_if_free("C2", "1.0", &body, last).await, Ok(false), "it is the method that rests");
    assert_eq!(wire.calls(UPDATE).len(), 1);
    advance(Duration::from_secs(6)).await;
    assert_eq!(api.update_if_free("C1", "1.0", &body, last).await, Ok(true));
    assert_eq!(wire.early(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_given_up_at_once_where_slack_wants_a_longer_pause_than_anybody_waits() {
    let (wire, method) = (Arc::new(Wire::default()), "users.info");
    let (api, began) = (Api::new(wire.clone()), Instant::now());
    wire.next(method, [Some(limited(method, Duration::from_secs(31)))]);
    assert!(api.call(method, &json!({})).await.is_err());
    assert_eq!((began.elapsed(), wire.calls(method).len()), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_rests_keeps_no_other_from_its_messages() {
    let (wire, method) = (Arc::new(Wire::default()), "chat.postMessage");
    let (api, began) = (Api::new(wire.clone()), Instant::now());
    wire.next(method, [Some(limited(method, Duration::from_secs(20)))]);
    let to = |channel: &str| To { channel: channel.into(), thread: None };
    assert!(api.call_once(method, &json!({ "channel": "C1" })).await.is_err());
    api.post(&to("C2"), &Body::of("Here.")).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1));
    api.post(&to("C1"), &Body::of("There.")).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn what_slack_has_not_taken_is_told_again_until_it_is_back_and_then_once() {
    let (to, body) = (To { channel: "C1".into(), thread: None }, Body::of("Done."));
    for method in ["chat.postMessage", "chat.postEphemeral", UPDATE, "chat.delete"] {
        let wire = Arc::new(Wire::default());
        let (api, began) = (Api::new(wire.clone()), Instant::now());
        wire.away(Duration::from_secs(10), true);
        let told = match method {
            "chat.postMessage" => api.post(&to, &body).await.map(drop),
            "chat.postEphemeral" => api.whisper(&to, "U1", &body).await,
            UPDATE => api.update("C1", "1.0", &body).await,
            _ => api.delete("C1", "1.0").await,
        };
        assert_eq!(told, Ok(()), "{method}");
        assert_eq!(wire.calls(method).iter().filter(|call| call.is_taken).count(), 1, "{method}");
        assert!(began.elapsed() < Duration::from_secs(25) && wire.calls(method).len() < 10, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_slack_may_have_taken_is_told_again_only_where_that_comes_to_the_same() {
    let (to, body) = (To { channel: "C1".into(), thread: None }, Body::of("Done."));
    let wire = Arc::new(Wire::default());
    let api = Api::new(wire.clone());
    wire.away(Duration::from_secs(10), false);
    assert!(api.post(&to, &body).await.is_err());
    assert_eq!(wire.calls("chat.postMessage").len(), 1);
    api.update("C1", "1.0", &body).await.unwrap();
}

fn says(method: &str, code: &str) -> Option<SlackError> {
    Some(SlackError::api(method, code))
}

#[tokio::test(start_paused = true)]
async fn where_slack_says_that_it_is_not_well_what_may_be_done_twice_is_tried_a_few_times() {
    let (to, body, wire) = (To { channel: "C1".into(), thread: None }, Body::of("Done."), Arc::new(Wire::default()));
    let api = Api::new(wire.clone());
    let unwell = |method: &'static str, times| std::iter::repeat_n(says(method, "internal_error"), times);
    wire.next(UPDATE, unwell(UPDATE, 2));
    api.update("C1", "1.0", &body).await.unwrap();
    assert_eq!(wire.calls(UPDATE).len(), 3);
    // It may be this very call that it is not well with.
    let began = Instant::now();
    wire.next(UPDATE, unwell(UPDATE, 9));
    assert!(api.update("C1", "1.0", &body).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(10));
    wire.next("users.info", unwell("users.info", 9));
    assert!(api.call("users.info", &json!({})).await.is_err());
    assert_eq!(wire.calls("users.info").len(), 4);
    wire.next("chat.postMessage", unwell("chat.postMessage", 1));
    assert!(api.post(&to, &body).await.is_err());
    assert_eq!(wire.calls("chat.postMessage").len(), 1, "it may stand there");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_end_with_what_belongs_to_it_is_ended_without() {
    const STOP: &str = "chat.stopStream";
    const OVER: &str = "message_not_in_streaming_state";
    let cases: [(&[&str], usize, bool); 5] = [
        (&[], 1, true),
        (&["invalid_blocks"], 2, false),
        (&["internal_error"], 2, false),
        (&["internal_error", OVER], 2, true),
        (&[OVER], 1, false),
    ];
    for (errors, calls, is_taken) in cases {
        let wire = Arc::new(Wire::default());
        wire.next(STOP, errors.iter().map(|error| says(STOP, error)));
        let with = json!({ "blocks": [{ "type": "divider" }] });
        assert_eq!(Api::new(wire.clone()).stop_stream("C1", "1.0", with).await, is_taken, "{errors:?}");
        let called = wire.calls(STOP);
        assert_eq!(called.len(), calls, "{errors:?}");
        assert!(called.iter().all(|call| call.arguments["ts"] == "1.0" && call.arguments["channel"] == "C1"));
        assert!(called.iter().skip(1).all(|call| call.arguments["blocks"].is_null()), "{called:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slack_that_stays_away_is_waited_for_no_longer_than_one_that_wants_a_pause() {
    let wire = Arc::new(Wire::default());
    let (api, began) = (Api::new(wire.clone()), Instant::now());
    wire.away(Duration::from_secs(3_600), true);
    assert!(api.call("users.info", &json!({})).await.is_err());
    assert!(began.elapsed() < LONGEST_PAUSE);
    let began = Instant::now();
    assert!(api.delete("C1", "1.0").await.is_err());
    assert!(began.elapsed() > LONGEST_PAUSE && began.elapsed() <= LONGEST_FOR_ANSWERS);
}
