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
