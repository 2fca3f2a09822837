use super::*;

fn breaker(rules: BreakerOptions) -> Breaker {
    Breaker { spread: |time| time, ..Breaker::new(rules) }
}

fn rules() -> BreakerOptions {
    BreakerOptions { failures: 3, ..BreakerOptions::default() }
}

fn broken() -> McpError {
    McpError::Closed { message: "broken".into(), unsent: false }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A breaker that has just opened.
fn open(rules: BreakerOptions, now: Instant) -> Breaker {
    let mut breaker = breaker(rules);
    let opened = [(); 3].map(|()| breaker.failed(&broken(), now));
    assert_eq!(opened, [false, false, true]);
    breaker
}

#[test]
fn so_many_failures_within_the_window_keep_calls_away() {
    let now = Instant::now();
    let mut breaker = open(rules(), now);
    assert_eq!(breaker.admit(now), Err(seconds(10)));
    assert_eq!(breaker.admit(now + seconds(9)), Err(seconds(1)));
    assert!(breaker.is_quiet(now + seconds(9)) && !breaker.is_quiet(now + seconds(10)));
}

#[test]
fn failures_count_no_longer_than_the_window_and_answers_between_them_do_not_take_them_back() {
    let (now, mut breaker) = (Instant::now(), breaker(rules()));
    let mut fails_at = |at: u64| {
        breaker.answered();
        breaker.failed(&broken(), now + seconds(at))
    };
    assert_eq!([0, 30, 60, 90, 119].map(&mut fails_at), [false, false, false, false, true]);
}

#[test]
fn so_many_failures_in_a_row_count_however_far_apart() {
    let (now, mut breaker) = (Instant::now(), breaker(rules()));
    assert_eq!([0, 1_000, 2_000].map(|at| breaker.failed(&broken(), now + seconds(at))), [false, false, true]);
}

#[test]
fn exactly_as_many_probes_as_configured_get_through() {
    for probes in [1, 2, 5] {
        let now = Instant::now();
        let mut breaker = open(BreakerOptions { probes, ..rules() }, now);
        let later = now + seconds(10);
        let passed = (0..20).filter(|_| matches!(breaker.admit(later), Ok(Pass::Probe(_)))).count();
        assert_eq!(passed, usize::try_from(probes).unwrap());
        assert_eq!(breaker.shown(later), BreakerState::HalfOpen);
    }
}

#[test]
fn a_probe_that_is_answered_lets_all_through() {
    let now = Instant::now();
    let mut breaker = open(rules(), now);
    let probe = breaker.admit(now + seconds(10)).unwrap();
    assert!(breaker.answered());
    breaker.ended(probe);
    assert_eq!(breaker.admit(now + seconds(10)), Ok(Pass::Free));
    assert!(!breaker.failed(&broken(), now + seconds(10)), "what failed before does not count any more");
}

#[test]
fn a_probe_that_fails_keeps_calls_away_for_longer_up_to_a_limit() {
    let mut now = Instant::now();
    let mut breaker = open(rules(), now);
    for pause in [10, 20, 40, 80, 160, 300, 300] {
        assert_eq!(breaker.admit(now), Err(seconds(pause)));
        now += seconds(pause);
        let probe = breaker.admit(now).unwrap();
        assert!(breaker.failed(&broken(), now));
        breaker.ended(probe);
    }
}

#[test]
fn a_server_that_was_well_for_a_while_begins_with_a_short_pause_again() {
    let mut now = Instant::now();
    let mut breaker = open(rules(), now);
    now += seconds(10);
    breaker.admit(now).unwrap();
    breaker.failed(&broken(), now);
    now += seconds(20);
    breaker.admit(now).unwrap();
    breaker.answered();
    now += seconds(1_000);
    for _ in 0..3 {
        breaker.failed(&broken(), now);
    }
    assert_eq!(breaker.admit(now), Err(seconds(10)));
}

#[test]
fn a_probe_that_was_given_up_lets_another_one_try() {
    let now = Instant::now();
    let mut breaker = open(rules(), now);
    let probe = breaker.admit(now + seconds(10)).unwrap();
    assert!(breaker.admit(now + seconds(10)).is_err());
    breaker.ended(probe);
    assert!(matches!(breaker.admit(now + seconds(10)), Ok(Pass::Probe(_))));
    // One of a round that is over takes no place of this one's.
    breaker.failed(&broken(), now + seconds(10));
    let again = now + seconds(30);
    breaker.admit(again).unwrap();
    breaker.ended(probe);
    assert!(breaker.admit(again).is_err());
}

#[test]
fn a_server_that_shows_that_it_lives_is_not_blamed_for_a_slow_tool() {
    let (now, mut breaker) = (Instant::now(), breaker(rules()));
    for _ in 0..20 {
        assert!(!breaker.failed(&McpError::Timeout { after_ms: 1 }, now));
        breaker.lives();
    }
    // One that does not is.
    let opened = [(); 3].map(|()| breaker.failed(&McpError::Timeout { after_ms: 1 }, now));
    assert_eq!(opened, [false, false, true]);
}

#[test]
fn without_a_number_of_failures_nothing_is_ever_kept_away() {
    let (now, mut breaker) = (Instant::now(), breaker(BreakerOptions { failures: 0, ..rules() }));
    assert!((0..5_000).all(|_| !breaker.failed(&broken(), now)));
    assert_eq!(breaker.admit(now), Ok(Pass::Free));
    assert!(breaker.faults.len() <= 1_000);
}

#[test]
fn whoever_only_looks_leaves_a_failed_server_alone_for_longer_and_longer() {
    let (mut now, mut breaker) = (Instant::now(), breaker(rules()));
    for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        breaker.not_seen(Duration::ZERO, now);
        assert!(breaker.is_quiet(now + seconds(pause) - Duration::from_millis(1)), "{pause}");
        now += seconds(pause);
        assert!(!breaker.is_quiet(now), "{pause}");
    }
    assert_eq!(breaker.admit(now), Ok(Pass::Free), "whoever needs it may try");
    breaker.seen();
    breaker.not_seen(seconds(30), now);
    assert!(breaker.is_quiet(now + seconds(29)), "a long wait is not soon caused again");
}

#[test]
fn a_lost_connection_is_made_anew_at_once_and_then_less_and_less_often() {
    let (now, mut breaker) = (Instant::now(), breaker(BreakerOptions { failures: 9, ..rules() }));
    let waits = [(); 4].map(|()| {
        breaker.failed(&broken(), now);
        breaker.restart(now);
        breaker.look_at(now).map(|at| at - now)
    });
    assert_eq!(waits, [None, Some(seconds(1)), Some(seconds(2)), Some(seconds(4))]);
}
