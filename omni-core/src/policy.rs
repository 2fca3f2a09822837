//! Step 2, policy: a principal becomes a [`Grant`], and the grant decides every tool, listed or called.
//!
//! There is one decision function, [`RuleSet::decide`]. Lists are made with it and calls are
//! checked with it, by every door.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    identity::{DEFAULT_TENANT, Principal, Scope, Via},
    limit::BudgetScope,
};

pub mod cached;
mod decision;
mod live;
pub mod memory;
pub mod pattern;
mod role;
pub mod rules;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;
pub mod yaml;

pub use decision::{Decision, Effect, Rule, SourceRef};
pub use live::LivePolicy;
pub use pattern::{Pattern, PatternError, PatternSet};
pub use role::{Permission, Role};
pub use rules::{RuleSet, RuleSetBuilder, ToolRef};

/// What is done with these is done to everybody, whatever their tenant.
const OF_ALL_TENANTS: [Permission; 3] =
    [Permission::CanManageUsers, Permission::CanModifyConfig, Permission::CanDeleteData];

/// Grows by one whenever anything that a grant depends on changes.
pub type PolicyVersion = u64;

/// How much a person may do. `None` is unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// Asks and direct calls in any hour.
    pub per_hour: Option<u64>,
    /// Asks and direct calls in any minute.
    pub per_minute: Option<u64>,
    /// Asks and direct calls in any second.
    pub burst: Option<u64>,
    /// Asks and direct calls at the same time.
    pub concurrent: Option<u64>,
    /// What may be spent on models; all of it holds.
    pub budgets: Vec<crate::limit::Budget>,
}

impl Quota {
    /// The tighter of two quotas, number by number. What all of a role may spend together is for people
    /// of that role: of the other quota it is left out.
    pub(crate) fn lower(&mut self, ceiling: &Self) {
        let numbers = [
            (&mut self.per_hour, ceiling.per_hour),
            (&mut self.per_minute, ceiling.per_minute),
            (&mut self.burst, ceiling.burst),
            (&mut self.concurrent, ceiling.concurrent),
        ];
        for (own, most) in numbers {
            *own = own.map_or(most, |own| Some(most.map_or(own, |most| own.min(most))));
        }
        self.budgets.extend(ceiling.budgets.iter().filter(|budget| budget.scope != BudgetScope::Role));
        // Of equal budgets the tightest; several of one count would be charged several times.
        self.budgets.sort_by_key(|budget| (budget.count(), budget.max));
        self.budgets.dedup_by_key(|budget| budget.count());
    }
}

/// What an ask may take at most; the tighter of this and the ask's own options holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AskBounds {
    /// Model turns.
    pub max_turns: u32,
    /// Wall time.
    pub timeout: Duration,
    /// Input and output tokens together; `None` is unlimited.
    pub max_tokens: Option<u64>,
    /// Cost; `None` is unlimited.
    pub max_cost: Option<crate::cost::NanoUsd>,
}

impl Default for AskBounds {
    fn default() -> Self {
        Self { max_turns: 10, timeout: Duration::from_secs(120), max_tokens: None, max_cost: None }
    }
}

/// Everything that a principal may do, resolved once per ask.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Grant {
    /// Whose grant it is.
    pub principal: Principal,
    /// The name to call the person by.
    pub display_name: String,
    /// The role.
    pub role: Role,
    /// How much.
    pub quota: Quota,
    /// Models that may be used; `None` is every configured one.
    pub models: Option<Vec<String>>,
    /// Knowledge domains that the model may answer from without a tool; `None` is all.
    pub domains: Option<Vec<String>>,
    /// Teams that the person belongs to. They grant nothing.
    pub teams: Vec<String>,
    /// Which tools, shared by all whose rules are equal.
    pub rules: Arc<RuleSet>,
    /// The policy version it was resolved from.
    pub version: PolicyVersion,
    /// Whether what the credential takes away has been taken away.
    is_cut: bool,
}

impl Grant {
    /// A grant with no quota, every model and every domain.
    #[must_use]
    pub fn new(principal: Principal, role: Role, rules: Arc<RuleSet>) -> Self {
        Self {
            display_name: principal.subject.clone(),
            principal,
            role,
            quota: Quota::default(),
            models: None,
            domains: None,
            teams: Vec::new(),
            rules,
            version: 0,
            is_cut: false,
        }
    }

    /// Whether the credential is made for what is about to be done. What the subject may do is cut
    /// by it, never widened.
    ///
    /// # Errors
    /// [`PolicyError::MissingScope`].
    pub fn require(&self, scope: Scope) -> Result<(), PolicyError> {
        if self.principal.scopes.contains(scope) {
            return Ok(());
        }
        Err(PolicyError::MissingScope { subject: self.principal.subject.clone(), scope })
    }

    /// Whether somebody may use an operation of administrators: the credential is made for it, the role is an
    /// admin's or has the permission, and what concerns all tenants is done by one of the tenant [`DEFAULT_TENANT`].
    ///
    /// # Errors
    /// [`PolicyError::MissingScope`], [`PolicyError::MissingPermission`], [`PolicyError::OtherTenant`].
    pub fn require_admin(&self, permission: Permission) -> Result<(), PolicyError> {
        self.require(Scope::Admin)?;
        let subject = self.principal.subject.clone();
        if !self.role.may(permission) {
            return Err(PolicyError::MissingPermission { subject, role: self.role.name.to_string(), permission });
        }
        if OF_ALL_TENANTS.contains(&permission) && !self.is_of_default_tenant() {
            return Err(PolicyError::OtherTenant { subject, tenant: self.principal.tenant.clone() });
        }
        Ok(())
    }

    /// Whether somebody is an administrator of what all tenants share, such as the servers and where they are: by role,
    /// by a credential that is made for it, and of the tenant [`DEFAULT_TENANT`].
    #[must_use]
    pub fn administers_all_tenants(&self) -> bool {
        self.role.is_admin && self.principal.scopes.contains(Scope::Admin) && self.is_of_default_tenant()
    }

    /// Whether somebody is told why a server is away, whatever the credential is made for: hosts, commands and paths are
    /// all tenants'.
    pub(crate) fn may_know_places(&self) -> bool {
        self.role.is_admin && self.is_of_default_tenant()
    }

    fn is_of_default_tenant(&self) -> bool {
        self.principal.tenant == DEFAULT_TENANT
    }

    /// Whether somebody may read what others asked: the credential is made for it, and the role has
    /// the permission. Their own everybody may read.
    #[must_use]
    pub fn may_view_all_logs(&self) -> bool {
        self.principal.scopes.contains(Scope::Audit) && self.role.may(Permission::CanViewAuditLogs)
    }

    /// Whether somebody may see what is counted of everybody: whoever may read everybody's records, and
    /// administrators by the scope `admin`. Counts know no tenants, so both are of the tenant [`DEFAULT_TENANT`].
    ///
    /// # Errors
    /// [`PolicyError::MissingScope`], [`PolicyError::MissingPermission`], [`PolicyError::OtherTenant`].
    pub fn require_metrics(&self) -> Result<(), PolicyError> {
        let (subject, role) = (self.principal.subject.clone(), self.role.name.to_string());
        if self.may_view_all_logs() || (self.role.is_admin && self.require(Scope::Admin).is_ok()) {
            return match self.is_of_default_tenant() {
                true => Ok(()),
                false => Err(PolicyError::OtherTenant { subject, tenant: self.principal.tenant.clone() }),
            };
        }
        if self.role.is_admin || self.role.may(Permission::CanViewAuditLogs) {
            return Err(PolicyError::MissingScope { subject, scope: Scope::Audit });
        }
        Err(PolicyError::MissingPermission { subject, role, permission: Permission::CanViewAuditLogs })
    }

    /// Effective rights: the subject's, cut by the credential. Every [`PolicyStore`] calls this once the grant is made,
    /// with what a bare person of the role [`Principal::ceiling_role`] would get, or `None` where it knows no such role. A
    /// grant that is not cut is refused where the credential takes something away.
    ///
    /// # Errors
    /// [`PolicyError::Blocked`]: the ceiling's role is not known, or the credential may not act for people of the
    /// subject's role.
    pub fn cut(&mut self, ceiling: Option<Ceiling<'_>>) -> Result<(), PolicyError> {
        let subject = &self.principal.subject;
        if let Some(roles) = &self.principal.subject_roles
            && !roles.iter().any(|role| role == self.role.rights_name())
        {
            let reason = "the credential may not act for somebody of that role".into();
            return Err(PolicyError::Blocked { subject: subject.clone(), reason });
        }
        if let Some(role) = &self.principal.ceiling_role {
            let reason = || format!("the credential's role {role:?} is not known");
            let ceiling = ceiling.ok_or_else(|| PolicyError::Blocked { subject: subject.clone(), reason: reason() })?;
            self.lower(ceiling);
        }
        self.is_cut = true;
        Ok(())
    }

    /// Only what the ceiling has too.
    fn lower(&mut self, ceiling: Ceiling<'_>) {
        self.rules = self.rules.under(ceiling.rules);
        self.role.lower(ceiling.role);
        self.quota.lower(ceiling.quota);
        if let Some(most) = ceiling.models {
            let own = self.models.take().unwrap_or_else(|| most.to_vec());
            self.models = Some(own.into_iter().filter(|model| most.contains(model)).collect());
        }
        if let Some(most) = ceiling.domains {
            let own = self.domains.take().unwrap_or_else(|| most.to_vec());
            self.domains = Some(own.into_iter().filter(|domain| most.contains(domain)).collect());
        }
    }

    /// This grant where a key's owner uses it for somebody else: the owner may do no less.
    fn within(&self, owner: &Self) -> Self {
        let mut grant = self.clone();
        let (models, domains) = (owner.models.as_deref(), owner.domains.as_deref());
        // How often somebody may ask is theirs and the ceiling's matter, not that of the key's owner.
        let quota = &Quota::default();
        grant.lower(Ceiling { role: &owner.role, rules: owner.rules.clone(), models, domains, quota });
        // It is as old as the older of the two.
        grant.version = grant.version.min(owner.version);
        grant
    }

    /// Whether the person may have no answer but from tools: there is no domain of knowledge that
    /// the model may answer from.
    #[must_use]
    pub fn answers_by_tools_only(&self) -> bool {
        self.domains.as_ref().is_some_and(Vec::is_empty)
    }

    /// Decides one tool of which only the names are known; `arguments` are the call's, where there is a
    /// call. Without them the question is whether the tool may be listed.
    #[must_use]
    pub fn decide(&self, server: &str, tool: &str, arguments: Option<&serde_json::Value>) -> Decision {
        self.rules.decide(server, tool, arguments)
    }

    /// Decides a prompt by its name, listed or used. Where nothing is said of prompts, whoever may use
    /// any tool of the server may use them.
    #[must_use]
    pub fn decide_prompt(&self, server: &str, name: &str) -> Decision {
        self.rules.decide_prompt(server, name)
    }

    /// Decides a resource by its URI, listed, read or subscribed to; a family of resources by its
    /// template. Where nothing is said of resources they are as prompts are.
    #[must_use]
    pub fn decide_resource(&self, server: &str, uri: &str) -> Decision {
        self.rules.decide_resource(server, uri)
    }

    /// The same for a tool that said of itself what it does.
    #[must_use]
    pub fn decide_tool(&self, tool: ToolRef<'_>, arguments: Option<&serde_json::Value>) -> Decision {
        self.rules.decide_tool(tool, arguments)
    }
}

/// What a bare person of a credential's role would get: see [`Grant::cut`].
#[derive(Debug, Clone)]
pub struct Ceiling<'a> {
    /// The role.
    pub role: &'a Role,
    /// Which tools.
    pub rules: Arc<RuleSet>,
    /// Models that may be used; `None` is every configured one.
    pub models: Option<&'a [String]>,
    /// Knowledge domains that the model may answer from; `None` is all.
    pub domains: Option<&'a [String]>,
    /// How much.
    pub quota: &'a Quota,
}

/// Whether somebody can read configuration and database anyway: the person at the terminal, where
/// they may act for anybody. Nothing that omni could refuse would be kept from them.
pub(crate) fn is_operator(principal: &Principal) -> bool {
    principal.via == Via::LocalUser && principal.actor.is_none() && principal.scopes.contains(Scope::ActAs)
}

/// Why a principal got no grant. All of them mean: denied.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Nobody by that name, and no default user.
    #[error("{subject} is not known here, and the policy has no default user")]
    UnknownSubject {
        /// Who asked.
        subject: String,
    },
    /// The person exists and may not use omni.
    #[error("{subject} may not use omni: {reason}")]
    Blocked {
        /// Who asked.
        subject: String,
        /// Why.
        reason: String,
    },
    /// The credential is not made for this.
    #[error("{subject} may not do this: the credential lacks the scope `{scope}`")]
    MissingScope {
        /// Who asked.
        subject: String,
        /// What is missing.
        scope: Scope,
    },
    /// The role may not do this.
    #[error("{subject} may not do this: the role {role} has no permission `{permission}`")]
    MissingPermission {
        /// Who asked.
        subject: String,
        /// Their role.
        role: String,
        /// What is missing.
        permission: Permission,
    },
    /// What is to be done concerns all tenants.
    #[error(
        "{subject} is of the tenant {tenant}; people, keys, configuration, metrics and how long records are kept are \
         all tenants' own, and take an administrator of the tenant {}",
        DEFAULT_TENANT
    )]
    OtherTenant {
        /// Who asked.
        subject: String,
        /// Their tenant.
        tenant: String,
    },
    /// The person is new, and somebody has to let them in.
    #[error("{subject} is not approved yet: an administrator has to approve the account first")]
    PendingApproval {
        /// Who asked.
        subject: String,
    },
    /// The store cannot be asked. Fail closed.
    #[error("the policy store cannot be reached: {message}")]
    Unavailable {
        /// What went wrong.
        message: String,
    },
}

/// What a principal may do now. A key does no more for others than its owner may by now, who may
/// have lost rights since it was made, or be kept out.
///
/// # Errors
/// A [`PolicyError`] of the principal, or of the key's owner.
pub(crate) async fn effective(store: &dyn PolicyStore, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
    let Some(actor) = principal.actor.as_ref().filter(|_| principal.via == Via::ApiKey) else {
        return granted(store, principal).await;
    };
    let owner = Principal::new(actor, Via::ApiKey).with_tenant(&*principal.tenant);
    let owner = granted(store, &owner).await?;
    Ok(Arc::new(granted(store, principal).await?.within(&owner)))
}

/// A store's grant, if it is this principal's and leaves out what their credential takes away.
async fn granted(store: &dyn PolicyStore, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
    let grant = store.resolve(principal).await?;
    let takes_away = principal.ceiling_role.is_some() || principal.subject_roles.is_some();
    let reason = match () {
        () if grant.principal != *principal => "the policy store gave the grant of another principal",
        () if takes_away && !grant.is_cut => "the policy store does not cut grants by what a credential may do",
        () => return Ok(grant),
    };
    Err(PolicyError::Blocked { subject: principal.subject.clone(), reason: reason.into() })
}

/// What a policy has to say of somebody beside a grant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// Where a file names them: only whoever edits it can change what they may do.
    pub named_at: Option<SourceRef>,
    /// The role that they have, also while they are kept out.
    pub role: Option<Role>,
    /// The role that is on offer for them, where nobody named them.
    pub offered_role: Option<String>,
}

/// Knows who may do what.
///
/// # Contract
/// * `resolve` fails closed: an unknown role, a malformed rule or a store that is away is a denial.
/// * A grant is of the very principal that was asked for, with their tenant, scopes and ceiling, and cut by
///   [`Grant::cut`]. Another one is refused: one that is cached by the subject alone would lend a credential's rights.
/// * Equal rules share one [`RuleSet`] and so one fingerprint.
/// * `version` changes before any grant of the new policy is handed out, never after.
/// * `resolve` is cancel-safe and takes no lock across an await.
/// * `resolve` is asked not only for whoever came: the owner of a key comes as [`Via::ApiKey`], and whoever agreed to
///   a parked call, long after they left, as [`Via::ResumedRun`]. A store that decides by the way somebody came has
///   to know these; one that knows people by their subject has nothing to do.
/// * A grant's version is that of the store when it was made: a call whose grant is of another one is judged anew.
#[async_trait]
pub trait PolicyStore: Send + Sync + fmt::Debug {
    /// The grant of a principal.
    ///
    /// # Errors
    /// A [`PolicyError`]; each of them is a denial.
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError>;

    /// The policy's version, and its changes.
    fn version(&self) -> watch::Receiver<PolicyVersion>;

    /// Looks for changes now, where a store otherwise does so from time to time.
    ///
    /// # Errors
    /// [`PolicyError::Unavailable`].
    async fn refresh(&self) -> Result<(), PolicyError> {
        Ok(())
    }

    /// What there is to say of somebody beside a grant.
    fn standing(&self, _principal: &Principal) -> Standing {
        Standing::default()
    }

    /// A role that may be given to people; `None` where there is none of that name.
    fn role(&self, _name: &str) -> Option<Role> {
        None
    }

    /// Whom the policy names, to let them in or keep them out, by address.
    fn named(&self) -> Vec<String> {
        Vec::new()
    }
}

#[async_trait]
impl<T: PolicyStore + ?Sized> PolicyStore for Arc<T> {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        (**self).resolve(principal).await
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        (**self).version()
    }

    async fn refresh(&self) -> Result<(), PolicyError> {
        (**self).refresh().await
    }

    fn standing(&self, principal: &Principal) -> Standing {
        (**self).standing(principal)
    }

    fn role(&self, name: &str) -> Option<Role> {
        (**self).role(name)
    }

    fn named(&self) -> Vec<String> {
        (**self).named()
    }
}
