//! A decision costs no memory, however many rules and people there are.

use omni_benches::{many_people, policy_of};
use omni_core::{PolicyStore as _, Principal};
use serde_json::json;

#[tokio::test]
async fn a_decision_among_a_thousand_rules_and_ten_thousand_people_allocates_nothing() {
    let policy = policy_of(&many_people(1_000, 10_000));
    let grant = policy.resolve(&Principal::email("user9999@company.com")).await.unwrap();
    let (allowed, elsewhere) = (json!({ "database": "db_999" }), json!({ "database": "prod" }));
    let decide = || {
        let listed = grant.decide("database", "get_report_998", None);
        let denied = grant.decide("database", "get_report_999", None);
        let called = grant.decide("database", "get_report_998", Some(&allowed));
        let refused = grant.decide("database", "get_report_998", Some(&elsewhere));
        let unknown = grant.decide("nowhere", "drop", None);
        [listed, denied, called, refused, unknown].map(|decision| decision.is_allowed())
    };
    assert_eq!(decide(), [true, false, true, false, false]);
    let counted = allocation_counter::measure(|| {
        decide();
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
}
