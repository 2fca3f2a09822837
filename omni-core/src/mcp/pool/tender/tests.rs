use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn tender(now: Instant) -> Tender {
    Tender { noticed: None, change_at: now, gap: GAP, again_at: now, share: 1.0 }
}

fn link(now: Instant) -> Link {
    Link { is_alive: true, is_doubted: false, source: (1, 0), made_at: now, heard_at: now, idle_since: Some(now) }
}

/// A connected server of which all is known.
fn well(now: Instant) -> Condition {
    Condition {
        look_at: None,
        refresh_at: None,
        is_asleep: false,
        is_listed: true,
        was_listed: true,
        link: Some(link(now)),
    }
}

fn options() -> ServerOptions {
    ServerOptions { keep_alive: None, ..ServerOptions::default() }
}

#[test]
fn a_server_of_which_all_is_known_is_left_in_peace() {
    let now = Instant::now();
    assert_eq!(tender(now).next(&well(now), &options(), now), None);
}

#[test]
fn a_change_is_listed_soon_and_changes_in_a_row_together() {
    let (now, mut tender) = (Instant::now(), tender(Instant::now()));
    let changed = Condition { is_listed: false, ..well(now) };
    assert_eq!(tender.next(&changed, &options(), now), Some((now + SETTLE, Chore::Look)));
    let later = now + Duration::from_millis(50);
    assert_eq!(tender.next(&changed, &options(), later), Some((now + SETTLE, Chore::Look)));
    tender.change_at = now + seconds(1);
    assert_eq!(tender.next(&changed, &options(), later), Some((now + seconds(1), Chore::Look)));
}

#[test]
fn a_lost_connection_is_made_anew_at_once_unless_the_server_is_to_be_left_alone() {
    let now = Instant::now();
    let lost = Condition { link: Some(Link { is_alive: false, ..link(now) }), ..well(now) };
    assert_eq!(tender(now).next(&lost, &options(), now), Some((now, Chore::Look)));
    let resting = Condition { look_at: Some(now + seconds(9)), ..lost };
    assert_eq!(tender(now).next(&resting, &options(), now), Some((now + seconds(9), Chore::Look)));
}

#[test]
fn a_connection_in_doubt_is_checked_at_once_and_a_silent_one_after_a_while() {
    let now = Instant::now();
    let doubted = Condition { link: Some(Link { is_doubted: true, ..link(now) }), ..well(now) };
    assert_eq!(tender(now).next(&doubted, &options(), now), Some((now, Chore::Check)));
    let silent = ServerOptions { keep_alive: Some(seconds(60)), ..options() };
    assert_eq!(tender(now).next(&well(now), &silent, now), Some((now + seconds(60), Chore::Check)));
}

#[test]
fn a_connection_that_nobody_uses_is_closed_and_one_in_use_is_not() {
    let now = Instant::now();
    let idle = ServerOptions { idle_close: Some(seconds(30)), ..options() };
    assert_eq!(tender(now).next(&well(now), &idle, now), Some((now + seconds(30), Chore::Close)));
    let used = Condition { link: Some(Link { idle_since: None, ..link(now) }), ..well(now) };
    assert_eq!(tender(now).next(&used, &idle, now), None);
    let asleep = Condition { link: None, is_asleep: true, ..well(now) };
    assert_eq!(tender(now).next(&asleep, &idle, now), None, "nobody needs it");
    let old = ServerOptions { max_age: Some(seconds(600)), ..options() };
    assert_eq!(tender(now).next(&well(now), &old, now), Some((now + seconds(600), Chore::Close)));
}

#[test]
fn what_is_known_is_asked_again_after_a_while_also_of_a_server_that_sleeps() {
    let now = Instant::now();
    let known = Condition { refresh_at: Some(now + seconds(300)), ..well(now) };
    assert_eq!(tender(now).next(&known, &options(), now), Some((now + seconds(300), Chore::Refresh)));
    let asleep = Condition { link: None, is_asleep: true, ..known };
    assert_eq!(tender(now).next(&asleep, &options(), now), Some((now + seconds(300), Chore::Refresh)));
}

#[test]
fn a_server_that_failed_is_looked_at_when_its_rest_is_over() {
    let now = Instant::now();
    let failed =
        Condition { look_at: Some(now + seconds(10)), link: None, is_listed: false, was_listed: false, ..well(now) };
    assert_eq!(tender(now).next(&failed, &options(), now), Some((now + seconds(10), Chore::Look)));
}
