//! What holds: who may do what and why, and the configuration.

use std::sync::Arc;

use serde_json::Value;

use super::{super::profile::stand, Admin};
use crate::{
    audit::{AuditAccess, CallEntry, LogEntry},
    catalog::{Catalog, explain},
    config::Diagnostic,
    error::Error,
    ledger::verify::{Fault, verify_record},
    policy::{Decision, Grant, Permission, Rule},
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

/// What somebody may do, tool by tool.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Rights {
    /// All that they may do; `None` for somebody who may not use omni at all.
    pub grant: Option<Arc<Grant>>,
    /// Why they may not, where they may not.
    pub refused: Option<String>,
    /// Every tool that is known, in the order of the catalog.
    pub tools: Vec<ToolRight>,
}

/// A decision on one tool.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ToolRight {
    /// The server.
    pub server: Arc<str>,
    /// The tool.
    pub tool: Arc<str>,
    /// What was decided, and by which rule.
    pub decision: Decision,
}

/// Whether somebody may use a tool, by the servers as they are now.
fn decided(catalog: &Catalog, grant: &Grant, (server, tool): (&str, &str), arguments: Option<&Value>) -> Decision {
    let withheld = catalog.withheld(server, tool);
    let tool = withheld.map_or_else(|| catalog.rule_ref(server, tool), |withheld| withheld.def.rule_ref());
    explain(grant, tool, withheld.map(|withheld| withheld.why), arguments)
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
                let decision = decided(&self.parts.pool.catalog(), &grant, (server, tool), arguments);
                Explanation { role: Some(grant.role.name.to_string()), teams: grant.teams.clone(), decision }
            }
            Err(refused) => Explanation {
                role: None,
                teams: Vec::new(),
                decision: Decision::deny(Rule::new(refused.to_string(), None).into()),
            },
        })
    }

    /// What somebody may do of all that is known, tool by tool. No server is asked.
    ///
    /// # Errors
    /// As [`Admin::explain`].
    pub async fn rights_of(&self, email: &str) -> Result<Rights, Error> {
        self.require(Permission::CanManageUsers)?;
        let grant = match stand(&self.parts, email).await?.1 {
            Ok(grant) => grant,
            Err(refused) => return Ok(Rights { grant: None, refused: Some(refused.to_string()), tools: Vec::new() }),
        };
        let catalog = self.parts.pool.catalog();
        let names = catalog.servers.iter().flat_map(|server| {
            let withheld = server.withheld.iter().map(|withheld| &withheld.def);
            server.tools.iter().chain(withheld).map(|def| (&def.server, &def.name))
        });
        let right = |(server, tool): (&Arc<str>, &Arc<str>)| ToolRight {
            server: server.clone(),
            tool: tool.clone(),
            decision: decided(&catalog, &grant, (server, tool), None),
        };
        Ok(Rights { tools: names.map(right).collect(), grant: Some(grant), refused: None })
    }

    /// What the configuration says that is probably not meant, the gravest first.
    ///
    /// # Errors
    /// As [`Admin::config`].
    pub fn findings(&self) -> Result<Vec<Diagnostic>, Error> {
        self.require(Permission::CanModifyConfig)?;
        let none = || Error::NotFound { message: "there is no configuration: a program built this omni".into() };
        self.parts.config.as_ref().map(|config| config.check()).ok_or_else(none)
    }

    /// Whether the ledger proves an entry of its log: what is wrong with its record, `None` where nothing is. An
    /// entry that is older than the ledger has no record.
    ///
    /// # Errors
    /// [`Error::NotFound`] of an entry without a record, or an [`Error`] when it may not be read, or cannot.
    pub async fn prove(&self, entry: &LogEntry) -> Result<Option<Fault>, Error> {
        self.require(Permission::CanViewAuditLogs)?;
        let none = || Error::NotFound { message: "there is no record of this entry".into() };
        let reader = self.parts.reader.clone().ok_or_else(none)?;
        let record = reader.sealed(entry).await?.ok_or_else(none)?;
        Ok(verify_record(&*reader, &self.parts.live.proofs, &record).await?)
    }

    /// The same of calls of the log, in their order.
    ///
    /// # Errors
    /// An [`Error`] when they may not be read, or cannot.
    pub async fn prove_calls(&self, calls: &[CallEntry]) -> Result<Vec<Option<Fault>>, Error> {
        self.require(Permission::CanViewAuditLogs)?;
        let Some(reader) = self.parts.reader.clone() else { return Ok(vec![Some(Fault::RowStray); calls.len()]) };
        let mut faults = Vec::with_capacity(calls.len());
        for call in calls {
            faults.push(match reader.sealed_call(call).await? {
                Some(record) => verify_record(&*reader, &self.parts.live.proofs, &record).await?,
                None => Some(Fault::RowStray),
            });
        }
        Ok(faults)
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
