//! What `settings.yaml` says of calls that need a human.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Severity,
    load::{Findings, Source},
    spec::UsersSpec,
};
use crate::{
    confirm::{ApprovalRules, MAX_EXPIRY},
    policy::yaml::known_roles_of,
};

const SECONDS_A_MINUTE: f64 = 60.0;

/// The rules of the file.
pub(super) fn build(source: &Source<'_>, users: Option<&UsersSpec>, findings: &mut Findings) -> ApprovalRules {
    let spec = &source.settings.approvals;
    let lines = source.settings_lines;
    let mut finding = |severity, key: &str, message: String| findings.all.push(lines.finding(severity, key, message));
    let default = ApprovalRules::default();
    let most = MAX_EXPIRY.as_secs_f64() / SECONDS_A_MINUTE;
    let expiry = match spec.expire_minutes {
        None => default.expiry,
        Some(minutes) if minutes > 0.0 && minutes <= most => Duration::from_secs_f64(minutes * SECONDS_A_MINUTE),
        Some(minutes) => {
            let message = format!("it must be more than 0 and at most {most} minutes, not {minutes}");
            finding(Severity::Error, "approvals.expire_minutes", message);
            default.expiry
        }
    };
    if spec.four_eyes && spec.approvers.is_empty() {
        let message = "nobody could agree to anything: `approvals.approvers` names the roles of those who may";
        finding(Severity::Error, "approvals.four_eyes", message.into());
    }
    let known = known_roles_of(users, source.mcps);
    for role in spec.approvers.iter().filter(|role| !known.contains(*role)) {
        let message = format!("nobody has the role {role:?}: no file defines it");
        finding(Severity::Warning, "approvals.approvers", message);
    }
    ApprovalRules { expiry, approvers: spec.approvers.clone(), four_eyes: spec.four_eyes }
}

/// The rules for people, as `omni config show` has them.
pub(super) fn show(rules: &ApprovalRules) -> Value {
    json!({
        "expire_minutes": rules.expiry.as_secs_f64() / SECONDS_A_MINUTE,
        "approvers": rules.approvers,
        "four_eyes": rules.four_eyes,
    })
}
