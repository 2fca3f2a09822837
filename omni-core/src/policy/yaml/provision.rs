//! What somebody gets whom neither the file nor an administrator named: `auto_provisioning`.

use std::collections::HashMap;

use crate::{
    config::spec::{AutoProvisioningSpec, OfferSpec},
    identity::{Principal, Via},
};

/// A role on offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Offer {
    pub(in crate::policy) role: String,
    /// Whether an administrator must approve first.
    pub(in crate::policy) needs_approval: bool,
}

/// Which role is on offer for whom.
#[derive(Debug, Default)]
pub(super) struct Provisioning {
    /// By what follows the `@` of the address.
    by_domain: HashMap<String, Offer>,
    by_slack_team: HashMap<String, Offer>,
    otherwise: Option<Offer>,
}

impl Provisioning {
    /// What the file offers; nothing unless it is switched on.
    pub(super) fn new(spec: Option<&AutoProvisioningSpec>) -> Self {
        let Some(spec) = spec.filter(|spec| spec.enabled) else { return Self::default() };
        let offer = |own: &OfferSpec| {
            let role = own.default_role.clone().or_else(|| spec.default_role.clone())?;
            Some(Offer { role, needs_approval: own.require_approval.unwrap_or(spec.require_approval) })
        };
        let domain = |domain: &str| domain.trim().trim_start_matches('@').to_lowercase();
        let domains = spec.email_domain_mapping.iter();
        Self {
            by_domain: domains.filter_map(|(name, own)| Some((domain(name), offer(own)?))).collect(),
            by_slack_team: spec
                .slack_team_mapping
                .iter()
                .filter_map(|(team, own)| Some((team.clone(), offer(own)?)))
                .collect(),
            otherwise: offer(&OfferSpec::default()),
        }
    }

    /// The offer for a person. Only an address can have one: `local:ann` is nobody's account.
    pub(super) fn offer(&self, principal: &Principal) -> Option<&Offer> {
        let (_, domain) = principal.subject.rsplit_once('@')?;
        let by_team = || {
            let teams = principal.groups.iter().filter(|_| matches!(principal.via, Via::Slack | Via::Schedule));
            teams.into_iter().find_map(|team| self.by_slack_team.get(team))
        };
        self.by_domain.get(domain).or_else(by_team).or(self.otherwise.as_ref())
    }
}
