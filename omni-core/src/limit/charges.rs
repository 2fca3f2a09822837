//! What an ask, a direct call, or a call to a server costs by a person's quota.

use std::time::Duration;

use super::{Charge, Limit, LimitKey};
use crate::{Principal, mcp::ServerOptions, policy::Quota};

const SECOND: u64 = 1;
const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;

/// The charges of one ask or one direct call: one in any hour, minute and second, one at the same
/// time, as far as the quota limits them. Without any limit there are none.
#[must_use]
pub fn charges_for(principal: &Principal, quota: &Quota) -> Vec<Charge> {
    let one = |what: &str, limit| charge(principal, format!("ask:{what}:{}", principal.subject), limit);
    let hour = quota.per_hour.map(|max| one("hour", window(max, HOUR)));
    let minute = quota.per_minute.map(|max| one("minute", window(max, MINUTE)));
    let burst = quota.burst.map(|max| one("burst", window(max, SECOND)));
    [hour, minute, burst].into_iter().flatten().chain(lease_for(principal, quota)).collect()
}

/// What somebody is charged whose ask goes on that was counted when it began: the place that it takes while it runs.
pub(crate) fn lease_for(principal: &Principal, quota: &Quota) -> Option<Charge> {
    let key = || format!("ask:running:{}", principal.subject);
    quota.concurrent.map(|max| charge(principal, key(), Limit::Concurrent { max }))
}

/// The charges of one call to a server: what is allowed is per person and server.
#[must_use]
pub fn server_charges(principal: &Principal, server: &str, options: &ServerOptions) -> Vec<Charge> {
    // Quoted, so that no server's name runs into a subject's.
    let one = |what: &str, limit| charge(principal, format!("call:{what}:{server:?}:{}", principal.subject), limit);
    let minute = options.calls_per_minute.map(|max| one("minute", window(max, MINUTE)));
    let burst = options.calls_burst.map(|max| one("burst", window(max, SECOND)));
    [minute, burst].into_iter().flatten().collect()
}

fn charge(principal: &Principal, name: String, limit: Limit) -> Charge {
    Charge { key: LimitKey::new(principal.tenant.as_str(), name), limit, amount: 1 }
}

fn window(max: u64, seconds: u64) -> Limit {
    Limit::Window { max, per: Duration::from_secs(seconds) }
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
        let quota = Quota {
            per_hour: Some(200),
            per_minute: Some(10),
            burst: Some(3),
            concurrent: Some(2),
            ..Quota::default()
        };
        let principal = Principal::email("DBA@company.com").with_tenant("acme");
        let charges = charges_for(&principal, &quota);
        let names: Vec<_> = charges.iter().map(|charge| charge.key.to_string()).collect();
        assert_eq!(
            names,
            [
                "acme/ask:hour:dba@company.com",
                "acme/ask:minute:dba@company.com",
                "acme/ask:burst:dba@company.com",
                "acme/ask:running:dba@company.com",
            ]
        );
        assert!(charges.iter().all(|charge| charge.amount == 1));
        assert_eq!(charges[0].limit, Limit::Window { max: 200, per: Duration::from_secs(3_600) });
        assert_eq!(charges[3].limit, Limit::Concurrent { max: 2 });
    }

    #[test]
    fn a_servers_limit_is_a_count_of_its_own_for_each_person_and_server() {
        let options = ServerOptions { calls_per_minute: Some(60), calls_burst: Some(5), ..ServerOptions::default() };
        let names = |server: &str, subject: &str| -> Vec<String> {
            let charges = server_charges(&Principal::email(subject), server, &options);
            charges.iter().map(|charge| charge.key.name.to_string()).collect()
        };
        assert_eq!(names("db", "a@b.c"), [r#"call:minute:"db":a@b.c"#, r#"call:burst:"db":a@b.c"#]);
        assert_ne!(names("db:x", "y"), names("db", "x:y"));
        assert_eq!(server_charges(&Principal::email("a@b.c"), "db", &ServerOptions::default()), []);
    }
}
