//! What holds: who may do what and why, and the configuration.

use serde_json::Value;

use super::{super::profile::stand, Admin};
use crate::{
    audit::AuditAccess,
    error::Error,
    policy::{Decision, Permission, Rule},
};

/// A decision on one tool, of one person.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Explanation {
    /// Their role; `None` for somebody who may not use omni at all.
    pub role: Option<String>,
    /// Their teams. They grant nothing.
    pub teams: Vec<String>,
    /// What was decided, and by which rule.
    pub decision: Decision,
}

impl Admin {
    /// Whether somebody may use a tool, and which rule decides. With the `arguments` of a call those
    /// are judged too.
    ///
    /// # Errors
    /// An [`Error`] when it may not be told, or the policy cannot be asked.
    pub async fn explain(
        &self,
        email: &str,
        server: &str,
        tool: &str,
        arguments: Option<&Value>,
    ) -> Result<Explanation, Error> {
        self.require(Permission::CanManageUsers)?;
        Ok(match stand(&self.parts, email).await?.1 {
            Ok(grant) => {
                let catalog = self.parts.pool.catalog();
                let mut decision = grant.decide_tool(catalog.rule_ref(server, tool), arguments);
                if let Some(withheld) = catalog.withheld(server, tool).filter(|_| decision.is_allowed()) {
                    decision = Decision::deny(Rule::new(withheld.rule(), None).into());
                }
                Explanation { role: Some(grant.role.name.to_string()), teams: grant.teams.clone(), decision }
            }
            Err(refused) => Explanation {
                role: None,
                teams: Vec::new(),
                decision: Decision::deny(Rule::new(refused.to_string(), None).into()),
            },
        })
    }

    /// The configuration that everything is built from, with every secret hidden.
    ///
    /// # Errors
    /// An [`Error`] when it may not be told, [`Error::NotFound`] where a program built everything.
    pub fn config(&self) -> Result<Value, Error> {
        self.require(Permission::CanModifyConfig)?;
        let none = || Error::NotFound { message: "there is no configuration: a program built this omni".into() };
        self.parts.config.as_ref().map(|config| config.show()).ok_or_else(none)
    }

    /// What all people of the tenant did.
    ///
    /// # Errors
    /// An [`Error`] when it may not be read, or cannot.
    pub fn audit(&self) -> Result<AuditAccess, Error> {
        self.require(Permission::CanViewAuditLogs)?;
        let none = || Error::Invalid { message: "the ledger's store cannot be read".into() };
        let reader = self.parts.reader.clone().ok_or_else(none)?;
        Ok(AuditAccess::of_all(reader, &self.principal))
    }
}
