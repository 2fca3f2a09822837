//! What an ask or a direct call costs by a person's quota.

use std::time::Duration;

use super::{Charge, Limit, LimitKey};
use crate::{Principal, policy::Quota};

/// The charges of one ask or one direct call: one in any hour, one in any minute, one at the same
/// time, as far as the quota limits them. Without any limit there are none.
#[must_use]
pub fn charges_for(principal: &Principal, quota: &Quota) -> Vec<Charge> {
    let charge = |what: &str, limit| Charge {
        key: LimitKey::new(principal.tenant.as_str(), format!("ask:{what}:{}", principal.subject)),
        limit,
        amount: 1,
    };
    let window = |what, max, seconds| charge(what, Limit::Window { max, per: Duration::from_secs(seconds) });
    let hour = quota.per_hour.map(|max| window("hour", max, 3_600));
    let minute = quota.per_minute.map(|max| window("minute", max, 60));
    let running = quota.concurrent.map(|max| charge("running", Limit::Concurrent { max }));
    [hour, minute, running].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unlimited_quota_charges_nothing() {
        assert_eq!(charges_for(&Principal::email("dba@company.com"), &Quota::default()), []);
    }

    #[test]
    fn every_limit_of_the_quota_is_one_charge_of_one() {
        let quota = Quota { per_hour: Some(200), per_minute: Some(10), concurrent: Some(2) };
        let principal = Principal::email("DBA@company.com").with_tenant("acme");
        let charges = charges_for(&principal, &quota);
        let names: Vec<_> = charges.iter().map(|charge| charge.key.to_string()).collect();
        assert_eq!(
            names,
            ["acme/ask:hour:dba@company.com", "acme/ask:minute:dba@company.com", "acme/ask:running:dba@company.com"]
        );
        assert!(charges.iter().all(|charge| charge.amount == 1));
        assert_eq!(charges[0].limit, Limit::Window { max: 200, per: Duration::from_secs(3_600) });
        assert_eq!(charges[2].limit, Limit::Concurrent { max: 2 });
    }
}
